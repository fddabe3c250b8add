//! What comes from outside breaks nothing: each parser of it, tried with inputs that were changed at random.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails is a test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, iter};

use ipnet::IpNet;
use serde_json::{Value, json};
use wharfinger_cni::args::{
    parse_args, parse_args_leniently, pod, refuse_unknown_args, wanted, wanted_mac,
};
use wharfinger_cni::{
    Attach, AttachmentId, CniError, Env, Io, NetConf, Node, Plugin, RuntimeConfig, Success,
    ValidAttachment, Version, run,
};
use wharfinger_delegate::{Delegate, DelegateCall, Exec, Verb};
use wharfinger_docker::wire::{self, About, AddressOf, CreateNetwork, RequestPool};
use wharfinger_docker::{Network, Pool, choices};
use wharfinger_drivers::features::{Ends, Feature};
use wharfinger_drivers::{Conf, Facts};
use wharfinger_fuzz::fuzz;
use wharfinger_ledger::reserved::{Reserved, Reserver};
use wharfinger_ledger::{Ledger, Opened, Options, Range, SqliteLedger};
use wharfinger_plan::Plan;

/// Variables as a runtime sets them; some of them from the input.
struct Variables(BTreeMap<&'static str, OsString>);

impl Variables {
    fn of(verb: &str, args: &str) -> Self {
        let usual = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/opt/cni/bin"),
            ("CNI_ARGS", args),
        ];
        Self(usual.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

impl Env for Variables {
    fn var(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }

    fn same_netns(&self, _path: &Path) -> bool {
        false
    }
}

/// A plugin that decides and plans, and does nothing; what it met.
#[derive(Default)]
struct Planner(RefCell<String>);

/// What is said of an input is kept for the fuzzer; it goes on as a failure.
fn refused(error: &impl ToString) -> CniError {
    CniError::new(7, error.to_string())
}

impl Planner {
    fn read(&self, call: &Attach) -> Result<Success, CniError> {
        let name = call.conf.fields().str("driver")?.unwrap_or("bridge");
        let driver = Conf::parse(name, call).map_err(|error| refused(&error))?;
        let features = Feature::all(call).map_err(|error| refused(&error))?;
        asked(call)?;
        let lease = call.prev_result.clone().unwrap_or_else(lease);
        let domain = driver.domain();
        let mut facts = Facts::default();
        let draft = driver
            .plan(&call.id, &domain, &lease, &facts)
            .map_err(|error| refused(&format!("plan: {error:?}")))?;
        let mut steps = draft.plan.steps.clone();
        let ends = Ends::of_draft(&call.id, &draft);
        facts.links.clear();
        for feature in &features {
            let subject = ends.subject(&call.id, &lease, &steps);
            let more = feature.plan(&subject, &facts).map_err(|e| refused(&format!("{e:?}")))?;
            steps.extend(more);
        }
        let plan = Plan { steps, ..draft.plan };
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(
            serde_json::from_str::<Plan>(&text).unwrap(),
            plan,
            "it is undone by what was kept"
        );
        *self.0.borrow_mut() = format!("{name}: {}", plan.steps.len());
        Ok(lease)
    }
}

/// What else an attachment may ask for.
fn asked(call: &Attach) -> Result<(), CniError> {
    wanted(call)?;
    wanted_mac(call)?;
    let runtime = RuntimeConfig::of(&call.conf)?;
    runtime.ips()?;
    runtime.mac()?;
    runtime.port_mappings()?;
    runtime.bandwidth()?;
    runtime.ip_ranges()?;
    runtime.dns()?;
    runtime.annotations()?;
    Ok(())
}

fn lease() -> Success {
    let lease = json!({ "ips": [{ "address": "10.1.0.5/16", "gateway": "10.1.0.1" }, { "address": "fd00::5/64" }],
                        "routes": [{ "dst": "0.0.0.0/0" }] });
    serde_json::from_value(lease).unwrap()
}

impl Plugin for Planner {
    fn name(&self) -> &'static str {
        "wharfinger"
    }
    fn release(&self) -> &'static str {
        "v0"
    }
    fn add(&self, call: &Attach) -> Result<Success, CniError> {
        self.read(call)
    }
    fn replied(&self, _call: &Attach, _delivered: bool) {}
    fn del(&self, call: &Attach) -> Result<(), CniError> {
        let _ = self.read(call);
        Ok(())
    }
    fn check(&self, call: &Attach) -> Result<(), CniError> {
        self.read(call).map(drop)
    }
    fn status(&self, _call: &Node) -> Result<(), CniError> {
        Ok(())
    }
    fn gc(&self, _call: &Node, valid: &[ValidAttachment]) -> Result<(), CniError> {
        *self.0.borrow_mut() = format!("{} valid", valid.len());
        Ok(())
    }
}

/// One call: at most one JSON object goes out, and its status fits.
fn called(verb: &str, args: &str, stdin: &[u8]) -> String {
    let planner = Planner::default();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut input = stdin;
    let io = Io { stdin: &mut input, stdout: &mut stdout, stderr: &mut stderr };
    let status = run(&Variables::of(verb, args), io, &planner);
    let said = planner.0.take();
    if stdout.is_empty() {
        assert!(status == 0 && verb != "ADD", "{verb}: {status} without a word");
        return format!("{verb} {said}");
    }
    let object: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(status == 0, object.get("code").is_none(), "{object}");
    format!("{verb} {said} {}", object.get("msg").and_then(Value::as_str).unwrap_or_default())
}

#[test]
fn fuzz_configurations() {
    fuzz("conf", 1500, |input| {
        ["ADD", "CHECK", "DEL", "GC", "STATUS"].map(|verb| called(verb, "", input)).join(";")
    });
}

#[test]
fn fuzz_arguments() {
    const CONF: &[u8] =
        br#"{"cniVersion": "1.0.0", "name": "n", "type": "wharfinger", "driver": "bridge"}"#;
    fuzz("args", 3000, |input| {
        let text = String::from_utf8_lossy(input);
        let args = parse_args_leniently(&text);
        let kept = pod(&args).is_some();
        let refused = refuse_unknown_args(&args, &["IP"]).map_err(|error| error.to_string());
        let strict = parse_args(&text).map(|args| args.len()).map_err(|error| error.to_string());
        format!("{kept} {refused:?} {strict:?} {}", called("ADD", &text, CONF))
    });
}

#[test]
fn fuzz_results() {
    fuzz("result", 2500, |input| {
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return "no JSON".into() };
        let mut said = Vec::new();
        for version in Version::ALL {
            said.push(match Success::parse(version, &value) {
                Err(error) => error.msg,
                Ok(success) => rendered(&success),
            });
        }
        said.join(";")
    });
}

