//! A server that answers what a test tells it to, over TLS, and remembers what it was asked.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Keys and certificates of nobody, made for these tests; good for a hundred years.
pub(crate) const PKI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pki");

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status and a body.
    Says(u16, String),
    /// The connection ends without a word.
    Hangs,
    /// Nothing comes.
    Silent,
    /// Lines, then the end of the connection.
    Lines(Vec<String>),
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

/// It ends with the value.
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    pub(crate) dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let (stop, thread) = self.thread.take().unwrap();
        drop(stop);
        thread.join().unwrap();
    }
}

impl Server {
    /// It answers this, one after the other; then 500.
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(replies, false)
    }

    pub(crate) fn with(replies: impl IntoIterator<Item = Reply>, mutual: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let state = Arc::new(State::default());
        state.replies.lock().unwrap().extend(replies);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config(mutual)));
        let (shared, (stop, stopped)) = (Arc::clone(&state), oneshot::channel::<()>());
        let thread = std::thread::spawn(move || {
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
                }
            });
            let _ = runtime.block_on(stopped);
        });
        let dir = tempfile::tempdir().unwrap();
        Self { port, state, thread: Some((stop, thread)), dir }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// A kubeconfig for it, with these lines about the cluster and the user.
    pub(crate) fn kubeconfig(&self, cluster: &str, user: &str) -> PathBuf {
        let path = self.dir.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: \
             {{cluster: k, user: u}}\nclusters:\n- name: k\n  cluster:\n    server: \
             https://127.0.0.1:{}\n{cluster}users:\n- name: u\n  user:\n{user}",
            self.port
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn config(mutual: bool) -> ServerConfig {
    let file = |name: &str| std::fs::read(Path::new(PKI).join(name)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&file("server.key")).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&file("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(vec![certificate], key).unwrap()
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    state.connections.fetch_add(1, Ordering::SeqCst);
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        state.asked.lock().unwrap().push(asked);
        let next = state.replies.lock().unwrap().pop_front();
        let reply = next.unwrap_or_else(|| Reply::Says(500, "{}".to_owned()));
        let text = match reply {
            Reply::Says(status, body) => format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nretry-after: 0\r\n\r\n{body}",
                body.len()
            ),
            Reply::Hangs => return,
            Reply::Silent => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                return;
            }
            Reply::Lines(lines) => {
                let head = "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n";
                let text = format!("{head}{}\n", lines.join("\n"));
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                return;
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let mut all = lines.iter().filter_map(|line| line.split_once(": "));
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length = header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    let token = header("authorization").map(|text| text.replace("Bearer ", ""));
    Some(Asked { line, token, body: String::from_utf8(body).unwrap() })
}
