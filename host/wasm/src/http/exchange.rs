//! One request and its answer, whole, within the grant's time and size. What is known already
//! (a replay) is not sent; what was sent is told to the book.

use std::net::IpAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

use super::reach;
use crate::grants::{HttpGrant, Target};
use crate::journal::{Journal, Stop};
use crate::{HttpAnswer, HttpRequest, Level};

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Timeout(Duration),
    Name(String),
    Prohibited(IpAddr, &'static str),
    Connect(String),
    Tls(String),
    RequestSize(usize),
    ResponseSize(usize),
    Protocol(String),
}

impl Failure {
    /// The word that a record knows it by.
    fn code(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Name(_) => "name",
            Self::Prohibited(..) => "prohibited",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::RequestSize(_) => "request-size",
            Self::ResponseSize(_) => "response-size",
            Self::Protocol(_) => "protocol",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Timeout(after) => format!("no answer within {} ms", after.as_millis()),
            Self::Prohibited(address, what) => format!("{address} is {what}"),
            Self::RequestSize(most) => format!("the request is larger than {most} bytes"),
            Self::ResponseSize(most) => format!("the answer is larger than {most} bytes"),
            Self::Name(what) | Self::Connect(what) | Self::Tls(what) | Self::Protocol(what) => {
                what.clone()
            }
        }
    }
}

/// What the plugin is told, by the word of a failure.
fn told(code: &str) -> Error {
    match code {
        "timeout" => Error::HttpResponseTimeout,
        "name" => Error::DnsError { rcode: None, info_code: None },
        "prohibited" => Error::DestinationIpProhibited,
        "connect" => Error::ConnectionRefused,
        "tls" => Error::TlsCertificateError,
        "request-size" => Error::HttpRequestBodySize(None),
        "response-size" => Error::HttpResponseBodySize(None),
        _ => Error::HttpProtocolError,
    }
}

/// Sends a request that passed the gate, and hands back its answer.
pub(super) async fn exchange(
    journal: Journal,
    grant: HttpGrant,
    digest: String,
    target: Target,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let (parts, body) = request.into_parts();
    let within = grant.timeout;
    let body = match timeout(within, whole(body, grant.size)).await {
        Ok(Ok(body)) => body,
        Ok(Err(None)) => return Err(told(Failure::RequestSize(grant.size).code())),
        Ok(Err(Some(error))) => return Err(error),
        Err(_) => return Err(told(Failure::Timeout(within).code())),
    };
    let request = Request::from_parts(parts, body);
    let shown = described(&request);
    if let Some(known) = journal.book(|book| book.http_known(&shown)).flatten() {
        return answered(&known);
    }
    let sent = timeout(within, send(&grant, request)).await;
    let outcome = sent.unwrap_or(Err(Failure::Timeout(within)));
    match outcome {
        Ok(response) => {
            let answer = recorded(&response);
            journal.book(|book| book.http_done(&shown, &answer));
            Ok(response.map(boxed))
        }
        Err(failure) => {
            note(&journal, &target, &digest, &failure);
            let body = format!("{}: {}", failure.code(), failure.text());
            let answer = HttpAnswer { status: 0, headers: Vec::new(), body };
            journal.book(|book| book.http_done(&shown, &answer));
            Err(told(failure.code()))
        }
    }
}

/// For the operator: a line; an address that is not granted ends the call.
fn note(journal: &Journal, target: &Target, digest: &str, failure: &Failure) {
    journal.say(Level::Warn, &format!("{target}: {}", failure.text()));
    if let Failure::Prohibited(address, what) = failure {
        let grant = format!("{}\naddresses = [\"{address}\"]", target.grant(digest));
        let import = format!(
            "wasi:http/outgoing-handler handle of {target}, whose address {address} is {what}"
        );
        journal.end(Stop::Refused { import, grant });
    }
}

/// All of a body; none as the error where it is larger than `most`.
async fn whole<B>(body: B, most: usize) -> Result<Bytes, Option<B::Error>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(error.downcast::<B::Error>().ok().map(|error| *error)),
    }
}

async fn send(grant: &HttpGrant, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
    let stream = reach::connect(grant).await?;
    if grant.tls {
        speak(grant, reach::secure(grant, stream).await?, request).await
    } else {
        speak(grant, stream, request).await
    }
}

/// HTTP/1.1 on a fresh connection, which is closed afterwards.
async fn speak<S>(
    grant: &HttpGrant,
    stream: S,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let protocol = |e: hyper::Error| Failure::Protocol(format!("{}: {e}", grant.host));
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(protocol)?;
    let _driven = wasmtime_wasi::runtime::spawn(async move { drop(connection.await) });
    let (mut parts, body) = request.into_parts();
    parts.uri = origin_form(&parts.uri);
    let request = Request::from_parts(parts, Full::new(body));
    let response = sender.send_request(request).await.map_err(protocol)?;
    let (parts, body) = response.into_parts();
    match whole(body, grant.size).await {
        Ok(body) => Ok(Response::from_parts(parts, body)),
        Err(Some(error)) => Err(protocol(error)),
        Err(None) => Err(Failure::ResponseSize(grant.size)),
    }
}

/// Path and query alone, as a server wants it; the host is in its header.
fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    path.parse().unwrap_or_default()
}

fn described(request: &Request<Bytes>) -> HttpRequest {
    HttpRequest {
        method: request.method().to_string(),
        url: request.uri().to_string(),
        headers: headers(request.headers()),
        body: String::from_utf8_lossy(request.body()).into_owned(),
    }
}

fn recorded(response: &Response<Bytes>) -> HttpAnswer {
    HttpAnswer {
        status: response.status().as_u16(),
        headers: headers(response.headers()),
        body: String::from_utf8_lossy(response.body()).into_owned(),
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// What is known already, as if it had just come.
fn answered(known: &HttpAnswer) -> Result<Response<WasiBody>, Error> {
    if known.status == 0 {
        return Err(told(known.body.split(':').next().unwrap_or_default()));
    }
    let mut response = Response::new(boxed(Bytes::from(known.body.clone())));
    *response.status_mut() = known.status.try_into().map_err(|_| Error::HttpProtocolError)?;
    for (name, value) in &known.headers {
        let (name, value) = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn boxed(body: Bytes) -> WasiBody {
    Full::new(body).map_err(Into::into).boxed_unsync()
}
