//! HTTP with a grant: what passes, and every refusal. The servers are local, so each test that
//! reaches one names its address.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use support::{MemBook, guest, node, request};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use wharfinger_wasm::{Error, Grants, HttpAnswer, HttpGrant, Ipam, IpamPlugin, Limits, Plugin};

static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| guest("tests/hostile-wasi"));

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");

fn plugin(grants: Vec<HttpGrant>) -> IpamPlugin {
    let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
    let plugin =
        Plugin::compiled("asks", &WASM, &limits, &Grants { http: grants, ..Grants::default() });
    plugin.unwrap().ipam().unwrap()
}

fn grant(host: &str, port: u16) -> HttpGrant {
    HttpGrant {
        tls: false,
        host: host.to_owned(),
        port,
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        timeout: Duration::from_secs(5),
        size: 10_000,
        addresses: vec![LOOPBACK, "::1".parse().unwrap()],
        authorities: None,
    }
}

/// One request: its first line, headers and body, and what is answered.
fn answer(stream: &mut (impl Read + Write)) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let text =
        format!("{} host={} body={}", head.split(' ').next().unwrap(), host(&head), body.len());
    let stream = reader.into_inner();
    let sent = match path.as_str() {
        "/slow" => {
            thread::sleep(Duration::from_secs(4));
            Ok(())
        }
        "/moved" => write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        ),
        "/large" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n{}", "x".repeat(20_000))
        }
        "/nonsense" => write!(stream, "what?\r\n\r\n"),
        _ => write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()),
    };
    drop(sent);
    let _ = stream.flush();
}

fn host(head: &str) -> &str {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("host: "));
    line.map_or("none", |line| &line[6..])
}

/// A server that answers whoever comes; its port.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn plain() -> u16 {
    server(|mut stream| answer(&mut stream))
}

fn secure() -> u16 {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    server(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        answer(&mut StreamOwned::new(connection, stream));
    })
}

fn call(plugin: &IpamPlugin, what: &str) -> (Error, MemBook) {
    let mut book = MemBook::default();
    let answer = plugin.allocate(&node(), &request(what, &[]), &mut book);
    (answer.expect_err(what), book)
}

