//! Golden tests: for a table of configurations, the plan and the result as people read them.
//!
//! Each file of `tests/plans` has sections: a configuration, what IPAM answered, what is
//! observed (a line a link: name, kind, mtu, addresses; "default-route" before the one of that, "within NETWORK" before the one
//! with an address in it),
//! what plugins before it answered, and then the plan and the result, or
//! the error. `WHARFINGER_GOLDEN=update cargo test -p wharfinger-drivers` writes the latter anew.
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};
use wharfinger_cni::{Attach, AttachmentId, NetConf, Success, Version};
use wharfinger_drivers::{Conf, Facts};
use wharfinger_plan::{Answer, LinkFacts, LinkRef, Query};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The sections of a case that are its input.
struct Case {
    conf: String,
    lease: String,
    facts: String,
    prev: String,
}

fn section<'a>(text: &'a str, name: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(&format!("# {name}\n")) else { return "" };
    rest.split_once("\n# ").map_or(rest, |(body, _)| body).trim_end()
}

impl Case {
    fn read(text: &str) -> Self {
        let [conf, lease, facts, prev] =
            ["conf", "lease", "facts", "prev"].map(|name| section(text, name).to_owned());
        Self { conf, lease, facts, prev }
    }

    fn render(&self) -> Outcome<String> {
        let mut text = format!("# conf\n{}\n", self.conf);
        for (name, body) in [("lease", &self.lease), ("facts", &self.facts), ("prev", &self.prev)] {
            if !body.is_empty() {
                write!(text, "# {name}\n{body}\n")?;
            }
        }
        text.push_str(&self.outcome()?);
        Ok(text)
    }

    fn outcome(&self) -> Outcome<String> {
        let raw: Map<String, Value> = serde_json::from_str(&self.conf)?;
        let driver = raw.get("driver").and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = Version::V1_1_0;
        let conf = NetConf {
            version,
            name: "pods".into(),
            plugin_type: "wharfinger".into(),
            called: String::new(),
            raw,
        };
        let id =
            AttachmentId { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
        let prev: Option<Success> = match self.prev.as_str() {
            "" => None,
            prev => Some(serde_json::from_str(prev)?),
        };
        let call = Attach {
            id: id.clone(),
            netns: None,
            args: Vec::new(),
            path: Vec::new(),
            netns_override: false,
            conf,
            prev_result: prev.clone(),
        };
        let lease: Success = match self.lease.as_str() {
            "" => Success::default(),
            lease => serde_json::from_str(lease)?,
        };
        let facts = facts(&self.facts)?;
        let conf = match Conf::parse(&driver, &call) {
            Ok(conf) => conf,
            Err(error) => return Ok(format!("# error\n{error}\n")),
        };
        Ok(match conf.plan(&id, &conf.domain(), &lease, &facts) {
            Ok(draft) => {
                let result = draft.result(&Facts::default(), "/run/netns/c1", prev.as_ref());
                let result = serde_json::to_string_pretty(&result)?;
                format!("# domain\n{}\n# plan\n{}# result\n{result}\n", conf.domain(), draft.plan)
            }
            Err(error) => format!("# error\n{error}\n"),
        })
    }
}

fn facts(text: &str) -> Outcome<Facts> {
    let link = |line: &str| -> Outcome<LinkFacts> {
        let words: Vec<&str> = line.split(' ').collect();
        let name = words[0];
        let link = match name.strip_prefix("container:") {
            Some(name) => LinkRef::container(name),
            None => LinkRef::host(name),
        };
        Ok(LinkFacts {
            mtu: words[2].parse()?,
            up: true,
            addresses: words[3..].iter().map(|word| word.parse()).collect::<Result<_, _>>()?,
            ..LinkFacts::new(link, words[1])
        })
    };
    let mut facts = Facts::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("default-route ") {
            let found = link(rest)?;
            let query = Query::DefaultRoute(found.link.place);
            facts.answers.push((query, Answer::Link(found)));
        } else if let Some((network, rest)) =
            line.strip_prefix("within ").and_then(|rest| rest.split_once(' '))
        {
            facts.answers.push((Query::Within(network.parse()?), Answer::Link(link(rest)?)));
        } else if let Some((address, rest)) =
            line.strip_prefix("pci ").and_then(|rest| rest.split_once(' '))
        {
            facts.answers.push((Query::Pci(address.to_owned()), Answer::Link(link(rest)?)));
        } else {
            facts.links.push(link(line)?);
        }
    }
    Ok(facts)
}

#[test]
fn plans_are_as_written() -> Outcome<()> {
    let update = std::env::var_os("WHARFINGER_GOLDEN").is_some_and(|value| value == "update");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut cases = 0;
    let mut wrong = String::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let want = std::fs::read_to_string(&path)?;
        let got = Case::read(&want).render().map_err(|error| format!("{path:?}: {error}"))?;
        if update {
            std::fs::write(&path, &got)?;
        } else if got != want {
            write!(wrong, "{}:\n{got}\n", path.display())?;
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "not as written:\n{wrong}");
    assert!(cases >= 25, "only {cases} cases were found");
    Ok(())
}
