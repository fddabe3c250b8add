//! A plugin with a fault of one's choice, for tests: what does an operator read? Not an example to
//! follow. The same stands in every language's examples.

use std::hint::black_box;
use std::net::IpAddr;

use serde::Deserialize;
use wharfinger_sdk::{Failure, Ipam, Lease, Pool, Request, Subnet, export_ipam, log};

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    pool: Subnet,
    plant: Plant,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plant {
    Exception,
    Loop,
    Memory,
    Stack,
}

export_ipam!(Planted);

impl Ipam for Planted {
    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.pool.pool()])
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        log::info(format!("planting {}", format!("{:?}", self.plant).to_lowercase()));
        match self.plant {
            Plant::Exception => Ok(Lease::of([self.pool.leased(address_of(request))])),
            Plant::Loop => loop {
                black_box(());
            },
            Plant::Memory => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(black_box(vec![1; 1 << 20]));
                }
            }
            Plant::Stack => Err(Failure::other(deeper(0))),
        }
    }
}

#[inline(never)]
fn address_of(_: &Request) -> IpAddr {
    panic!("an attachment without a pod")
}

#[expect(unconditional_recursion, reason = "the fault")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    black_box(deeper(black_box(depth + 1))) + 1
}
