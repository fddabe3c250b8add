//! Real packets, sent and seen from threads that are in the namespaces.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
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
    /// SCTP: the first two packets of an association, made by hand: few kernels speak it, all
    /// translate it.
    Sctp,
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
            Proto::Sctp => sctp(from, to, server, port),
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

/// Sends an INIT from port 5000, or answers one at a port with an INIT ACK and says whom it saw.
const SCTP: &str = r"
import socket, struct, sys
def crc(data):
    c = 0xffffffff
    for b in data:
        c ^= b
        for _ in range(8): c = (c >> 1) ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff
def packet(source, to, tag, kind):
    chunk = struct.pack('!BBHIIHHI', kind, 0, 20, 7, 65535, 1, 1, 1)
    if kind == 2: chunk = struct.pack('!BBHIIHHIHH', 2, 0, 24, 9, 65535, 1, 1, 1, 7, 4)
    head = struct.pack('!HHI', source, to, tag)
    return head + struct.pack('<I', crc(head + bytes(4) + chunk)) + chunk
role, v6, address, port = sys.argv[1], sys.argv[2] == '6', sys.argv[3], int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 132)
own, kind = (port, 1) if role == 'server' else (5000, 2)
if role == 'server': print('ready', flush=True)
else: s.sendto(packet(5000, port, 0, 1), (address, 0))
s.settimeout(1.5)
try:
    while True:
        data, peer = s.recvfrom(2000)
        if not v6: data = data[(data[0] & 15) * 4:]
        if len(data) < 32 or data[12] != kind: continue
        source, to = struct.unpack('!HH', data[:4])
        if to != own: continue
        # The kernel's translation has to have kept the checksum right.
        if struct.unpack('<I', data[8:12])[0] != crc(data[:8] + bytes(4) + data[12:]): continue
        if role == 'server':
            s.sendto(packet(port, source, 7, 2), (peer[0], 0))
            print(peer[0])
            break
        if peer[0] == address and source == port:
            print('answered')
            break
except OSError: pass
";

/// As whom the server saw it, where its answer came back as from where it was asked.
fn sctp(from: &Netns, to: SocketAddr, server: &Netns, port: u16) -> Option<SocketAddr> {
    let version = if to.is_ipv6() { "6" } else { "4" };
    let words = |role: &str, address: &str, port: u16| {
        ["python3", "-c", SCTP, role, version, address, &port.to_string()].map(str::to_owned)
    };
    let (name, words_of) = (server.name(), words("server", "any", port));
    let mut serving = Command::new("ip")
        .args(["netns", "exec", name])
        .args(words_of)
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = BufReader::new(serving.stdout.take()?).lines();
    let _ready = said.next()?.ok()?;
    let asks = words("client", &to.ip().to_string(), to.port());
    let asks: Vec<&str> = asks.iter().map(String::as_str).collect();
    let answered = from.run(&asks).contains("answered");
    let seen = said.next().and_then(Result::ok);
    let _ = serving.wait();
    let seen: IpAddr = seen?.trim().parse().ok()?;
    answered.then(|| SocketAddr::new(seen, 5000))
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
