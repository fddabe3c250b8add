//! The whole chain of a pod: bridge, portmap, firewall, bandwidth, tuning. As the reference
//! executables, as ours under their names, and as one entry of ours; interleaved; with what other
//! pods have in the tables; and many at once.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::Options;
use super::machine::{Container, Machine};
use super::process::{Call, Took, at_once};
use super::report::Figures;
use super::subject::{BEFORE, Subject};
use crate::command::{must, program, say};

const ENTRY: &str = "ours, one entry";
const NAMES: &str = "ours, by their names";
const REFERENCE: &str = "reference";

/// The plugins, in their order.
const PLUGINS: [&str; 5] = ["bridge", "portmap", "firewall", "bandwidth", "tuning"];

/// A list of plugins, an executable each.
struct Chain {
    name: &'static str,
    /// The network's second octet, and its name.
    octet: u8,
    links: Vec<Subject>,
}

/// Runs it: many at once, while the tables are empty; each call; the same as other pods are there.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    let chains = chains(machine)?;
    // The reference's first ADDs at once stumble over each other's chains.
    for chain in &chains {
        live(machine, chain, |_, _| {}).context(chain.name)?;
    }
    crowd(machine, options, &chains)?;
    let mut figures = Figures::default();
    let mut others = Vec::new();
    let mut before = 1;
    for &count in &options.pods {
        say(&format!("filling the tables: {count}"));
        if count > before {
            for chain in &chains {
                others.extend(fill(machine, chain, before, count).context(chain.name)?);
            }
            before = count;
        }
        // The reference takes seconds for a pod where there are so many.
        let rounds = match count {
            0..100 => options.rounds,
            100..5_000 => options.rounds.min(11),
            _ => options.rounds.min(3),
        };
        for round in 0..=rounds {
            for turn in 0..chains.len() {
                let Some(chain) = chains.get((turn + round) % chains.len()) else { continue };
                live(machine, chain, |what, took| {
                    if round > 0 {
                        figures.add(&format!("{what} at {count}"), chain.name, took);
                    }
                })
                .context(chain.name)?;
            }
        }
    }
    print(&figures, options);
    Ok(())
}

fn print(figures: &Figures, options: &Options) {
    let whose = [ENTRY, BEFORE, NAMES, REFERENCE];
    let title = "The chain bridge+portmap+firewall+bandwidth+tuning, with other pods in the tables";
    figures.print_growth(title, &options.pods, &whose);
    let first = options.pods.first().copied().unwrap_or_default();
    let total = |verb: &str| format!("{verb} at {first}");
    let (add, check, del) = (total("ADD"), total("CHECK"), total("DEL"));
    let aims = [(&*add, REFERENCE, 0.08), (&*del, REFERENCE, 0.15)];
    figures.print_these(
        "All of it, one entry beside both lists",
        ENTRY,
        &aims,
        &[&add, &check, &del],
    );
    let each: Vec<String> = ["ADD", "CHECK", "DEL"]
        .iter()
        .flat_map(|verb| PLUGINS.map(|plugin| format!("{plugin} {verb} at {first}")))
        .collect();
    let aim = |what: &String| if what.contains("ADD") { 0.5 } else { 1.0 };
    let aims: Vec<(&str, &str, f64)> =
        each.iter().map(|what| (what.as_str(), REFERENCE, aim(what))).collect();
    let each: Vec<&str> = each.iter().map(String::as_str).collect();
    figures.print_these("Each call, under the reference's name", NAMES, &aims, &each);
}

/// The three.
fn chains(machine: &Machine) -> Result<Vec<Chain>> {
    let ours = named(machine)?;
    let mut all = vec![
        entry(machine, 80),
        list(machine, NAMES, &ours, 81),
        list(machine, REFERENCE, &machine.executables.reference, 82),
    ];
    // Its ports are those of the list by names, whose other pods have none.
    let mut other = entry(machine, 180);
    other.links = other.links.into_iter().filter_map(|link| machine.before(link)).collect();
    if !other.links.is_empty() {
        all.push(Chain { name: BEFORE, ..other });
    }
    Ok(all)
}

