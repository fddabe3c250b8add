//! An IPAM component that uses WASI: its configuration, or the "mode" of it where it is an object,
//! is what to do. What came of it is the message of its failure.

wit_bindgen::generate!({ path: "../../wit/0.2.0", world: "ipam-plugin", generate_all });

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, SystemTime};

use exports::wharfinger::plugin::ipam::{Guest, Pool, Request};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use wharfinger::plugin::types::{Failure, Lease, Problem, Reason};

struct Plugin;
export!(Plugin);

const HOUR: Duration = Duration::from_secs(3_600);

impl Guest for Plugin {
    fn validate(_: String) -> Vec<Problem> {
        vec![]
    }

    fn pools(_: String) -> Result<Vec<Pool>, Failure> {
        Ok(vec![])
    }

    fn allocate(request: Request) -> Result<Lease, Failure> {
        let words: Vec<&str> = mode(&request.config).split(' ').collect();
        let message = match words.as_slice() {
            ["sleep"] => said(std::thread::sleep(HOUR)),
            ["block"] => said(wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX).block()),
            ["spin"] => spin(),
            ["exit"] => std::process::exit(3),
            ["panic"] => panic!("on purpose"),
            ["print"] => print(),
            ["flood"] => loop {
                println!("{}", "x".repeat(100));
            },
            ["flood-without-newline"] => loop {
                let _ = std::io::stdout().write_all(&[b'x'; 4_000]);
            },
            ["read"] => said(std::io::read_to_string(std::io::stdin())),
            ["environment"] => environment(),
            ["file", path] => said(std::fs::read(path)),
            ["list", path] => said(std::fs::read_dir(path).map(Iterator::count)),
            ["write", path] => said(std::fs::write(path, "x")),
            ["connect", to] => said(TcpStream::connect(to).map(drop)),
            ["listen", to] => said(std::net::TcpListener::bind(to).map(drop)),
            ["udp", to] => said(UdpSocket::bind(to).map(drop)),
            ["lookup", name] => said(name.to_socket_addrs().map(Iterator::count)),
            ["connect-flood", to] => loop {
                let _ = TcpStream::connect(to);
            },
            ["random"] => said(wasip2::random::random::get_random_bytes(8).len()),
            ["random", bytes] => {
                let bytes = bytes.parse().unwrap_or(u64::MAX);
                said(wasip2::random::random::get_random_bytes(bytes).len())
            }
            ["clock"] => said(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).is_ok()),
            ["handles"] => handles(),
            ["http", method, url] => said(http(method, url, "")),
            ["http", method, url, body] => said(http(method, url, body)),
            ["http-twice", method, url] => {
                let _ = http(method, url, "");
                said(http(method, url, ""))
            }
            ["http-unread", method, url] => said(sent(method, url, "").map(drop)),
            other => format!("what is {other:?}?"),
        };
        Err(Failure { reason: Reason::Other, message, detail: None })
    }
}

fn mode(config: &str) -> &str {
    let in_object = config.split_once(r#""mode":""#).and_then(|(_, rest)| rest.split_once('"'));
    in_object.map_or(config, |(mode, _)| mode)
}

fn said(came: impl std::fmt::Debug) -> String {
    format!("{came:?}")
}

fn spin() -> String {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn print() -> String {
    println!("one\ntwo \u{1b}[31m");
    eprint!("not ended");
    "printed".to_owned()
}

fn environment() -> String {
    let arguments = wasip2::cli::environment::get_arguments();
    let variables = wasip2::cli::environment::get_environment();
    let directories = wasip2::filesystem::preopens::get_directories().len();
    said((arguments, variables, directories))
}

/// Handles without end, each of which costs the host memory.
fn handles() -> String {
    let mut all = Vec::new();
    loop {
        all.push(Fields::new());
    }
}

type Sent = wasip2::http::types::FutureIncomingResponse;

fn sent(method: &str, url: &str, body: &str) -> Result<Sent, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    headers.append("x-test", b"yes").map_err(|e| said(e))?;
    let request = OutgoingRequest::new(headers);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_method(&method).map_err(|()| "method")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| "path")?;
    let outgoing = request.body().map_err(|()| "body")?;
    let answer = handle(request, None).map_err(|e| said(e))?;
    write(outgoing, body)?;
    Ok(answer)
}

fn write(outgoing: OutgoingBody, body: &str) -> Result<(), String> {
    let body = match body.strip_prefix("size=").map(str::parse::<usize>) {
        Some(Ok(size)) => "b".repeat(size),
        _ => body.to_owned(),
    };
    let stream = outgoing.write().map_err(|()| "stream")?;
    for chunk in body.as_bytes().chunks(4_096) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            break;
        }
    }
    drop(stream);
    OutgoingBody::finish(outgoing, None).map_err(|e| said(e))
}

fn http(method: &str, url: &str, body: &str) -> Result<(u16, String), String> {
    let answer = sent(method, url, body)?;
    answer.subscribe().block();
    let response = answer.get().ok_or("no answer")?.map_err(|()| "twice")?.map_err(|e| said(e))?;
    let status = response.status();
    let incoming = response.consume().map_err(|()| "body")?;
    let stream = incoming.stream().map_err(|()| "stream")?;
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(65_536) {
        bytes.extend(chunk);
    }
    drop(stream);
    IncomingBody::finish(incoming);
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}
