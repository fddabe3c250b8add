//! One request and its answer over one connection.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::target::{Login, Target};
use crate::verdict::{Answer, Verdict, causes, of_connecting};

/// The largest answer that is taken.
const LARGEST: usize = 64 << 20;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Option<Bytes>,
    /// What the body is.
    pub(crate) content: &'static str,
}

impl Ask {
    pub(crate) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, content: JSON }
    }

    /// It changes nothing: it may be asked any number of times.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

pub(crate) const JSON: &str = "application/json";

/// A connection that takes a request.
pub(crate) struct Link {
    pub(crate) target: Target,
    sender: SendRequest<Full<Bytes>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("target", &self.target.url()).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and verifies whom.
    pub(crate) async fn open(target: &Target) -> Result<Self, Verdict> {
        let (config, name) = target.tls().map_err(|error| Verdict::Refused(error.to_string()))?;
        let unsent = |error: std::io::Error| of_connecting(causes(&error));
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
        let stream = stream.map_err(unsent)?;
        stream.set_nodelay(true).map_err(unsent)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let io = TokioIo::new(stream.map_err(unsent)?);
        let (sender, connection) =
            http1::handshake(io).await.map_err(|error| of_connecting(causes(&error)))?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { target: target.clone(), sender })
    }

    /// Whether it may take another.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// The head of the answer.
    pub(crate) async fn send(
        &mut self,
        ask: &Ask,
        login: &Login,
    ) -> Result<Response<Incoming>, Verdict> {
        let request = request(ask, login)?;
        self.sender.try_send_request(request).await.map_err(|mut error| {
            let said = causes(error.error());
            match error.take_message() {
                // The server closed it before.
                Some(_) => Verdict::Unsent(said, Some(Duration::ZERO)),
                None => Verdict::Lost(said),
            }
        })
    }

    /// The whole answer.
    pub(crate) async fn exchange(&mut self, ask: &Ask, login: &Login) -> Result<Answer, Verdict> {
        let response = self.send(ask, login).await?;
        whole(response).await
    }
}

/// All of an answer whose head is there.
pub(crate) async fn whole(response: Response<Incoming>) -> Result<Answer, Verdict> {
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| Verdict::Lost(error.to_string()))?.to_bytes().to_vec();
    Ok(Answer { status, retry_after, body })
}

fn request(ask: &Ask, login: &Login) -> Result<hyper::Request<Full<Bytes>>, Verdict> {
    let target = &login.target;
    let mut builder = hyper::Request::builder()
        .method(ask.method.clone())
        .uri(format!("{}{}", target.base, ask.path))
        .header(HOST, target.authority())
        .header(ACCEPT, JSON)
        .header(USER_AGENT, concat!("wharfinger/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = &login.token {
        builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if ask.body.is_some() {
        builder = builder.header(CONTENT_TYPE, ask.content);
    }
    let body = Full::new(ask.body.clone().unwrap_or_default());
    builder.body(body).map_err(|error| Verdict::Refused(format!("{:?}: {error}", ask.path)))
}
