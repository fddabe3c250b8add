//! What a component costs a process: `cost empty`, `cost once FILE` (one allocation by the
//! host-local inside the packed FILE), `cost stages FILE` (microseconds of each stage, first and
//! later), `cost pack FILE NAME=WASM` (packs this very program).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Instant;

use support::{MemBook, node, request};
use wharfinger_wasm::{Grants, Ipam, IpamPlugin, Limits, Plugins, Runtimes, package};

/// As in the executable: musl's own allocator asks the kernel for pages one by one.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const CONFIG: &str = r#"{"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]],
                         "routes": [{"dst": "0.0.0.0/0"}]}"#;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["once", file] => once(Path::new(file)),
        ["load", file] => {
            drop(host_local(&Plugins::open(Path::new(file), &Runtimes::default()).unwrap()));
        }
        ["engine", file] => drop(Plugins::open(Path::new(file), &Runtimes::default()).unwrap()),
        ["stages", file] => (0..5).for_each(|_| println!("{}", stages(Path::new(file)))),
        ["pack", out, component] => pack(Path::new(out), component),
        _ => {}
    }
}

fn host_local(plugins: &Plugins) -> IpamPlugin {
    plugins.ipam("host-local", &Limits::default(), &Grants::default()).unwrap().unwrap()
}

fn once(file: &Path) {
    let plugins = Plugins::open(file, &Runtimes::default()).unwrap();
    let plugin = host_local(&plugins);
    plugin.allocate(&node(), &request(CONFIG, &[]), &mut MemBook::default()).unwrap();
}

fn stages(file: &Path) -> String {
    let mut clock = Instant::now();
    let mut lap = || {
        let lap = clock.elapsed().as_nanos() / 100;
        clock = Instant::now();
        format!("{}.{}", lap / 10, lap % 10)
    };
    let plugins = Plugins::open(file, &Runtimes::default()).unwrap();
    let engine = lap();
    let plugin = host_local(&plugins);
    let load = lap();
    let (node, request) = (node(), request(CONFIG, &[]));
    let _ = lap();
    plugin.allocate(&node, &request, &mut MemBook::default()).unwrap();
    let first = lap();
    plugin.allocate(&node, &request, &mut MemBook::default()).unwrap();
    let second = lap();
    format!("us: engine and linker {engine}, load {load}, first call {first}, second {second}")
}

fn pack(out: &Path, component: &str) {
    let (name, wasm) = component.split_once('=').unwrap();
    let wasm = std::fs::read(wasm).unwrap();
    package::write(Path::new("/proc/self/exe"), out, &[(name, &wasm)]).unwrap();
}
