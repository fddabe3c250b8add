//! Published ports: an attachment of their own behind the endpoint's, so that they come and go by
//! themselves. Docker looks for no conflict, and chooses no port: both are ours to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use wharfinger_attach::{Error, add as verb};
use wharfinger_cni::{Attach, Success};
use wharfinger_docker::{Choice, Id, Network, interface, mappings};

use super::calls::{Failure, call, conf, del};
use crate::events::{self, Event};
use crate::program::Program;

/// Where ports are chosen from that nobody names, as the kernel chooses its own.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// How many ports are tried that turn out to be somebody's.
const ATTEMPTS: usize = 64;

/// Publishes ports; those that may be chosen are.
pub(super) fn publish(
    program: &Program,
    network: &Network,
    endpoint: &Id,
    made: &Success,
    wanted: &[Choice],
) -> Result<(), Failure> {
    let mut taken: Vec<u16> = Vec::new();
    for _ in 0..ATTEMPTS {
        let chosen = choose(wanted, &taken)?;
        let conf = conf(&network.published(endpoint, &mappings(&chosen)))?;
        let call = Attach {
            prev_result: Some(made.clone()),
            ..call(conf, endpoint.as_str(), &interface(endpoint))
        };
        match added(program, &call) {
            Err(Error::PortTaken { port, .. }) if may_be_another(wanted, port.port) => {
                taken.push(port.port);
            }
            other => return Ok(other?),
        }
    }
    Err(Failure::Refused(format!("no port of the host is free for endpoint {}", endpoint.short())))
}

fn added(program: &Program, call: &Attach) -> Result<(), Error> {
    let event = Event::attachment("ADD", &call.id);
    let done = program.verb(|host| {
        let added = verb::add(host, call)?;
        verb::finish(host, call, &added, true)
    });
    let error = done.as_ref().err().map(|error| error.to_cni(&call.id.network));
    let mut line = event.ended(error.as_ref());
    program.heard.tell(&mut line);
    events::append(&program.paths.run, &line);
    done
}

/// Takes the ports back; that there are none is fine.
pub(super) fn withdraw(program: &Program, network: &Network, id: &Id) -> Result<(), Failure> {
    let conf = conf(&network.published(id, &mappings(&[])))?;
    Ok(del(program, &call(conf, id.as_str(), &interface(id)))?)
}

/// Whether a port was chosen, and so may be another one.
fn may_be_another(wanted: &[Choice], port: u16) -> bool {
    !wanted.iter().any(|it| it.host == Some((port, port)))
}

/// A port of the host for each.
fn choose(wanted: &[Choice], taken: &[u16]) -> Result<Vec<(Choice, u16)>, Failure> {
    let mut chosen: Vec<(Choice, u16)> = Vec::new();
    for choice in wanted {
        let (first, last) = choice.host.unwrap_or_else(ephemeral);
        let fixed = first == last;
        let clashes = |port: u16| {
            let same = |(it, other): &(Choice, u16)| {
                *other == port && it.protocol == choice.protocol && it.host_ip == choice.host_ip
            };
            !fixed && (taken.contains(&port) || chosen.iter().any(same))
        };
        let mut ports = (first..=last).filter(|port| !clashes(*port));
        match ports.find(|port| is_free(choice, *port)) {
            Some(port) => chosen.push((choice.clone(), port)),
            None if fixed => {
                let text = format!("port {first}/{} is taken by a program", choice.protocol);
                return Err(Failure::Refused(text));
            }
            None => {
                let text = format!("ports {first}-{last}/{} are all taken", choice.protocol);
                return Err(Failure::Refused(text));
            }
        }
    }
    Ok(chosen)
}

fn ephemeral() -> (u16, u16) {
    let text = std::fs::read_to_string(RANGE).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first < last => (first, last),
        _ => (32768, 60999),
    }
}

/// Whether no program of the host listens there.
fn is_free(choice: &Choice, port: u16) -> bool {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = match choice.host_ip {
        Some(ip) => vec![ip],
        None => any.to_vec(),
    };
    let taken = |address: SocketAddr| {
        let error = match choice.protocol {
            "tcp" => TcpListener::bind(address).err(),
            "udp" => UdpSocket::bind(address).err(),
            _ => None,
        };
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    !addresses.into_iter().any(|ip| taken(SocketAddr::new(ip, port)))
}