/// A directory with ours under each name.
fn named(machine: &Machine) -> Result<PathBuf> {
    let dir = machine.dir.join("named");
    std::fs::create_dir_all(&dir)?;
    for name in PLUGINS.iter().chain(&["host-local"]) {
        let link = dir.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(&machine.executables.ours, &link)?;
        }
    }
    Ok(dir)
}

fn bridge(octet: u8) -> Value {
    json!({
        "bridge": format!("br{octet}"), "isGateway": true, "ipMasq": true, "hairpinMode": true,
        "capabilities": { "portMappings": true },
    })
}

/// What each of the others is given.
fn keys(plugin: &str) -> Value {
    match plugin {
        "bandwidth" => json!({
            "ingressRate": 100_000_000, "ingressBurst": 1_000_000,
            "egressRate": 100_000_000, "egressBurst": 1_000_000,
        }),
        "tuning" => json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" }, "txQLen": 500 }),
        _ => json!({}),
    }
}

/// The list as libcni has it, its executables in this directory.
fn list(machine: &Machine, name: &'static str, path: &Path, octet: u8) -> Chain {
    let links = PLUGINS.map(|plugin| {
        let mut conf = if plugin == "bridge" { bridge(octet) } else { keys(plugin) };
        extend(
            &mut conf,
            &json!({
                "cniVersion": "1.0.0", "name": format!("chain{octet}"), "type": plugin,
                "dataDir": machine.dir.join(format!("run/tuning{octet}")),
            }),
        );
        if plugin == "bridge" {
            extend(&mut conf, &json!({ "ipam": machine.ipam(octet, true) }));
        }
        Subject { name, program: path.join(plugin), path: path.to_owned(), conf }
    });
    Chain { name, octet, links: links.to_vec() }
}

/// The same as one entry of ours.
fn entry(machine: &Machine, octet: u8) -> Chain {
    let features: Map<String, Value> =
        PLUGINS.iter().skip(1).map(|plugin| ((*plugin).to_owned(), keys(plugin))).collect();
    let mut conf = bridge(octet);
    extend(
        &mut conf,
        &json!({
            "cniVersion": "1.0.0", "name": format!("chain{octet}"), "type": "wharfinger",
            "driver": "bridge", "features": features, "ipam": machine.ipam(octet, false),
        }),
    );
    let program = machine.executables.ours.clone();
    let path = program.parent().map(PathBuf::from).unwrap_or_default();
    Chain { name: ENTRY, octet, links: vec![Subject { name: ENTRY, program, path, conf }] }
}

fn extend(conf: &mut Value, more: &Value) {
    if let (Some(conf), Some(more)) = (conf.as_object_mut(), more.as_object()) {
        conf.extend(more.clone());
    }
}

/// The calls of a verb are one after the other, each with the result of those before.
fn call(
    machine: &Machine,
    link: &Subject,
    verb: &str,
    container: &Container,
    (prev, ports): (Option<&Value>, &Value),
) -> Result<Call> {
    let mut link = link.clone();
    extend(&mut link.conf, &json!({ "runtimeConfig": { "portMappings": ports } }));
    machine.call(&link, verb, container, prev)
}

