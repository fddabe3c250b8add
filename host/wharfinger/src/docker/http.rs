//! HTTP on the socket: one POST a call, JSON in and out. 20.10 sends an empty `Host` and, where a
//! call has no arguments, no body: all of that is taken.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Server;
use super::calls::{self, Failure};

/// What Docker says that it accepts.
const TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// How long calls that have begun may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(30);

/// How many calls may be at work at once; more wait.
const THREADS: usize = 64;

/// Serves until told to end.
pub(super) fn serve(listener: UnixListener, server: &Arc<Server>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .context("start the server")?;
    runtime.block_on(run(listener, Arc::clone(server)))
}

async fn run(listener: UnixListener, server: Arc<Server>) -> Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let app = Router::new().fallback(called).with_state(server);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = Arc::new(tokio::sync::Notify::new());
    let heard = Arc::clone(&told);
    let ending = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        heard.notify_one();
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(ending).into_future();
    let late = async {
        told.notified().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = serving => done.context("serve"),
        () = late => Ok(()),
    }
}

/// One call, worked on by a thread that may wait.
async fn called(State(server): State<Arc<Server>>, uri: Uri, body: Bytes) -> Response {
    let method = uri.path().trim_start_matches('/').to_owned();
    let work = tokio::task::spawn_blocking(move || calls::answer(&server, &method, &body));
    match work.await {
        Ok(Ok(value)) => reply(StatusCode::OK, &value),
        Ok(Err(Failure::Refused(text))) => reply(StatusCode::OK, &both(&text)),
        Ok(Err(Failure::Undecodable(text))) => reply(StatusCode::BAD_REQUEST, &both(&text)),
        Ok(Err(Failure::Unknown)) => {
            reply(StatusCode::NOT_FOUND, &both(&format!("{} is not known here", uri.path())))
        }
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, &both(&error.to_string())),
    }
}

/// The network role reads one key, the IPAM role the other.
fn both(text: &str) -> Value {
    json!({ "Err": text, "Error": text })
}

fn reply(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, TYPE)], value.to_string()).into_response()
}
