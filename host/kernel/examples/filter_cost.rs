//! What an ADD costs our tables of the packet filter with 10 and with 10,000 attachments in them:
//! printed, and asserted nowhere. `cargo run --release --example filter_cost`, as root.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

use std::time::{Duration, Instant};

use wharfinger_kernel::netlink::Netlink;
use wharfinger_kernel::{AtPath, Kernel};
use wharfinger_plan::{
    Action, Allow, Forward, Guard, HostPort, IngressPolicy, Isolation, Mac, Masquerade, Plan,
    PortMap, Ports, Protocol, Rules, Step,
};

const ROUNDS: u32 = 200;

fn main() {
    // SAFETY: unshare(2) takes no pointers; it changes this process alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "needs root: {}", std::io::Error::last_os_error());
    let AtPath::Netns(netns) = Netlink.netns("/proc/self/ns/net".as_ref()).unwrap() else {
        return;
    };
    for count in [10, 10_000] {
        let all: Vec<Action> = (0..count).flat_map(steps).collect();
        let start = Instant::now();
        Netlink.reload(&all).unwrap();
        let rebuilt = start.elapsed();
        let plan = Plan::new(steps(60_000).into_iter().map(Step::owned).collect());
        let (mut add, mut check, mut del) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            add.push(timed(|| drop(Netlink.apply(&plan, &netns).unwrap())));
            check.push(timed(|| assert_eq!(Netlink.verify(&plan, &netns).unwrap(), [])));
            del.push(timed(|| assert!(Netlink.undo(&plan, None).is_empty())));
        }
        println!(
            "{count:>6} attachments: ADD {:?}, CHECK {:?}, DEL {:?} (medians of {ROUNDS}); \
             all made anew in {rebuilt:?}",
            median(add),
            median(check),
            median(del)
        );
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// All that the `number`-th attachment of one network may have.
fn steps(number: u16) -> Vec<Action> {
    let [high, low] = number.to_be_bytes();
    let address = std::net::IpAddr::from([10, 1, high, low]);
    let comment = format!("pods/container-{number}/eth0");
    let (link, addresses) = (format!("veth{number}"), vec![address]);
    let network: ipnet::IpNet = "10.1.0.0/16".parse().unwrap();
    let port = HostPort {
        protocol: Protocol::Tcp,
        host: None,
        port: number + 1,
        to: address,
        to_port: 80,
    };
    let allow =
        Allow { peers: vec![network], ports: vec![Ports { protocol: Protocol::Tcp, range: None }] };
    vec![
        Action::Masquerade(Masquerade { address, network, comment: comment.clone() }),
        Action::Forward(Forward {
            addresses: addresses.clone(),
            admin_chain: None,
            zone: None,
            comment: comment.clone(),
        }),
        Action::PortMap(PortMap {
            ports: vec![port],
            networks: vec![network],
            snat: true,
            masq_all: false,
            conditions: Vec::new(),
            group: None,
            comment: comment.clone(),
        }),
        Action::Isolation(Isolation {
            bridge: "cni0".to_owned(),
            port: Some(link.clone()),
            addresses: addresses.clone(),
            policy: IngressPolicy::SameBridge,
            comment: comment.clone(),
        }),
        Action::Guard(Guard {
            link,
            port: true,
            mac: Some(Mac([2, 0, 0, 0, high, low])),
            addresses: Some(addresses.clone()),
            comment: comment.clone(),
        }),
        Action::Rules(Rules {
            group: "same".to_owned(),
            bridge: None,
            addresses,
            ingress: Some(vec![allow]),
            egress: None,
            comment,
        }),
    ]
}
