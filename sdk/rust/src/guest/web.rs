//! Requests by `wasi:http`.

use crate::bindings::http::wasi::http::outgoing_handler;
use crate::bindings::http::wasi::http::types as wit;
use crate::bindings::http::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::http::{Error, Request, Response, parts};

/// Bytes that one write takes at most.
const CHUNK: usize = 4096;
/// Bytes that one read asks for.
const READ: u64 = 64 * 1024;

pub(crate) fn send(request: &Request) -> Result<Response, Error> {
    exchange(request).map_err(|why| Error::of(request, why))
}

fn exchange(request: &Request) -> Result<Response, String> {
    let (outgoing, body) = outgoing(request)?;
    let options = options(request)?;
    let coming = outgoing_handler::handle(outgoing, options).map_err(code)?;
    write(body, &request.body)?;
    coming.subscribe().block();
    let answer = coming.get().ok_or("the host gave no answer")?;
    let incoming = answer.map_err(|()| "the host gave its answer before")?.map_err(code)?;
    let headers = headers(&incoming);
    Ok(Response { status: incoming.status(), headers, body: read(&incoming)? })
}

fn outgoing(request: &Request) -> Result<(wit::OutgoingRequest, wit::OutgoingBody), String> {
    let (scheme, authority, path) = parts(&request.url).ok_or("its URL is none")?;
    let mut headers: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    if !request.body.is_empty() {
        let length = request.body.len().to_string().into_bytes();
        headers.push(("content-length".to_owned(), length));
    }
    let fields = wit::Fields::from_list(&headers).map_err(|e| format!("its headers: {e}"))?;
    let outgoing = wit::OutgoingRequest::new(fields);
    let bad = |what: &str| format!("its {what} is none");
    outgoing.set_method(&method(&request.method)).map_err(|()| bad("method"))?;
    outgoing.set_scheme(Some(&self::scheme(scheme))).map_err(|()| bad("scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| bad("host"))?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| bad("path"))?;
    let body = outgoing.body().map_err(|()| "the host gave its body before")?;
    Ok((outgoing, body))
}

fn method(name: &str) -> wit::Method {
    match name {
        "GET" => wit::Method::Get,
        "HEAD" => wit::Method::Head,
        "POST" => wit::Method::Post,
        "PUT" => wit::Method::Put,
        "DELETE" => wit::Method::Delete,
        "OPTIONS" => wit::Method::Options,
        "PATCH" => wit::Method::Patch,
        other => wit::Method::Other(other.to_owned()),
    }
}

fn scheme(name: &str) -> wit::Scheme {
    match name {
        "http" => wit::Scheme::Http,
        "https" => wit::Scheme::Https,
        other => wit::Scheme::Other(other.to_owned()),
    }
}

fn options(request: &Request) -> Result<Option<wit::RequestOptions>, String> {
    let Some(timeout) = request.timeout else { return Ok(None) };
    let timeout = u64::try_from(timeout.as_nanos()).ok();
    let options = wit::RequestOptions::new();
    let set = options
        .set_connect_timeout(timeout)
        .and_then(|()| options.set_first_byte_timeout(timeout))
        .and_then(|()| options.set_between_bytes_timeout(timeout));
    set.map_err(|()| "the host knows no time-outs")?;
    Ok(Some(options))
}

fn write(body: wit::OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    if !bytes.is_empty() {
        let stream: OutputStream = body.write().map_err(|()| "the host gave its stream before")?;
        for chunk in bytes.chunks(CHUNK) {
            stream.blocking_write_and_flush(chunk).map_err(|e| broken("sending", &e))?;
        }
    }
    wit::OutgoingBody::finish(body, None).map_err(code)
}

fn read(incoming: &wit::IncomingResponse) -> Result<Vec<u8>, String> {
    let body = incoming.consume().map_err(|()| "the host gave the body before")?;
    let stream: InputStream = body.stream().map_err(|()| "the host gave the stream before")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(broken("reading the answer", &error)),
        }
    }
}

fn headers(incoming: &wit::IncomingResponse) -> Vec<(String, String)> {
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    let entries = incoming.headers().entries();
    entries.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn code(error: wit::ErrorCode) -> String {
    match error {
        wit::ErrorCode::InternalError(Some(why)) => why,
        other => format!("{other:?}"),
    }
}

fn broken(doing: &str, error: &StreamError) -> String {
    match error {
        StreamError::LastOperationFailed(why) => format!("{doing}: {}", why.to_debug_string()),
        StreamError::Closed => format!("{doing}: the connection closed"),
    }
}
