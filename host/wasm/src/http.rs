//! Outgoing HTTP: the gate before each request, and what sends those that pass.
//!
//! Each request goes to one place that a grant names, at an address that was checked, and
//! nowhere else: no redirect is followed here, no proxy is asked, nothing is kept between two.

mod exchange;
mod reach;

use std::pin::Pin;
use std::sync::Arc;

use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme as WitScheme;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::p2::{HttpError, HttpResult};
use wasmtime_wasi_http::{
    Error, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::capability::{Decision, WASI, Want, allow};
use crate::contract::World;
use crate::grants::{self, Grants, Target};
use crate::journal::{Journal, Stop};
use crate::state::State;

/// Bytes of a request's headers.
const HEADERS: usize = 64 << 10;

/// What the gate is asked with.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) world: World,
    pub(crate) grants: Arc<Grants>,
    /// Of the plugin: "rules@sha256:…".
    pub(crate) identity: Arc<str>,
}

/// HTTP's side of one call.
pub(crate) struct Http {
    ctx: WasiHttpCtx,
    sender: Sender,
}

impl Http {
    pub(crate) fn new(journal: Journal, rules: Option<Rules>) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(HEADERS);
        Self { ctx, sender: Sender { journal, rules } }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let wasi = self.wasi();
        WasiHttpCtxView {
            ctx: &mut wasi.http.ctx,
            table: &mut wasi.table,
            hooks: &mut wasi.http.sender,
        }
    }
}

/// Links the one function that sends. It is not the library's own, so that no request goes
/// past the gate.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Params = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
    let mut handler = linker.instance(&format!("wasi:http/outgoing-handler@{WASI}"))?;
    handler.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, State>, (request, options): Params| match handle(
            store.data_mut(),
            request,
            options,
        ) {
            Ok(answer) => Ok((Ok(answer),)),
            Err(error) => Ok((Err(error.downcast()?),)),
        },
    )
}

fn handle(
    state: &mut State,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> HttpResult<Resource<HostFutureIncomingResponse>> {
    let target = asked(state.http().table.get(&request)?)?;
    if let Some(rules) = &state.wasi().http.sender.rules {
        rules.pass(&target).map_err(HttpError::trap)?;
    }
    outgoing_handler::Host::handle(&mut state.http(), request, options)
}

impl Rules {
    /// Asks the gate for what the API says of the pod.
    pub(crate) fn pass_pod(&self) -> Result<(), Stop> {
        match allow(self.world, &self.grants, Want::Pod) {
            Decision::Give => Ok(()),
            Decision::Hollow | Decision::Ask | Decision::Refuse => Err(Stop::Refused {
                import: "workload.pod".to_owned(),
                grant: grants::pod(&self.identity),
            }),
        }
    }

    fn digest(&self) -> &str {
        self.identity.rsplit_once('@').map_or(&self.identity, |(_, digest)| digest)
    }

    /// Asks the gate.
    fn pass(&self, target: &Target) -> Result<(), Stop> {
        match allow(self.world, &self.grants, Want::Send(target)) {
            Decision::Give => Ok(()),
            Decision::Hollow | Decision::Ask | Decision::Refuse => Err(Stop::Refused {
                import: format!("wasi:http/outgoing-handler handle of {target}"),
                grant: target.grant(self.digest()),
            }),
        }
    }
}

/// Where a request wants to go; what has no place is an error of the request.
fn asked(request: &HostOutgoingRequest) -> Result<Target, ErrorCode> {
    let tls = match &request.scheme {
        None | Some(WitScheme::Https) => true,
        Some(WitScheme::Http) => false,
        Some(WitScheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let authority = request.authority.as_deref().unwrap_or_default();
    let method: hyper::Method = method(&request.method)?;
    let authority: Authority = authority.parse().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    target(tls, &authority, &method).ok_or(ErrorCode::HttpRequestUriInvalid)
}

fn method(method: &Method) -> Result<hyper::Method, ErrorCode> {
    method.clone().try_into().map_err(|_| ErrorCode::HttpRequestMethodInvalid)
}

/// None where a user or a password stands in it, or no host.
fn target(tls: bool, authority: &Authority, method: &hyper::Method) -> Option<Target> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let port = match authority.port() {
        Some(_) => authority.port_u16()?,
        None if authority.as_str().ends_with(':') => return None,
        None if tls => 443,
        None => 80,
    };
    let host = host.to_ascii_lowercase();
    Some(Target { tls, host, port, method: method.as_str().to_ascii_uppercase() })
}

/// Sends what passed the gate.
struct Sender {
    journal: Journal,
    rules: Option<Rules>,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Io), Error>;

impl WasiHttpHooks for Sender {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let sent = self.send(request);
        Box::new(async move {
            let response = sent?.await?;
            let done: Io = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

impl Sender {
    /// The gate again, by what is about to be sent, whatever came before.
    fn send(&self, request: Request<WasiBody>) -> Result<Answered, Error> {
        let uri = request.uri();
        let tls = uri.scheme() != Some(&Scheme::HTTP);
        let target = uri.authority().and_then(|a| target(tls, a, request.method()));
        let target = target.ok_or(Error::HttpRequestUriInvalid)?;
        let rules = self.rules.as_ref().ok_or(Error::HttpRequestDenied)?;
        rules.pass(&target).map_err(|_| Error::HttpRequestDenied)?;
        let grant = rules.grants.http_for(&target).cloned().ok_or(Error::HttpRequestDenied)?;
        let (journal, digest) = (self.journal.clone(), rules.digest().to_owned());
        Ok(Box::pin(exchange::exchange(journal, grant, digest, target, request)))
    }
}
