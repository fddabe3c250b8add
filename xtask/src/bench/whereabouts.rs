//! Beside Whereabouts, which keeps a cluster's addresses in Kubernetes' API server as well: a process a call,
//! no daemon of its own needed, a pool one object. Built from its Go module. Start reading at [`run`].

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wharfinger_kube_lab::Lab;

use super::Options;
use super::cluster::{Book, Node};
use super::machine::{Container, Machine};
use super::process::{Call, at_once};
use super::report::Figures;
use super::subject::Subject;
use crate::command::{find, say};
use crate::tools;

const OURS: &str = "ours, Kubernetes' API server";
const THEIRS: &str = "Whereabouts";
/// Its objects' namespace.
const SPACE: &str = "kube-system";
/// Addresses that are held already: as many as 1, 10 and 1000 of our blocks have.
const HELD: [usize; 3] = [64, 640, 64_000];

/// It, as the IPAM plugin of this machine's networks.
struct Whereabouts<'m> {
    machine: &'m Machine,
    subject: Subject,
}

impl<'m> Whereabouts<'m> {
    /// In a network with 10.`octet`.0.0/15.
    fn new(machine: &'m Machine, program: &Path, lab: &Lab, octet: u8) -> Result<Self> {
        // A file of settings must be there.
        let settings = machine.dir.join("whereabouts.conf");
        let of_store = json!({ "log_level": "error", "kubernetes": { "kubeconfig": lab.admin() } });
        std::fs::write(&settings, of_store.to_string()).context("settings of Whereabouts")?;
        let range = format!("10.{octet}.0.0/15");
        let ipam = json!({ "type": "whereabouts", "range": range, "configuration_path": settings });
        let conf = json!({
            "cniVersion": "1.0.0", "name": format!("w{octet}"), "type": "bridge", "ipam": ipam,
        });
        let path = machine.executables.reference.clone();
        let subject = Subject { name: THEIRS, program: program.into(), path, conf };
        Ok(Self { machine, subject })
    }

    fn call(&self, verb: &str, container: &Container, id: usize) -> Result<Call> {
        let mut call = self.machine.call(&self.subject, verb, container, None)?;
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{id}");
        for (name, value) in [("CNI_CONTAINERID", format!("c{id}")), ("CNI_ARGS", args)] {
            call.env.push((name.to_owned(), value));
        }
        Ok(call)
    }
}

/// How each of both is called: with a verb, in a container, for the attachment of this number.
type Calls<'c> = [(&'static str, &'c dyn Fn(&str, &Container, usize) -> Result<Call>); 2];

/// Runs it, with so many pods at once.
pub(super) fn run(machine: &Machine, options: &Options, lab: &Lab, pods: usize) -> Result<()> {
    if find("go").is_none() {
        say("\nno `go` here to build Whereabouts with: nothing is beside ours");
        return Ok(());
    }
    let (program, kinds) = tools::whereabouts()?;
    for kind in ["ippools", "overlappingrangeipreservations"] {
        let file = kinds.join(format!("whereabouts.cni.cncf.io_{kind}.yaml"));
        lab.kubectl(&["apply", "-f", &file.display().to_string()])?;
    }
    lab.kubectl(&["wait", "--for=condition=Established", "crd", "--all"])?;
    let theirs = Whereabouts::new(machine, &program, lab, 40)?;
    let ours = Node::new(machine, "beside", "beside", Book::Kubernetes(lab))?;
    let ours = |verb: &str, container: &Container, id| ours.call(verb, container, id);
    let theirs = |verb: &str, container: &Container, id| theirs.call(verb, container, id);
    beside(options, &[(OURS, &ours), (THEIRS, &theirs)], pods)?;
    growth(machine, options, &program, lab)
}

/// One after the other, by turns; and many at once.
fn beside(options: &Options, calls: &Calls<'_>, pods: usize) -> Result<()> {
    let (container, mut figures) = (Container::new("c")?, Figures::default());
    for id in 0..=options.rounds {
        for verb in ["ADD", "DEL"] {
            for (whose, call) in calls {
                let (_, took) = call(verb, &container, id)?.time().context(*whose)?;
                // The first of each makes what the network needs.
                if id > 0 {
                    figures.add(verb, whose, took);
                }
            }
        }
    }
    for _ in 0..options.crowds {
        for verb in ["ADD", "DEL"] {
            let what = format!("{pods} {verb}s");
            for (whose, call) in calls {
                let all = (0..pods).map(|id| call(verb, &container, id));
                match at_once(&all.collect::<Result<Vec<_>>>()?) {
                    Ok((_, took)) => figures.add(&what, whose, took),
                    Err(error) if *whose == THEIRS => {
                        say(&format!("\n{what} of {whose}: one failed: {error:#}"));
                    }
                    Err(error) => return Err(error.context(*whose)),
                }
            }
        }
    }
    figures.print(&format!("Beside {THEIRS} {}", tools::WHEREABOUTS), OURS, &[]);
    Ok(())
}

/// With so many addresses held already.
fn growth(machine: &Machine, options: &Options, program: &Path, lab: &Lab) -> Result<()> {
    say(&format!("\n### {THEIRS}: growth with the addresses held\n"));
    say("| held | ADD, ms | DEL, ms |\n|---|---|---|");
    let container = Container::new("c")?;
    for (octet, held) in (42..).step_by(2).zip(HELD) {
        let theirs = Whereabouts::new(machine, program, lab, octet)?;
        if let Err(error) = lab.kubectl_with(&["create", "-f", "-"], &pool(octet, held).to_string())
        {
            let error = error.to_string();
            let last = error.lines().next_back().unwrap_or_default();
            say(&format!("| {held} | not possible: {last} | |"));
            continue;
        }
        let mut figures = Figures::default();
        for id in 0..options.rounds {
            for verb in ["ADD", "DEL"] {
                let (_, took) = theirs.call(verb, &container, id)?.time()?;
                figures.add(verb, THEIRS, took);
            }
        }
        let median = |verb| figures.median(verb, THEIRS).unwrap_or_default();
        say(&format!("| {held} | {:.2} | {:.2} |", median("ADD"), median("DEL")));
    }
    Ok(())
}

/// A pool whose first addresses are held.
fn pool(octet: u8, held: usize) -> Value {
    let holder = |at: usize| json!({ "id": format!("held-{at}"), "podref": format!("default/held-{at}"), "ifname": "eth0" });
    let allocations: serde_json::Map<String, Value> =
        (1..=held).map(|at| (at.to_string(), holder(at))).collect();
    json!({
        "apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool",
        "metadata": { "name": format!("10.{octet}.0.0-15"), "namespace": SPACE },
        "spec": { "range": format!("10.{octet}.0.0/15"), "allocations": allocations },
    })
}
