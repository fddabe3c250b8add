//! `wharfinger conf init`: a first network. It asks only where both its ends are a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use wharfinger_attach::conf;

use crate::cli::network::{self, List};
use crate::cli::{Answer, Output, told};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The network's name
    #[arg(long)]
    name: Option<String>,
    /// bridge, ptp, macvlan, ipvlan
    #[arg(long)]
    driver: Option<String>,
    /// Its addresses; may be repeated, one of each family
    #[arg(long, value_name = "PREFIX")]
    subnet: Vec<ipnet::IpNet>,
    /// The bridge, or the link of the host that it stands on
    #[arg(long)]
    link: Option<String>,
    /// Instead of printing it: into this file, which is not there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(&self, output: Output) -> Result<Answer> {
        let list = self.list(!output.json && is_terminal())?;
        for entry in List::read(list.clone())?.ours() {
            conf::readable(&network::conf(entry)?).map_err(|error| told(&error))?;
        }
        let (list, file) = (Value::Object(list), self.out.as_ref());
        let value = json!({ "network": list, "file": file });
        let text = format!("{list:#}\n");
        let Some(path) = file else { return Ok(Answer::new(text, value)) };
        let whole = |mut file: std::fs::File| {
            let written = file.write_all(text.as_bytes());
            // A runtime stumbles over half a file.
            written.inspect_err(|_| drop(std::fs::remove_file(path)))
        };
        let made = std::fs::File::create_new(path).and_then(whole);
        made.with_context(|| format!("write {}", path.display()))?;
        let shown = path.display();
        let text =
            format!("{shown} is written; `wharfinger explain {shown}` says what an ADD would do\n");
        Ok(Answer::new(text, value))
    }

    /// Asks for what is not given, where it `asks`.
    fn list(&self, asks: bool) -> Result<Map<String, Value>> {
        let answer = |given, question: &str, usual: &str| answer(asks, given, question, usual);
        let name = answer(self.name.clone(), "name of the network", "pods")?;
        let driver =
            answer(self.driver.clone(), "driver (bridge, ptp, macvlan, ipvlan)", "bridge")?;
        let subnets = if self.subnet.is_empty() {
            let text = answer(None, "addresses (prefixes, separated by commas)", "10.1.0.0/16")?;
            text.split(',')
                .map(|it| it.trim().parse().with_context(|| format!("prefix {it:?}")))
                .collect::<Result<Vec<ipnet::IpNet>>>()?
        } else {
            self.subnet.clone()
        };
        let mut entry = json!({ "type": "wharfinger", "driver": driver });
        match driver.as_str() {
            "bridge" => {
                entry["bridge"] = json!(answer(self.link.clone(), "bridge", "cni0")?);
                entry["isGateway"] = json!(true);
                entry["ipMasq"] = json!(true);
            }
            "ptp" => entry["ipMasq"] = json!(true),
            _ => entry["master"] = json!(answer(self.link.clone(), "link of the host", "eth0")?),
        }
        let ranges: Vec<Value> =
            subnets.iter().map(|subnet| json!([{ "subnet": subnet.trunc() }])).collect();
        let all = |net: &ipnet::IpNet| if net.addr().is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let routes: Vec<Value> =
            subnets.iter().map(|subnet| json!({ "dst": all(subnet) })).collect();
        entry["ipam"] = json!({ "type": "host-local", "ranges": ranges, "routes": routes });
        entry["capabilities"] = json!({ "portMappings": true, "ips": true, "mac": true });
        entry["features"] = json!({ "portmap": {}, "firewall": {} });
        let list = json!({ "cniVersion": "1.0.0", "name": name, "plugins": [entry] });
        list.as_object().cloned().context("a network is an object")
    }
}

/// Whether somebody could be asked.
fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// What was given; asked for; otherwise what is usual.
fn answer(asks: bool, given: Option<String>, question: &str, usual: &str) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !asks {
        return Ok(usual.to_owned());
    }
    write!(std::io::stderr(), "{question} [{usual}]: ")?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        bail!("nothing was answered to: {question}");
    }
    Ok(Some(line.trim()).filter(|line| !line.is_empty()).unwrap_or(usual).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(driver: &str) -> Init {
        Init {
            name: Some("pods".into()),
            driver: Some(driver.into()),
            subnet: ["10.1.0.0/16", "fd00::/64"].iter().filter_map(|it| it.parse().ok()).collect(),
            link: Some("x0".into()),
            out: None,
        }
    }

    #[test]
    fn what_is_written_is_what_we_would_take() -> Result<()> {
        for driver in ["bridge", "ptp", "macvlan", "ipvlan"] {
            let entries = List::read(init(driver).list(false)?)?.ours();
            assert_eq!(entries.len(), 1);
            for entry in entries {
                // portmap goes with a link of the host: said by the driver alone.
                let read = conf::readable(&network::conf(entry)?);
                assert!(read.is_ok(), "{driver}: {read:?}");
            }
        }
        Ok(())
    }
}
