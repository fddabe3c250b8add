//! How much passes between containers of two machines: through an overlay, and through a plain
//! VXLAN that is made by hand with `ip`, with all else the same: machines, underlay, MTU, and
//! bridges.
//!
//! `across ROUNDS [--encrypt]` measures by turns, and writes a line a sample: what, whose and how
//! much, with tabs between. It is run by `cargo xtask bench`, in the lab's kernel as well, and
//! knows nothing of tables.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use wharfinger_suite::side::inside;
use wharfinger_suite::{Agent, Attached, Cluster, Netns, Peer, World, eventually};

/// How long a sample is.
const SAMPLE: Duration = Duration::from_secs(1);
/// A connection is let get up to speed.
const WARM: Duration = Duration::from_millis(200);

/// Two containers, each on a machine of its own, and their addresses.
struct Pair<'p> {
    whose: &'static str,
    from: &'p Netns,
    to: &'p Netns,
    at: [IpAddr; 2],
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rounds, encrypt) = match arguments.as_slice() {
        [rounds] => (rounds, false),
        [rounds, word] if word == "--encrypt" => (rounds, true),
        _ => bail!("across ROUNDS [--encrypt]"),
    };
    let rounds: usize = rounds.parse().context("ROUNDS")?;
    let cluster = Cluster::new(2, 1, "");
    let [first, second] = cluster.nodes.as_slice() else { bail!("two machines") };
    let _agents = (Agent::start(first), Agent::start(second));
    let by_hand = [by_hand(first, 0), by_hand(second, 1)];
    let plain = [attach(first, "plain", false), attach(second, "plain", false)];
    let sealed = encrypt.then(|| [attach(first, "sealed", true), attach(second, "sealed", true)]);
    let mut pairs = vec![hands(&by_hand)?, ours("overlay", &plain)?];
    if let Some(sealed) = &sealed {
        pairs.push(ours("overlay, encrypted", sealed)?);
    }
    for pair in &pairs {
        for at in pair.at {
            eventually(pair.whose, || pair.from.pings(&at.to_string()));
        }
    }
    // One before the others is not counted.
    for round in 0..=rounds {
        for turn in 0..pairs.len() {
            let Some(pair) = pairs.get((turn + round) % pairs.len()) else { continue };
            measure(pair, round > 0)?;
        }
    }
    Ok(())
}

fn attach<'w>(world: &'w World, network: &str, encrypt: bool) -> Attached<'w> {
    let third = if encrypt { 45 } else { 44 };
    let ipam = world.ipam(&[&format!("10.{third}.0.0/16"), &format!("fd{third}::/64")]);
    let keys = json!({ "name": network, "underlay": "eth0", "encrypt": encrypt, "ipam": ipam });
    world.attach(&world.conf("overlay", &keys))
}

fn ours<'p>(whose: &'static str, pair: &'p [Attached<'_>; 2]) -> Result<Pair<'p>> {
    let [from, to] = pair;
    let at = [to.v4().parse()?, to.v6().parse()?];
    Ok(Pair { whose, from: &from.container.ns, to: &to.container.ns, at })
}

/// A machine's end of a VXLAN as a person makes it, and a container on it.
fn by_hand(world: &World, at: usize) -> Netns {
    let [here, there] = [at, 1 - at].map(|at| Peer::Node(at).address());
    let (host, pod) = (&world.host, Netns::new("hand"));
    host.ip("link add hand0 type bridge");
    host.ip(&format!(
        "link add hand1 type vxlan id 7 dstport 4788 local {here} remote {there} dev eth0"
    ));
    host.ip(&format!("link add hand2 type veth peer name eth0 netns {}", pod.name()));
    for link in ["hand1", "hand2"] {
        host.ip(&format!("link set {link} mtu 1450 master hand0 up"));
    }
    host.ip("link set hand0 up");
    pod.ip("link set eth0 mtu 1450 up");
    pod.ip(&format!("address add 10.43.0.{}/16 dev eth0", at + 2));
    pod.ip(&format!("address add fd43::{}/64 dev eth0 nodad", at + 2));
    pod
}

