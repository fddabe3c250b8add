//! A network across nodes, beside a VXLAN that is made by hand with `ip`: what passes between two
//! containers. Where this machine's kernel has no IPsec, what is encrypted is measured in the lab's
//! kernel, again beside both others. The measuring is done by the suite's program `across`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::machine::Machine;
use super::report::quantile;
use super::{Executables, Options};
use crate::command::{capture, find, program, say, text};
use crate::test;

/// What it needs from the machine.
pub(crate) const PROGRAMS: [&str; 5] = ["etcd", "etcdctl", "ip", "nft", "ping"];

/// An association with the algorithm of ours.
const ASSOCIATION: &str = "ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 mode \
                           transport aead rfc4106(gcm(aes)) \
                           0x000102030405060708090a0b0c0d0e0f10111213 128";

/// Runs it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    if let Some(missing) = PROGRAMS.iter().find(|name| find(name).is_none()) {
        say(&format!("\nno {missing}: overlays are not measured (`--only overlay` installs it)"));
        return Ok(());
    }
    let across = test::suite_program("across");
    // A sample is a second.
    let rounds = options.rounds.min(15).to_string();
    let seals = capture(&mut program(ASSOCIATION)).is_ok_and(|done| done.status.success());
    capture(&mut program("ip xfrm state flush"))?;
    let words = if seals { vec![rounds.as_str(), "--encrypt"] } else { vec![rounds.as_str()] };
    let here =
        |executable: &Path, words: &[&str]| measured(executable, Command::new(&across).args(words));
    let Executables { ours, before, .. } = &machine.executables;
    print("this machine's kernel", here(ours, &words)?);
    if let Some(before) = before {
        // One after the other: each has what is made by hand beside it.
        print("this machine's kernel, by an earlier one of ours", here(before, &[&rounds])?);
    }
    if seals {
        return Ok(());
    }
    let Some(kernel) = test::lab::usual().known() else {
        say("\nencrypted: this kernel has no ESP, and there is no kernel of the lab's");
        return Ok(());
    };
    let mut lab = in_lab(&kernel, &across);
    print("the lab's kernel", measured(ours, lab.args([rounds.as_str(), "--encrypt"]))?);
    Ok(())
}

fn in_lab(kernel: &Path, across: &Path) -> Command {
    let words = test::lab::words(kernel);
    let mut command = program("");
    if let Some((first, rest)) = words.split_first() {
        command = Command::new(first);
        command.args(rest).arg(across);
    }
    command
}

/// What the others are beside.
const BY_HAND: &str = "by hand";

/// What was said of each, in the order in which it was said first.
type Said = (Vec<(String, String)>, BTreeMap<(String, String), Vec<f64>>);

fn measured(executable: &Path, command: &mut Command) -> Result<Said> {
    let said = text(command.env("WHARFINGER_TEST_BIN", executable))?;
    let (mut order, mut samples) = Said::default();
    for line in said.lines() {
        let mut parts = line.split('\t');
        let (Some(what), Some(whose), Some(value)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let key = (what.to_owned(), whose.to_owned());
        let value: f64 = value.parse().with_context(|| line.to_owned())?;
        if !samples.contains_key(&key) {
            order.push(key.clone());
        }
        samples.entry(key).or_insert_with(Vec::new).push(value);
    }
    order.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok((order, samples))
}

fn print(kernel: &str, (order, samples): Said) {
    say(&format!("\n### Between containers of two nodes, {kernel}\n"));
    say("| what | whose | n | median | quarter to three quarters | of what is made by hand |");
    say("|---|---|---|---|---|---|");
    let median = |what: &str, whose: &str, q| {
        let all = samples.get(&(what.to_owned(), whose.to_owned()));
        quantile(all.into_iter().flatten().copied(), q)
    };
    for (what, whose) in order {
        let at = |q| median(&what, &whose, q);
        let count = samples.get(&(what.clone(), whose.clone())).map_or(0, Vec::len);
        let ratio = match whose.as_str() {
            BY_HAND => String::new(),
            _ => format!("{:.2}", at(0.5) / median(&what, BY_HAND, 0.5)),
        };
        say(&format!(
            "| {what} | {whose} | {count} | {:.0} | {:.0} to {:.0} | {ratio} |",
            at(0.5),
            at(0.25),
            at(0.75)
        ));
    }
}
