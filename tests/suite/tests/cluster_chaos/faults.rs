//! What goes wrong around the machines: members of etcd and the segment.

use std::time::Duration;

use wharfinger_etcd_server as etcd;
use wharfinger_suite::{Peer, Segment};

use wharfinger_suite::Chance;

/// One thing after the other until the end; then all is as it should be.
pub(crate) fn until(
    etcd: &mut etcd::Cluster,
    segment: &Segment,
    nodes: usize,
    mut chance: Chance,
    goes_on: &dyn Fn() -> bool,
) {
    while goes_on() {
        one(etcd, segment, nodes, &mut chance);
        std::thread::sleep(Duration::from_millis(200 + chance.below(1500)));
    }
    for member in 0..etcd.len() {
        etcd.ready(member).expect("the member is back");
    }
}

/// One fault, for a while. The decisions are all made before, so that they are the same each time.
fn one(etcd: &mut etcd::Cluster, segment: &Segment, nodes: usize, chance: &mut Chance) {
    let while_ = Duration::from_millis(300 + chance.below(3000));
    let (what, member, node) = (chance.below(100), chance.index(etcd.len()), chance.index(nodes));
    let (other, many) = (chance.index(etcd.len()), 1 + chance.index(nodes / 3));
    let stays = || std::thread::sleep(while_);
    match what {
        // A member dies, and comes back with what it wrote.
        0..25 => {
            etcd.kill(member);
            stays();
            etcd.begin(member).expect("a member");
        }
        // Two: there is no majority.
        25..35 => {
            let also = (member + 1) % etcd.len();
            etcd.kill(member);
            etcd.kill(also);
            stays();
            etcd.begin(member).expect("a member");
            etcd.begin(also).expect("a member");
        }
        // A member neither answers nor closes anything.
        35..45 => {
            etcd.pause(member).expect("a member");
            stays();
            etcd.resume(member).expect("a member");
        }
        // A member is cut off from its like and from the machines.
        45..60 => {
            segment.cut(Peer::Member(member));
            stays();
            segment.mend(Peer::Member(member));
        }
        // Machines are cut off.
        60..80 => {
            let all = (node..node + many).map(|at| Peer::Node(at % nodes));
            all.clone().for_each(|who| segment.cut(who));
            stays();
            all.for_each(|who| segment.mend(who));
        }
        // What a machine asks arrives, and no answer comes back; or the other way round.
        80..90 => {
            for member in 0..etcd.len() {
                segment.deafen(Peer::Member(member), Peer::Node(node));
            }
            stays();
            segment.hear_all();
        }
        // One member does not hear another, which hears it.
        _ => {
            segment.deafen(Peer::Member(member), Peer::Member(other));
            stays();
            segment.hear_all();
        }
    }
}
