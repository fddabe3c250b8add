//! A NetBox of as much as the example plugin `netbox` asks: entries of one prefix, made from its
//! free addresses, found by description, deleted. In memory, one connection after the other.
//!
//!     netbox ADDRESS:PORT NETWORK TOKEN
//!     netbox tell ADDRESS:PORT MODE           tells one that runs; with "log" prints its log
//!
//! NETWORK is an IPv4 network, as 10.1.0.0/24; it is the prefix number 7. With port 0 a free one is
//! chosen; the first line of standard output is "ADDRESS:PORT", once requests are answered.
//!
//! Told what to do at `POST /-/MODE`, without a token: `up` (as at first), `down` (connections are
//! closed without an answer), `broken` (503), `slow/MILLISECONDS` (before every answer), `page/N`
//! (entries on a page), `ignorant` (it knows no filter and answers with every entry). `GET /-/log`
//! has the requests so far, one a line: "POST /api/ipam/prefixes/7/available-ips/ 201".
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the tests")]

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// The prefix's number.
const PREFIX: &str = "7";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, network, token] = arguments.as_slice() else {
        bail!("usage: netbox ADDRESS:PORT NETWORK TOKEN, or netbox tell ADDRESS:PORT MODE");
    };
    if address == "tell" {
        return tell(network, token);
    }
    let mut netbox = Netbox::new(network, token)?;
    let listener = TcpListener::bind(address).with_context(|| format!("listen at {address}"))?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // Whoever hangs up has what it wanted, or wants no more.
        let _ = stream.and_then(|stream| netbox.serve(&stream));
    }
    Ok(())
}

fn tell(address: &str, mode: &str) -> Result<()> {
    let method = if mode == "log" { "GET" } else { "POST" };
    let mut stream = TcpStream::connect(address).with_context(|| format!("reach {address}"))?;
    write!(stream, "{method} /-/{mode} HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{mode}: {body}");
    }
    print!("{body}");
    Ok(())
}

/// A request, as far as it matters.
struct Request {
    method: String,
    path: String,
    query: String,
    token: String,
    /// As the client names this server.
    host: String,
    body: Vec<u8>,
}

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Broken,
    Ignorant,
}

struct Entry {
    id: u64,
    address: Ipv4Addr,
    description: String,
}

struct Netbox {
    /// The first and the last that are given; the length of the prefix.
    first: u32,
    last: u32,
    length: u8,
    token: String,
    entries: Vec<Entry>,
    made: u64,
    mode: Mode,
    slow: Duration,
    page: usize,
    log: String,
}

impl Netbox {
    fn new(network: &str, token: &str) -> Result<Self> {
        let (address, length) = network.split_once('/').context("NETWORK: as 10.1.0.0/24")?;
        let first = u32::from(address.parse::<Ipv4Addr>().context("NETWORK")?);
        let length: u8 = length.parse().context("NETWORK")?;
        let Some(size) = 1_u32.checked_shl(32 - u32::from(length)).filter(|size| *size >= 4) else {
            bail!("NETWORK: a prefix length from 1 to 30");
        };
        Ok(Self {
            // The network's own address, and the gateway by custom, are not available.
            first: first + 2,
            last: first + size - 2,
            length,
            token: format!("Token {token}"),
            entries: Vec::new(),
            made: 0,
            mode: Mode::Up,
            slow: Duration::ZERO,
            page: 50,
            log: String::new(),
        })
    }

    fn serve(&mut self, stream: &TcpStream) -> io::Result<()> {
        let Some(request) = read(stream)? else { return Ok(()) };
        if let Some(path) = request.path.strip_prefix("/-/") {
            let (status, body) = self.told(&request.method, path);
            return write(stream, status, "text/plain", &body);
        }
        std::thread::sleep(self.slow);
        if self.mode == Mode::Down {
            let _ = writeln!(self.log, "{} {} -", request.method, request.path);
            return Ok(());
        }
        let (status, body) = self.answer(&request);
        let _ = writeln!(self.log, "{} {} {status}", request.method, request.path);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        write(stream, status, "application/json", &text)
    }