/// Two ports of the host. `number` tells pods apart, and the octet networks.
fn ports(octet: u8, number: usize) -> Value {
    let first = 1_024 + usize::from(octet % 3) * 21_000 + number * 2;
    json!([
        { "hostPort": first, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": first + 1, "containerPort": 53, "protocol": "udp" },
    ])
}

/// A whole life: what each call takes, and all of a verb.
fn live(machine: &Machine, chain: &Chain, mut note: impl FnMut(&str, Took)) -> Result<()> {
    let container = Container::new("c")?;
    let ports = ports(chain.octet, 0);
    let mut result: Option<Value> = None;
    for verb in ["ADD", "CHECK", "DEL"] {
        let mut all = Took::default();
        let mut links: Vec<&Subject> = chain.links.iter().collect();
        if verb == "DEL" {
            links.reverse();
        }
        for link in links {
            let call = call(machine, link, verb, &container, (result.as_ref(), &ports))?;
            let (answer, took) =
                call.time().with_context(|| format!("{verb} {}", link.program.display()))?;
            if verb == "ADD" {
                result = Some(answer);
            }
            all = all.and(took);
            if chain.links.len() > 1 {
                let plugin = link.conf.get("type").and_then(Value::as_str).unwrap_or_default();
                note(&format!("{plugin} {verb}"), took);
            }
        }
        note(verb, all);
    }
    Ok(())
}

/// Pods `from..to` of a chain's network, as far as the packet filter, the ports and the books know:
/// ours by the product itself, chained after an interface that is said to be there; the
/// reference's as the rules and files that it would have made, for its own way takes hours.
fn fill(machine: &Machine, chain: &Chain, from: usize, to: usize) -> Result<Option<Container>> {
    if chain.name == REFERENCE {
        return fill_reference(machine, chain.octet, from, to).map(|()| None);
    }
    if chain.name == NAMES {
        // The tables and the books are one with those of the single entry; the addresses are not.
        reservations(machine, chain.octet, from, to)?;
        return Ok(None);
    }
    let container = Container::new(&format!("filler{to}-{}", chain.octet))?;
    let Some(link) = chain.links.first() else { bail!("no entry") };
    let mut filler = link.clone();
    let features = json!({ "portmap": {}, "firewall": {} });
    extend(&mut filler.conf, &json!({ "features": features }));
    if let Some(conf) = filler.conf.as_object_mut() {
        conf.remove("driver");
        conf.remove("ipam");
    }
    let numbers: Vec<usize> = (from..to).collect();
    for batch in numbers.chunks(16) {
        let calls = batch
            .iter()
            .map(|number| {
                let result = json!({
                    "cniVersion": "1.0.0",
                    "interfaces": [{ "name": "lo", "sandbox": container.path() }],
                    "ips": [{ "address": format!("{}/16", far(chain.octet, *number)),
                        "interface": 0 }],
                });
                let ports = ports(chain.octet, *number);
                let mut call = call(machine, &filler, "ADD", &container, (Some(&result), &ports))?;
                let own = machine.dir.join(format!("filler{}.json", number % 16));
                std::fs::rename(&call.stdin, &own)?;
                call.stdin = own;
                call.env.push(("CNI_CONTAINERID".to_owned(), format!("filler-{number}")));
                call.env.push(("CNI_IFNAME".to_owned(), "lo".to_owned()));
                Ok(call)
            })
            .collect::<Result<Vec<Call>>>()?;
        at_once(&calls)?;
    }
    Ok(Some(container))
}

fn address(octet: u8, number: usize) -> String {
    let host = number + 2;
    format!("10.{octet}.{}.{}", host / 256, host % 256)
}

/// One that address management does not come to while it is measured.
fn far(octet: u8, number: usize) -> String {
    address(octet, 65_000 - number)
}

/// The files of host-local for them.
fn reservations(machine: &Machine, octet: u8, from: usize, to: usize) -> Result<()> {
    let dir = machine.dir.join(format!("data{octet}/chain{octet}"));
    std::fs::create_dir_all(&dir)?;
    for number in from..to {
        let text = format!("filler-{number:064}\r\neth0");
        std::fs::write(dir.join(address(octet, number)), text)?;
    }
    std::fs::write(dir.join("last_reserved_ip.0"), address(octet, to.saturating_sub(1)))?;
    Ok(())
}

/// Files, and the rules of masquerade, ports and firewall, in one go.
fn fill_reference(machine: &Machine, octet: u8, from: usize, to: usize) -> Result<()> {
    use std::fmt::Write as _;
    reservations(machine, octet, from, to)?;
    let (mut nat, mut filter) = ("*nat\n".to_owned(), "*filter\n".to_owned());
    for number in from..to {
        let at = address(octet, number);
        let _ = writeln!(nat, ":CNI-{number:024x} - [0:0]\n:CNI-DN-{number:021x} - [0:0]");
        let _ = writeln!(nat, "-A CNI-{number:024x} -d 10.{octet}.0.0/16 -j ACCEPT");
        let _ = writeln!(nat, "-A CNI-{number:024x} ! -d 224.0.0.0/4 -j MASQUERADE");
        let _ = writeln!(nat, "-A POSTROUTING -s {at}/32 -j CNI-{number:024x}");
        for (protocol, offset, port) in [("tcp", 0, 80), ("udp", 1, 53)] {
            let host = 1_024 + usize::from(octet % 3) * 21_000 + number * 2 + offset;
            let to_port = format!("-p {protocol} -m {protocol} --dport {host}");
            let _ = writeln!(nat, "-A CNI-HOSTPORT-DNAT {to_port} -j CNI-DN-{number:021x}");
            let dnat = format!("-j DNAT --to-destination {at}:{port}");
            let _ = writeln!(nat, "-A CNI-DN-{number:021x} {to_port} {dnat}");
        }
        let state = "-m conntrack --ctstate RELATED,ESTABLISHED";
        let _ = writeln!(filter, "-A CNI-FORWARD -d {at}/32 {state} -j ACCEPT");
        let _ = writeln!(filter, "-A CNI-FORWARD -s {at}/32 -j ACCEPT");
    }
    let file = machine.dir.join("rules");
    std::fs::write(&file, format!("{nat}COMMIT\n{filter}COMMIT\n"))?;
    must(program("iptables-restore --noflush").arg(&file))
}

const CROWD: usize = 32;

/// Many pods at once, each through its whole list.
fn crowd(machine: &Machine, options: &Options, chains: &[Chain]) -> Result<()> {
    let mut figures = Figures::default();
    let (adds, dels) = (format!("{CROWD} ADDs"), format!("{CROWD} DELs"));
    for round in 0..=options.crowds {
        for chain in chains {
            let pods = (0..CROWD)
                .map(|number| Container::new(&format!("c{number}")))
                .collect::<Result<Vec<Container>>>()?;
            let (results, took) = all_at_once(machine, chain, "ADD", &pods, &[])?;
            let (_, ended) = all_at_once(machine, chain, "DEL", &pods, &results)?;
            if round > 0 {
                figures.add(&adds, chain.name, took);
                figures.add(&dels, chain.name, ended);
            }
        }
    }
    let aims = [(&*adds, REFERENCE, 0.1)];
    figures.print("Many at once through the chain: until all are done", ENTRY, &aims);
    Ok(())
}

/// Every pod on a thread of its own, as a runtime does it.
fn all_at_once(
    machine: &Machine,
    chain: &Chain,
    verb: &str,
    pods: &[Container],
    results: &[Value],
) -> Result<(Vec<Value>, Took)> {
    let one = |number: usize, pod: &Container| -> Result<Value> {
        let mut result = results.get(number).cloned();
        let ports = ports(chain.octet, 10_100 + number);
        let mut links: Vec<&Subject> = chain.links.iter().collect();
        if verb == "DEL" {
            links.reverse();
        }
        for link in links {
            let call = call(machine, link, verb, pod, (result.as_ref(), &ports))?;
            let answer =
                call.time().with_context(|| format!("{verb} {}", link.program.display()))?.0;
            if verb == "ADD" {
                result = Some(answer);
            }
        }
        Ok(result.unwrap_or_default())
    };
    super::process::timed(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = pods
                .iter()
                .enumerate()
                .map(|(number, pod)| scope.spawn(move || one(number, pod)))
                .collect();
            let ended = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => bail!("a thread ended badly"),
            });
            ended.collect::<Result<Vec<Value>>>()
        })
    })
}