/// In each version that can say it, a result is read as it was written.
fn rendered(success: &Success) -> String {
    let mut said = Vec::new();
    for version in Version::ALL {
        match success.render(version) {
            Err(error) => said.push(error.msg),
            Ok(value) => {
                let read = Success::parse(version, &value)
                    .unwrap_or_else(|error| panic!("{version}: {value}: {}", error.msg));
                assert_eq!(read.render(version).unwrap(), value, "{version}");
            }
        }
    }
    said.join(",")
}

#[test]
fn fuzz_answers_of_delegates() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = format!("#!/bin/sh\ncat {}\nexit $CNI_STATUS\n", out.display());
    let program = dir.path().join("other");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let env = iter::once(("PATH".into(), "/usr/bin:/bin".into())).collect();
    let timeout = Duration::from_mins(1);
    let exec = Exec { env, own: None, depth: 0, note: None, timeout, stderr: Box::new(|_| {}) };
    let (path, config) = ([dir.path().to_owned()], serde_json::Map::new());
    fuzz("delegate", 60, |input| {
        fs::write(&out, input).unwrap();
        let mut said = Vec::new();
        for (verb, status) in [(Verb::Add, "0"), (Verb::Add, "1"), (Verb::Del, "0")] {
            let env = [("CNI_STATUS", status.into())];
            let call = DelegateCall {
                name: "other",
                verb,
                path: &path,
                env: &env,
                config: &config,
                may_be_us: false,
            };
            said.push(match exec.run(&call) {
                Ok(Some(object)) => {
                    let result = Success::parse(Version::V1_1_0, &Value::Object(object));
                    result.map_or_else(|error| error.msg, |result| rendered(&result))
                }
                Ok(None) => "nothing".to_owned(),
                Err(error) => CniError::from(error).msg,
            });
        }
        said.join(";")
    });
}

#[test]
fn fuzz_dockers_requests() {
    fuzz("docker", 3000, |input| {
        let network = wire::read::<CreateNetwork>(input)
            .map_err(|error| error.to_string())
            .and_then(|request| Network::read(&request).map_err(|error| error.to_string()));
        if let Ok(network) = &network {
            let kept = serde_json::to_string(network).unwrap();
            assert_eq!(&serde_json::from_str::<Network>(&kept).unwrap(), network);
            assert!(NetConf::parse(network.conf().to_string().as_bytes(), &Version::ALL).is_ok());
        }
        let endpoint = wire::read::<About>(input).map(|request| {
            let chosen = choices(&request.options, None).map(|chosen| chosen.len());
            let conf = network.as_ref().ok().map(|network| network.endpoint(&request));
            format!("{chosen:?} {:?}", conf.map(|conf| conf.map(drop)))
        });
        let pool = wire::read::<RequestPool>(input)
            .map(|request| Pool::read(&request, &[]).map(|pool| pool.conf(None).to_string()));
        let address = wire::read::<AddressOf>(input).map(drop);
        format!("{:?} {endpoint:?} {pool:?} {address:?}", network.map(drop))
    });
}