    /// What the test wants.
    fn told(&mut self, method: &str, path: &str) -> (u16, String) {
        if (method, path) == ("GET", "log") {
            return (200, self.log.clone());
        }
        let (word, number) = path.split_once('/').unwrap_or((path, "0"));
        let number = number.parse().unwrap_or_default();
        match word {
            "up" => (self.mode, self.slow) = (Mode::Up, Duration::ZERO),
            "down" => self.mode = Mode::Down,
            "broken" => self.mode = Mode::Broken,
            "ignorant" => self.mode = Mode::Ignorant,
            "slow" => self.slow = Duration::from_millis(number),
            "page" => self.page = usize::try_from(number).unwrap_or(usize::MAX).max(1),
            _ => return (404, format!("no mode {word}\n")),
        }
        (200, String::new())
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        if self.mode == Mode::Broken {
            return (503, json!({ "detail": "out of order" }));
        }
        if request.token != self.token {
            return (403, json!({ "detail": "Invalid token" }));
        }
        let Some(path) = request.path.strip_prefix("/api/ipam/") else { return missing() };
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["ip-addresses", ""]) => self.list(request),
            ("POST", ["prefixes", PREFIX, "available-ips", ""]) => self.make(&request.body),
            ("DELETE", ["ip-addresses", id, ""]) => self.delete(id),
            _ => missing(),
        }
    }

    /// A page of the entries with the description of the query.
    fn list(&self, request: &Request) -> (u16, Value) {
        let value = |name: &str| {
            let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| unescaped(value))
        };
        let wanted = value("description").filter(|_| self.mode != Mode::Ignorant);
        let offset = value("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let fits = |entry: &&Entry| wanted.as_ref().is_none_or(|text| *text == entry.description);
        let all: Vec<Value> = self.entries.iter().filter(fits).map(|e| self.shown(e)).collect();
        let results: Vec<&Value> = all.iter().skip(offset).take(self.page).collect();
        let rest = offset + results.len();
        let next = (rest < all.len()).then(|| {
            let query = request.query.split("&offset=").next().unwrap_or_default();
            format!("http://{}{}?{query}&offset={rest}", request.host, request.path)
        });
        let previous = Value::Null;
        (200, json!({ "count": all.len(), "next": next, "previous": previous, "results": results }))
    }

    /// The lowest available address becomes an entry.
    fn make(&mut self, body: &[u8]) -> (u16, Value) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return (400, json!({ "detail": "JSON parse error" }));
        };
        let description = match &body["description"] {
            Value::Null => String::new(),
            Value::String(text) if text.len() <= 200 => text.clone(),
            _ => return (400, json!({ "description": ["Not a valid string of 200 characters."] })),
        };
        let taken = |n: &u32| self.entries.iter().any(|entry| u32::from(entry.address) == *n);
        let Some(free) = (self.first..=self.last).find(|n| !taken(n)) else {
            let detail = "An insufficient number of IP addresses are available within the prefix";
            return (409, json!({ "detail": detail }));
        };
        self.made += 1;
        let entry = Entry { id: self.made, address: free.into(), description };
        let shown = self.shown(&entry);
        self.entries.push(entry);
        (201, shown)
    }

    fn delete(&mut self, id: &str) -> (u16, Value) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.id.to_string() != id);
        if self.entries.len() < before { (204, Value::Null) } else { missing() }
    }

    fn shown(&self, entry: &Entry) -> Value {
        json!({
            "id": entry.id,
            "family": { "value": 4, "label": "IPv4" },
            "address": format!("{}/{}", entry.address, self.length),
            "status": { "value": "active", "label": "Active" },
            "description": entry.description,
        })
    }
}

fn missing() -> (u16, Value) {
    (404, json!({ "detail": "Not found." }))
}

/// None where the client hung up first.
fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let (mut token, mut host, mut length) = (String::new(), String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.trim().clone_into(&mut token),
            "host" => value.trim().clone_into(&mut host),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, query, token, host, body }))
}

fn write(mut stream: &TcpStream, status: u16, kind: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} NetBox\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    // No answer of this status has a body, nor its length (RFC 9110, 8.6).
    let head =
        if status == 204 { "HTTP/1.1 204 NetBox\r\nconnection: close\r\n\r\n" } else { &head };
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// "%2F" is "/".
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = if byte == b'%' { rest.next().zip(rest.next()) } else { None };
        let value = digits.and_then(|(high, low)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        });
        bytes.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
