//! The packet socket that DHCP is spoken through, between the two ends of a veth.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Container, KERNEL, on_host, run};
use wharfinger_kernel::{Heard, Kernel, Netns, Packets, uptime};
use wharfinger_plan::LinkRef;

/// A UDP packet to this port, with nothing in it.
fn udp(port: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([10, 0, 0, 1, 255, 255, 255, 255]);
    packet.extend([0, 67, 0, port, 0, 8, 0, 0]);
    packet
}

fn open(netns: &Netns, name: &str) -> (Packets, [u8; 6]) {
    let link = KERNEL.links(&[LinkRef::container(name)], Some(netns)).unwrap().remove(0).unwrap();
    (netns.packets(link.index).unwrap(), link.mac.unwrap().0)
}

fn heard(packets: &Packets) -> Option<Heard> {
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if let Some(heard) = packets.receive().unwrap() {
            return Some(heard);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_link_without_an_address_speaks_and_hears_its_port_alone() {
    on_host(|| {
        let (one, two) = (Container::new(), Container::new());
        let ends = [one.path.display().to_string(), two.path.display().to_string()];
        run("ip link add name end-a type veth peer name end-b");
        for (link, path) in ["end-a", "end-b"].iter().zip(&ends) {
            run(&format!("ip link set {link} netns {path}"));
        }
        one.run("ip link set end-a up");
        two.run("ip link set end-b up");
        let (here, there) = (one.netns(), two.netns());
        let ((a, a_mac), (b, b_mac)) = (open(&here, "end-a"), open(&there, "end-b"));
        a.send(None, &udp(69)).unwrap();
        let mut fragment = udp(68);
        fragment[7] = 1;
        a.send(None, &fragment).unwrap();
        a.send(None, &udp(68)).unwrap();
        let found = heard(&b).unwrap();
        assert_eq!(found.packet.get(..28), Some(udp(68).as_slice()));
        assert_eq!(found.from, Some(a_mac));
        b.send(Some(a_mac), &udp(68)).unwrap();
        assert_eq!(heard(&a).unwrap().from, Some(b_mac));
        assert_eq!(b.receive().unwrap(), None, "what we sent is not heard");
        one.run("ip link del end-a");
        assert!(a.send(None, &udp(68)).is_err());
    });
}

#[test]
fn the_clock_goes_on() {
    let before = uptime();
    assert!(before > Duration::ZERO);
    assert!(uptime() >= before);
}
