//! Real packets, sent and seen from threads that are in the namespaces.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use super::{Pod, Side};
use crate::Netns;

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// The host.
    Host,
    /// A pod.
    Pod(&'a Pod),
    /// The machine beyond the host.
    Outside,
}

/// How long is waited for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs it on a thread that is in this namespace. A socket that it makes stays there.
#[track_caller]
pub fn inside<T: Send>(ns: &Netns, work: impl FnOnce() -> T + Send) -> T {
    inside_at(&ns.path(), work)
}

/// Runs it on a thread that is in the namespace of this path.
#[track_caller]
pub fn inside_at<T: Send>(path: &str, work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        let entered = File::open(path).map_err(|error| error.to_string()).and_then(|file| {
            setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| errno.to_string())
        });
        assert!(entered.is_ok(), "{path}: {entered:?}");
        work()
    };
    match std::thread::scope(|scope| scope.spawn(enter).join()) {
        Ok(value) => value,
        Err(why) => std::panic::resume_unwind(why),
    }
}

impl Side {
    fn ns<'a>(&'a self, who: Who<'a>) -> &'a Netns {
        match (who, &self.outside) {
            (Who::Host, _) => &self.world.host,
            (Who::Pod(pod), _) => &pod.container.ns,
            (Who::Outside, Some(wan)) => wan,
            (Who::Outside, None) => panic!("there is no outside: Side::outside makes it"),
        }
    }

    /// `from` speaks to `to`, which is to reach `server` at `port`. What is told: as whom the
    /// server sees it, once its answer came back; or `nothing`.
    #[track_caller]
    pub fn speaks(
        &mut self,
        what: &str,
        from: Who<'_>,
        to: &str,
        server: Who<'_>,
        port: u16,
        proto: Proto,
    ) {
        // A first packet of IPv6 may come while neighbours are still being looked for.
        let seen = (0..3).find_map(|_| self.exchange(from, to, server, port, proto));
        self.tell(what, seen.map_or_else(|| "nothing".to_owned(), |seen| seen.ip().to_string()));
    }

    #[track_caller]
    fn exchange(
        &self,
        from: Who<'_>,
        to: &str,
        server: Who<'_>,
        port: u16,
        proto: Proto,
    ) -> Option<SocketAddr> {
        let Ok(to) = to.parse::<SocketAddr>() else { panic!("no address and port: {to}") };
        let any = if to.is_ipv6() {
            IpAddr::from(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::from(Ipv4Addr::UNSPECIFIED)
        };
        let (from, server) = (self.ns(from), self.ns(server));
        match proto {
            Proto::Tcp => tcp(from, to, server, SocketAddr::new(any, port)),
            Proto::Udp => udp(from, to, server, SocketAddr::new(any, port)),
        }
    }

    /// Whether an echo request is answered.
    #[track_caller]
    pub fn pings(&mut self, what: &str, from: Who<'_>, to: &str) {
        let ns = self.ns(from);
        let once = || ns.try_run(&["ping", "-n", "-c", "1", "-W", "1", to]).status.success();
        let answered = (0..2).any(|_| once());
        self.tell(what, answered);
    }

    /// Sends this many bytes by TCP from one to the other. Told: whether it took as long as this
    /// rate (bits a second) makes it take, once a burst (bits) is spent; at least two thirds of it.
    #[track_caller]
    pub fn rate(
        &mut self,
        what: &str,
        from: Who<'_>,
        to: &str,
        server: Who<'_>,
        shape: (f64, f64),
    ) {
        let (rate, burst) = shape;
        let bytes = 60_000_u32;
        let Ok(to) = to.parse::<SocketAddr>() else { panic!("no address and port: {to}") };
        let took = bulk(self.ns(from), to, self.ns(server), bytes);
        let least = (f64::from(bytes) * 8.0 - burst).max(0.0) / rate;
        let told = took.map_or_else(
            || json!("nothing arrived"),
            |took| {
                if took.as_secs_f64() > least * 0.66 {
                    json!("shaped")
                } else {
                    json!("not shaped")
                }
            },
        );
        self.tell(what, told);
    }
}

/// Binds; what was there before at that port may take a moment to go.
#[track_caller]
fn bound<T: Send>(server: &Netns, bind: impl Fn() -> std::io::Result<T> + Send + Sync) -> T {
    let mut tries = 0;
    loop {
        match inside(server, &bind) {
            Ok(socket) => return socket,
            Err(error) if tries == 100 => panic!("bind: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
        tries += 1;
    }
}

fn tcp(from: &Netns, to: SocketAddr, server: &Netns, bind: SocketAddr) -> Option<SocketAddr> {
    let listener = bound(server, || TcpListener::bind(bind));
    let stream = inside(from, || TcpStream::connect_timeout(&to, PATIENCE)).ok()?;
    listener.set_nonblocking(true).ok()?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((_, seen)) => return Some(seen),
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Connected, but with somebody else.
            Err(_) => break,
        }
    }
    drop(stream);
    None
}

fn udp(from: &Netns, to: SocketAddr, server: &Netns, bind: SocketAddr) -> Option<SocketAddr> {
    let listener = bound(server, || UdpSocket::bind(bind));
    listener.set_read_timeout(Some(PATIENCE)).ok()?;
    let client = inside(from, || {
        let client = UdpSocket::bind(SocketAddr::new(bind.ip(), 0)).ok()?;
        client.connect(to).ok()?;
        client.send(b"who am I?").ok()?;
        Some(client)
    })?;
    let mut buffer = [0; 64];
    let (_, seen) = listener.recv_from(&mut buffer).ok()?;
    listener.send_to(b"you", seen).ok()?;
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    client.recv(&mut buffer).ok().map(|_| seen)
}

/// How long it takes until all has arrived.
fn bulk(from: &Netns, to: SocketAddr, server: &Netns, bytes: u32) -> Option<Duration> {
    let bind = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), to.port());
    let listener = bound(server, || TcpListener::bind(bind));
    let mut client = inside(from, || TcpStream::connect_timeout(&to, PATIENCE * 5)).ok()?;
    let start = Instant::now();
    let sent = std::thread::spawn(move || {
        let _ = client.write_all(&vec![7; usize::try_from(bytes).unwrap_or(0)]);
    });
    let (mut stream, _) = listener.accept().ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let took = start.elapsed();
    let _ = sent.join();
    (all.len() == usize::try_from(bytes).unwrap_or(0)).then_some(took)
}

impl From<&Pod> for Value {
    fn from(pod: &Pod) -> Self {
        json!(pod.container.id)
    }
}