fn said(plugin: &IpamPlugin, what: &str) -> String {
    match call(plugin, what) {
        (Error::Failed { message, .. }, _) => message,
        (other, _) => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_granted_request_arrives_and_its_answer_comes_back_whole() {
    let port = plain();
    let plugin = plugin(vec![grant("127.0.0.1", port)]);
    assert_eq!(
        said(&plugin, &format!("http GET http://127.0.0.1:{port}/a")),
        format!("Ok((200, \"GET host=127.0.0.1:{port} body=0\"))")
    );
    let (error, book) = call(&plugin, &format!("http POST http://127.0.0.1:{port}/a size=9000"));
    assert!(error.to_string().contains("body=9000"), "{error}");
    let (asked, answer) = &book.http[0];
    assert_eq!((asked.method.as_str(), asked.body.len()), ("POST", 9_000));
    assert_eq!(asked.url, format!("http://127.0.0.1:{port}/a"));
    assert!(asked.headers.contains(&("x-test".to_owned(), "yes".to_owned())));
    assert_eq!(answer.status, 200);
}

#[test]
fn names_are_resolved_and_a_redirect_is_not_followed() {
    let port = plain();
    let plugin = plugin(vec![grant("localhost", port)]);
    let there = said(&plugin, &format!("http GET http://LOCALHOST:{port}/a"));
    assert!(there.starts_with("Ok((200, "), "{there}");
    assert_eq!(
        said(&plugin, &format!("http GET http://localhost:{port}/moved")),
        "Ok((302, \"\"))"
    );
}

#[test]
fn tls_is_spoken_with_the_grants_authorities_alone() {
    let port = secure();
    let tls = HttpGrant { tls: true, ..grant("localhost", port) };
    let named = HttpGrant { authorities: Some(AUTHORITY.to_vec()), ..tls.clone() };
    let ask = format!("http GET https://localhost:{port}/a");
    let there = said(&plugin(vec![named.clone()]), &ask);
    assert!(there.starts_with("Ok((200, "), "{there}");
    // By the system's authorities, and under a name that the certificate does not have.
    let unknown = said(&plugin(vec![tls]), &ask);
    assert!(unknown.contains("TlsCertificateError"), "{unknown}");
    let other = HttpGrant { host: "127.0.0.1".to_owned(), ..named };
    let other = said(&plugin(vec![other]), &format!("http GET https://127.0.0.1:{port}/a"));
    assert!(other.contains("TlsCertificateError"), "{other}");
}

#[test]
fn pain_h2_what_a_grant_does_not_name_is_refused() {
    let port = plain();
    let get = HttpGrant { methods: vec!["GET".to_owned()], ..grant("127.0.0.1", port) };
    let plugin = plugin(vec![get]);
    for (what, named) in [
        (format!("http POST http://127.0.0.1:{port}/"), "methods = [\"POST\"]"),
        (format!("http BREW http://127.0.0.1:{port}/"), "methods = [\"BREW\"]"),
        (format!("http GET https://127.0.0.1:{port}/"), "scheme = \"https\""),
        ("http GET http://127.0.0.1:1/".to_owned(), "port = 1"),
        ("http GET http://127.0.0.1/".to_owned(), "port = 80"),
        (format!("http GET http://localhost:{port}/"), "host = \"localhost\""),
        (format!("http GET http://127.0.0.2:{port}/"), "host = \"127.0.0.2\""),
    ] {
        match call(&plugin, &what) {
            (Error::Refused { grant, .. }, book) => {
                assert!(grant.contains(named), "{what}: {grant}");
                assert!(book.http.is_empty());
            }
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
    let user = said(&plugin, &format!("http GET http://127.0.0.1:{port}@ipam.example/"));
    assert!(user.starts_with("Err("), "{user}");
}

#[test]
fn an_address_of_the_node_is_refused_unless_it_is_named() {
    let port = plain();
    let near = HttpGrant { addresses: vec![], ..grant("localhost", port) };
    for host in ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.169.254"]
    {
        let plugin = plugin(vec![HttpGrant { host: host.to_owned(), ..near.clone() }]);
        let url = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match call(&plugin, &format!("http GET http://{url}:{port}/")) {
            (Error::Refused { import, grant, .. }, book) => {
                assert!(import.contains("whose address"), "{host}: {import}");
                assert!(grant.contains("\naddresses = [\""), "{host}: {grant}");
                assert_eq!(book.http[0].1.status, 0);
            }
            (other, _) => panic!("{host}: {other:?}"),
        }
    }
}

#[test]
fn time_and_sizes_are_bounded_and_a_failure_is_told() {
    let port = plain();
    let short = HttpGrant { timeout: Duration::from_millis(500), ..grant("127.0.0.1", port) };
    let plugin = plugin(vec![short, grant("127.0.0.1", 1)]);
    for (what, wanted, code) in [
        (format!("http GET http://127.0.0.1:{port}/slow"), "HttpResponseTimeout", "timeout: "),
        (
            format!("http GET http://127.0.0.1:{port}/large"),
            "HttpResponseBodySize",
            "response-size: ",
        ),
        (format!("http GET http://127.0.0.1:{port}/nonsense"), "HttpProtocolError", "protocol: "),
        ("http GET http://127.0.0.1:1/".to_owned(), "ConnectionRefused", "connect: "),
    ] {
        let (error, book) = call(&plugin, &what);
        assert!(error.to_string().contains(wanted), "{what}: {error}");
        assert_eq!(book.http[0].1.status, 0, "{what}");
        assert!(book.http[0].1.body.starts_with(code), "{what}: {:?}", book.http[0].1);
        assert_eq!(book.lines.len(), 1, "{what}: {:?}", book.lines);
    }
    let large = said(&plugin, &format!("http POST http://127.0.0.1:{port}/a size=20000"));
    assert!(large.contains("HttpRequestBodySize"), "{large}");
}

#[test]
fn an_answer_that_is_known_is_not_asked_for_again() {
    let plugin = plugin(vec![grant("127.0.0.1", 1)]);
    for (known, wanted) in [
        (HttpAnswer { status: 418, headers: vec![], body: "tea".into() }, "Ok((418, \"tea\"))"),
        (
            HttpAnswer { status: 0, headers: vec![], body: "timeout: x".into() },
            "HttpResponseTimeout",
        ),
    ] {
        let mut book = MemBook { known: Some(known), ..MemBook::default() };
        let ask = request("http GET http://127.0.0.1:1/", &[]);
        let error = plugin.allocate(&node(), &ask, &mut book).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(book.http.is_empty());
    }
}