/// A book of the newest format with one text of its rows from the input.
#[test]
fn fuzz_rows_of_the_ledger() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let template = dir.path().join("template.db");
    let sql = include_str!("../../../host/ledger/tests/data/book-4.sql");
    rusqlite::Connection::open(&template).unwrap().execute_batch(sql).unwrap();
    fuzz("record", 150, |input| {
        let said = with_book(dir.path(), |path| {
            fs::copy(&template, path).unwrap();
            let conn = rusqlite::Connection::open(path).unwrap();
            let text = String::from_utf8_lossy(input);
            conn.execute("UPDATE attachment SET body = ?1 WHERE id = 1", [text]).unwrap();
        });
        let record = serde_json::from_slice::<wharfinger_ledger::Record>(input);
        format!("{said} {:?}", record.map(drop))
    });
}

/// The file itself from the input.
#[test]
fn fuzz_the_ledgers_file() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    fuzz("book", 60, |input| with_book(dir.path(), |path| fs::write(path, input).unwrap()));
}

/// What a book does with all that can be asked of it, after it was put there.
fn with_book(dir: &Path, put: impl Fn(&Path)) -> String {
    let options = Options {
        path: dir.join("run/ledger.db"),
        lasting: dir.join("lib/lasting.db"),
        wait: Duration::from_secs(30),
    };
    for folder in ["run", "lib"] {
        let _ = fs::remove_dir_all(dir.join(folder));
        fs::create_dir(dir.join(folder)).unwrap();
    }
    put(&options.path);
    let mut said = Vec::new();
    let mut opened = SqliteLedger::open(options).unwrap();
    let book = loop {
        opened = match opened {
            Opened::Book(book) => break book,
            Opened::Fresh(fresh) => break fresh.rebuild(&[], 0).unwrap().ledger,
            Opened::Damaged(damaged) => {
                said.push(damaged.error().to_string());
                damaged.set_aside().unwrap()
            }
        }
    };
    let id = |container: &str| AttachmentId {
        network: "pods".into(),
        container: container.into(),
        ifname: "eth0".into(),
    };
    let range = Range::new("10.0.0.0".parse().unwrap(), "10.0.0.9".parse().unwrap()).unwrap();
    let mut tell = |outcome: Result<String, wharfinger_ledger::Error>| {
        said.push(outcome.unwrap_or_else(|error| error.to_string()));
    };
    tell(book.list(None).map(|entries| entries.len().to_string()));
    for container in ["a", "d", "none"] {
        tell(book.get(&id(container)).map(|entry| format!("{}", entry.is_some())));
    }
    tell(book.usage("bridge:cni0", &[range], 1_700_000_000).map(|usage| usage.held.to_string()));
    said.join(";")
}

/// The directory of the reference plugin, with files whose names and contents come from the input.
#[test]
fn fuzz_the_references_directory() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let of = Reserver::new("c1", "eth0");
    let address: IpAddr = "10.1.0.2".parse().unwrap();
    let net: IpNet = "10.1.0.0/29".parse().unwrap();
    let range = Range::new(net.network(), net.broadcast()).unwrap();
    fuzz("reserved", 200, |input| {
        let folder = dir.path().join("pods");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let files: BTreeMap<String, Value> = serde_json::from_slice(input).unwrap_or_default();
        for (name, content) in files.iter().take(12) {
            let name: String = name.chars().filter(|c| !['/', '\0'].contains(c)).take(40).collect();
            if !["", ".", ".."].contains(&name.as_str()) {
                let content = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
                fs::write(folder.join(&name), content).unwrap();
            }
        }
        let book = Reserved::new(dir.path(), "pods", None::<PathBuf>, Duration::from_secs(30));
        let owner = book.owner(address).map(|owner| owner.is_some());
        let held = book.held(&of).map(|held| held.len());
        let all = book.all().map(|all| all.len());
        let free = book.take_free(&of, 0, &[range], &[]).map(|taken| taken.is_some());
        let gone = book.release(&of).map(|gone| gone.len());
        format!("{owner:?} {held:?} {all:?} {free:?} {gone:?}")
    });
}