fn hands(pair: &[Netns; 2]) -> Result<Pair<'_>> {
    let [from, to] = pair;
    Ok(Pair { whose: "by hand", from, to, at: ["10.43.0.3".parse()?, "fd43::3".parse()?] })
}

fn measure(pair: &Pair<'_>, counts: bool) -> Result<()> {
    for (family, at) in ["IPv4", "IPv6"].into_iter().zip(pair.at) {
        let rate = stream(pair, at).with_context(|| format!("{}: a stream", pair.whose))?;
        said(counts, &format!("TCP, {family}, Mbit/s"), pair.whose, rate);
    }
    let [v4, _] = pair.at;
    let turns = turns(pair, v4).with_context(|| format!("{}: by turns", pair.whose))?;
    said(counts, "TCP, IPv4, a byte there and back, a second", pair.whose, turns);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its purpose")]
fn said(counts: bool, what: &str, whose: &str, value: f64) {
    if counts {
        println!("{what}\t{whose}\t{value:.0}");
    }
}

/// Both ends of a connection. A socket stays in the namespace that it was made in.
fn connected(pair: &Pair<'_>, at: IpAddr) -> Result<(TcpStream, TcpStream)> {
    let listener = inside(pair.to, || TcpListener::bind((at, 0)))?;
    let port = listener.local_addr()?.port();
    let to = SocketAddr::new(at, port);
    let near = inside(pair.from, || TcpStream::connect_timeout(&to, Duration::from_secs(10)))?;
    let (far, _) = listener.accept()?;
    for end in [&near, &far] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(Duration::from_secs(10)))?;
        end.set_write_timeout(Some(Duration::from_secs(10)))?;
    }
    Ok((near, far))
}

/// What arrives of one stream: millions of bits a second.
fn stream(pair: &Pair<'_>, at: IpAddr) -> Result<f64> {
    let (mut near, mut far) = connected(pair, at)?;
    std::thread::scope(move |scope| {
        scope.spawn(move || {
            let block = vec![0; 128 << 10];
            let start = Instant::now();
            while start.elapsed() < WARM + SAMPLE + WARM && near.write_all(&block).is_ok() {}
        });
        let mut block = vec![0; 128 << 10];
        let start = Instant::now();
        while start.elapsed() < WARM {
            far.read_exact(&mut block[..1 << 10])?;
        }
        let (start, mut bytes) = (Instant::now(), 0_u32);
        // In units that fit: a kibibyte is as fine as it needs to be.
        let mut rest = 0;
        while start.elapsed() < SAMPLE {
            let read = far.read(&mut block)? + rest;
            bytes = bytes.saturating_add(u32::try_from(read >> 10)?);
            rest = read & 1023;
        }
        let took = start.elapsed();
        // Who writes is not to wait for a reader that does not come any more.
        drop(far);
        Ok(f64::from(bytes) * 8.192e-3 / took.as_secs_f64())
    })
}

/// How often a byte goes there and comes back, a second.
fn turns(pair: &Pair<'_>, at: IpAddr) -> Result<f64> {
    let (mut near, mut far) = connected(pair, at)?;
    std::thread::scope(move |scope| {
        scope.spawn(move || {
            let mut byte = [0];
            while far.read_exact(&mut byte).and_then(|()| far.write_all(&byte)).is_ok() {}
        });
        let mut byte = [0];
        let (start, mut turns) = (Instant::now(), 0_u32);
        while start.elapsed() < SAMPLE {
            near.write_all(&byte)?;
            near.read_exact(&mut byte)?;
            turns = turns.saturating_add(1);
        }
        let took = start.elapsed();
        // As above.
        drop(near);
        Ok(f64::from(turns) / took.as_secs_f64())
    })
}
