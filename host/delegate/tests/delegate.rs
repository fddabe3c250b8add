//! Delegates that are small shell scripts: what the specification asks of their caller, and that
//! no delegate, however wrong, holds it up.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use wharfinger_cni::{CniError, code};
use wharfinger_delegate::{
    DEEPEST, Delegate, DelegateCall, DelegateError, Exec, FileId, Verb, find,
};

type Answer = Result<Option<Map<String, Value>>, DelegateError>;

/// Folders as CNI_PATH has them, and what came over stderr.
struct Bench {
    folder: TempDir,
    path: Vec<PathBuf>,
    heard: Arc<Mutex<Vec<u8>>>,
    exec: Exec,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = ["first", "second"].map(|name| folder.path().join(name)).to_vec();
        for folder in &path {
            fs::create_dir(folder).unwrap();
        }
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let exec = Exec {
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            own: None,
            depth: 0,
            note: None,
            timeout: Duration::from_secs(20),
            stderr: Box::new(move |piece| into.lock().unwrap().extend_from_slice(piece)),
        };
        Self { folder, path, heard, exec }
    }

    /// A delegate of this name in the second folder.
    fn script(self, name: &str, body: &str) -> Self {
        write_script(&self.path[1].join(name), body);
        self
    }

    fn timeout(mut self, timeout: Duration) -> Self {
        self.exec.timeout = timeout;
        self
    }

    fn run(&self, name: &str, verb: Verb, env: &[(&str, OsString)], config: &Value) -> Answer {
        let config = config.as_object().unwrap();
        self.exec.run(&DelegateCall { name, verb, path: &self.path, env, config, may_be_us: false })
    }

    fn plain(&self, verb: Verb) -> Answer {
        self.run("ipam", verb, &[], &json!({"name": "pods"}))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn write_script(path: &Path, body: &str) {
    let mut file = File::create(path).unwrap();
    file.set_permissions(Permissions::from_mode(0o755)).unwrap();
    write!(file, "#!/bin/sh\n{body}\n").unwrap();
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn req_63_the_first_regular_file_of_the_path_is_it() {
    let bench = Bench::new().script("ipam", "");
    let second = bench.path[1].join("ipam");
    assert_eq!(find(&bench.path, "ipam").unwrap(), second);
    fs::create_dir(bench.path[0].join("ipam")).unwrap();
    assert_eq!(find(&bench.path, "ipam").unwrap(), second, "a folder is no file");
    fs::remove_dir(bench.path[0].join("ipam")).unwrap();
    symlink(&second, bench.path[0].join("ipam")).unwrap();
    assert_eq!(find(&bench.path, "ipam").unwrap(), bench.path[0].join("ipam"));
}

#[test]
fn req_63_a_name_with_a_separator_is_refused_and_a_missing_delegate_an_error() {
    let bench = Bench::new().script("ipam", "");
    for name in ["../second/ipam", "/bin/sh", "a\\b", "", ".", "..", "a\0b"] {
        let error = find(&bench.path, name).unwrap_err();
        assert!(matches!(error, DelegateError::BadName(_)), "{name:?}: {error}");
        assert_eq!(CniError::from(error).code, code::INVALID_CONFIG);
    }
    let error = find(&bench.path, "dhcp").unwrap_err().to_string();
    assert!(error.contains("dhcp") && error.contains("second"), "{error}");
    assert!(find(&[PathBuf::new()], "Cargo.toml").is_err(), "an empty entry is no folder");
}

#[test]
fn req_64_all_of_the_environment_the_verb_and_the_complete_configuration() {
    let mut bench = Bench::new();
    let (env, conf) = (bench.file("env"), bench.file("conf"));
    let body = format!("env > {}; cat > {}; echo '{{}}'", env.display(), conf.display());
    bench = bench.script("ipam", &body);
    let own = [
        ("TRACEPARENT", "00-11-22-01"),
        ("CNI_COMMAND", "STATUS"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web-0"),
    ];
    bench.exec.env.extend(own.map(|(name, value)| (name.into(), value.into())));
    let config = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "bridge", "mtu": 9_007_199_254_740_993_u64,
        "ipam": {"type": "ipam", "ranges": [[{"subnet": "10.1.0.0/16"}]]},
        "prevResult": {"ips": []}, "runtimeConfig": {"ips": ["10.1.0.7"]},
        "args": {"cni": {}}, "cni.dev/valid-attachments": [],
    });
    bench.run("ipam", Verb::Gc, &[("CNI_IFNAME", "net1".into())], &config).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text(&conf)).unwrap(), config);
    let env = text(&env);
    for line in [
        "TRACEPARENT=00-11-22-01",
        "CNI_COMMAND=GC",
        "CNI_IFNAME=net1",
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web-0",
    ] {
        assert!(env.lines().any(|one| one == line), "{line} is not in\n{env}");
    }
    assert!(!env.contains("CARGO"), "what was not given came along:\n{env}");
}

#[test]
fn req_65_its_stderr_is_passed_on() {
    let bench = Bench::new().script("ipam", "echo looking around >&2; echo '{}'; echo done >&2");
    bench.plain(Verb::Add).unwrap();
    assert_eq!(bench.heard.lock().unwrap().as_slice(), b"looking around\ndone\n");
}

#[test]
fn req_66_its_error_is_ours_with_its_code() {
    let object = r#"{"cniVersion":"1.1.0","code":11,"msg":"try again later","details":"busy"}"#;
    let bench = Bench::new().script("ipam", &format!("echo '{object}'; exit 1"));
    for verb in [Verb::Add, Verb::Del, Verb::Check, Verb::Status, Verb::Gc] {
        let error = bench.plain(verb).unwrap_err();
        assert!(matches!(&error, DelegateError::Refused { name, .. } if name == "ipam"));
        let error = CniError::from(error);
        assert_eq!((error.code, error.details.as_str()), (11, "busy"));
        assert_eq!(error.msg, "delegate ipam: try again later");
    }
}

#[test]
fn req_67_the_answer_to_an_add_is_handed_over_as_it_came() {
    let result = r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/16"},"dns":{}}"#;
    let bench = Bench::new().script("ipam", &format!("cat > /dev/null; echo '{result}'"));
    let answer = bench.plain(Verb::Add).unwrap().unwrap();
    assert_eq!(Value::Object(answer), serde_json::from_str::<Value>(result).unwrap());
}

#[test]
fn req_69_an_unsupported_version_is_its_error_1() {
    let bench = Bench::new().script("ipam", r#"echo '{"code":1,"msg":"incompatible"}'; exit 1"#);
    assert_eq!(CniError::from(bench.plain(Verb::Add).unwrap_err()).code, 1);
}

#[test]
fn req_31_success_without_an_object_is_no_success_of_an_add() {
    for (said, named) in
        [("", "empty"), ("[1]", "another kind"), ("{} {}", "not JSON"), ("hello", "not JSON")]
    {
        let bench = Bench::new().script("ipam", &format!("printf '%s' '{said}'"));
        let error = bench.plain(Verb::Add).unwrap_err();
        assert!(matches!(error, DelegateError::BadAnswer { .. }), "{said}: {error}");
        assert!(error.to_string().contains(named), "{said}: {error}");
        assert_eq!(CniError::from(error).code, code::DELEGATE);
    }
    let bench = Bench::new().script("ipam", "echo null");
    assert_eq!(bench.plain(Verb::Add).unwrap(), Some(Map::new()));
}

#[test]
fn req_2_the_status_alone_decides_on_the_other_verbs() {
    for said in ["", "null", "hello", r#"{"code": 7}"#] {
        let bench = Bench::new().script("ipam", &format!("printf '%s' '{said}'"));
        for verb in [Verb::Del, Verb::Check, Verb::Status, Verb::Gc] {
            assert!(bench.plain(verb).is_ok(), "{verb}: {said}");
        }
    }
}

#[test]
fn a_failure_without_an_error_object_names_executable_status_and_stderr() {
    let bench = Bench::new().script("ipam", "echo 'no space left' >&2; exit 3");
    let error = bench.plain(Verb::Add).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("second/ipam") && said.contains("exit status: 3"), "{said}");
    let error = CniError::from(error);
    assert_eq!(error.code, code::DELEGATE);
    assert!(error.details.contains("no space left"), "{}", error.details);

    let bench = Bench::new().script("ipam", "kill -9 $$");
    let said = bench.plain(Verb::Del).unwrap_err().to_string();
    assert!(said.contains("signal: 9"), "{said}");
}

#[test]
fn only_the_end_of_a_long_stderr_is_kept() {
    let bench =
        Bench::new().script("ipam", "yes x | head -c 1000000 >&2; echo the end >&2; exit 1");
    let error = CniError::from(bench.plain(Verb::Add).unwrap_err());
    assert!(error.details.len() < 5000, "{}", error.details.len());
    assert!(error.details.contains("the end"));
    assert_eq!(bench.heard.lock().unwrap().len(), 1_000_008);
}

#[test]
fn an_error_object_that_is_odd_is_still_an_error() {
    let code_of = |said: &str| {
        let bench = Bench::new().script("ipam", &format!("printf '%s' '{said}'; exit 1"));
        CniError::from(bench.plain(Verb::Add).unwrap_err())
    };
    assert_eq!(code_of(r#"{"code":0,"msg":"who knows"}"#).code, code::DELEGATE);
    assert_eq!(code_of(r#"{"msg":"no code"}"#).code, code::DELEGATE);
    assert_eq!(code_of(r#"{"code":-1,"msg":"below"}"#).code, code::DELEGATE);
    assert_eq!(code_of(r#"{"code":100,"details":{"a":1}}"#).details, r#"{"a":1}"#);
    assert_eq!(code_of(r#"{"ips":[]}"#).code, code::DELEGATE);
    assert!(code_of("panic: runtime error").details.contains("panic: runtime error"));
    // As the reference plugins do where the namespace is their own.
    assert_eq!(code_of(r#"{"ips":[]}{"code":8,"msg":"same namespace"}"#).code, 8);
}

#[test]
fn pain_c7_a_delegate_that_does_not_end_is_killed_with_all_it_started() {
    let bench = Bench::new();
    let pids = bench.file("pids");
    let body = format!("sleep 600 & echo $$ $! > {}; echo stuck >&2; wait", pids.display());
    let bench = bench.script("ipam", &body).timeout(Duration::from_secs(2));
    let begun = Instant::now();
    let error = bench.plain(Verb::Add).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(matches!(&error, DelegateError::Timeout { said, .. } if said == "stuck"), "{error}");
    for pid in text(&pids).split_whitespace() {
        assert!(ends(pid, Duration::from_secs(5)), "{pid} lives");
    }
}

/// Whether a process is gone, or nothing but its entry is left, within the time.
fn ends(pid: &str, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") && Instant::now() < until => {
                thread::sleep(Duration::from_millis(10));
            }
            Ok(stat) => return stat.contains(") Z "),
            Err(_) => return true,
        }
    }
}

#[test]
fn what_a_delegate_leaves_running_is_not_waited_for() {
    let bench = Bench::new();
    let pid = bench.file("pid");
    let bench =
        bench.script("ipam", &format!("sleep 600 & echo $! > {}; echo '{{}}'", pid.display()));
    let begun = Instant::now();
    assert_eq!(bench.plain(Verb::Add).unwrap(), Some(Map::new()));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let pid = text(&pid);
    assert!(Path::new("/proc").join(pid.trim()).exists(), "a daemon may stay");
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let bench = Bench::new().script("ipam", "yes '{'");
    let begun = Instant::now();
    let error = bench.plain(Verb::Add).unwrap_err();
    assert!(matches!(error, DelegateError::TooLong { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn an_answer_of_just_under_a_mebibyte_is_taken() {
    let body = r#"printf '{"a":"'; head -c 1048500 /dev/zero | tr '\0' x; printf '"}'"#;
    let answer = Bench::new().script("ipam", body).plain(Verb::Add).unwrap().unwrap();
    assert_eq!(answer["a"].as_str().unwrap().len(), 1_048_500);
}

#[test]
fn a_delegate_that_does_not_read_its_configuration_is_served() {
    let bench = Bench::new().script("ipam", "exec 0<&-; echo '{}'");
    let config = json!({"name": "x".repeat(1 << 20)});
    assert!(bench.run("ipam", Verb::Add, &[], &config).is_ok());
}

#[test]
fn a_large_configuration_is_read_whole_while_it_speaks() {
    let bench = Bench::new().script("ipam", "yes x | head -c 300000 >&2; wc -c >&2; echo '{}'");
    let config = json!({"name": "x".repeat(1 << 20)});
    bench.run("ipam", Verb::Add, &[], &config).unwrap();
    let heard = bench.heard.lock().unwrap();
    let count = String::from_utf8_lossy(heard.get(300_000..).unwrap()).trim().to_owned();
    assert_eq!(count, config.to_string().len().to_string());
}

#[test]
fn an_executable_that_is_being_replaced_is_waited_for() {
    let bench = Bench::new().script("ipam", "echo '{}'");
    let file = bench.path[1].join("ipam");
    let writer = File::options().append(true).open(&file).unwrap();
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        drop(writer);
    });
    let begun = Instant::now();
    assert!(bench.plain(Verb::Add).is_ok());
    assert!(begun.elapsed() >= Duration::from_millis(250), "it was not busy");
    release.join().unwrap();
}

#[test]
fn a_file_that_cannot_be_executed_is_named() {
    let bench = Bench::new();
    fs::write(bench.path[0].join("ipam"), "no executable").unwrap();
    let error = bench.plain(Verb::Add).unwrap_err();
    assert!(matches!(error, DelegateError::System { operation: "start", .. }), "{error}");
    assert!(error.to_string().contains("first/ipam"), "{error}");
}

#[test]
fn being_run_by_ourselves_in_a_circle_is_refused() {
    let mut bench = Bench::new().script("wharfinger", "echo '{}'");
    let own = bench.path[1].join("wharfinger");
    bench.exec.own = Some(FileId::of(&own).unwrap());
    symlink(&own, bench.path[0].join("soft")).unwrap();
    fs::hard_link(&own, bench.path[0].join("hard")).unwrap();
    for name in ["wharfinger", "soft", "hard"] {
        let error = bench.run(name, Verb::Add, &[], &json!({})).unwrap_err();
        assert!(matches!(error, DelegateError::Circle { .. }), "{name}: {error}");
    }
    let bench = bench.script("other", "echo '{}'");
    assert!(bench.run("other", Verb::Add, &[], &json!({})).is_ok());
}

/// With a configuration of its own it may be ourselves: how deep, is counted from process to process.
#[test]
fn a_circle_of_others_ends_at_its_depth() {
    let mut bench = Bench::new().script("bridge", r#"printf '{"depth":%s}' "$WHARFINGER_DEPTH""#);
    bench.exec.own = Some(FileId::of(&bench.path[1].join("bridge")).unwrap());
    let run = |bench: &Bench| {
        bench.exec.run(&DelegateCall {
            name: "bridge",
            verb: Verb::Add,
            path: &bench.path,
            env: &[],
            config: &Map::new(),
            may_be_us: true,
        })
    };
    for depth in 0..DEEPEST {
        bench.exec.depth = depth;
        assert_eq!(run(&bench).unwrap().unwrap()["depth"], depth + 1);
    }
    bench.exec.depth = DEEPEST;
    let error = run(&bench).unwrap_err();
    assert!(matches!(error, DelegateError::Depth { depth: DEEPEST, .. }), "{error}");
    assert!(error.to_string().contains("circle"), "{error}");
}

/// One line that can be read: what it printed, as far as that goes, and how it ended.
#[test]
fn what_is_no_answer_is_shown_bounded_and_without_control_characters() {
    let long = "x".repeat(5_000);
    for (script, words) in [
        (r"printf 'oops \033[31m\nred'", vec!["not JSON", r"oops \u{1b}[31m\nred"]),
        ("echo broken >&2", vec!["is empty", "broken"]),
        ("true", vec!["is empty", "printed nothing"]),
        ("echo half; exit 3", vec!["exit status: 3", "half"]),
        ("echo half; kill -9 $$", vec!["signal: 9", "half"]),
        (&format!("printf {long}"), vec!["not JSON", "..."]),
    ] {
        let error = Bench::new().script("ipam", script).plain(Verb::Add).unwrap_err();
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{script}: {text}");
        }
        assert!(text.len() < 600 && !text.contains(char::is_control), "{script}: {text}");
        let told = CniError::from(error);
        assert_eq!(told.code, code::DELEGATE);
        assert!(told.details.len() < 8_000, "{}", told.details.len());
    }
}

#[test]
fn a_closure_is_a_delegate() {
    let double = |call: &DelegateCall<'_>| -> Answer {
        Err(DelegateError::BadName(format!("{} {}", call.verb, call.name)))
    };
    let delegate: &dyn Delegate = &double;
    let config = Map::new();
    let call = DelegateCall {
        name: "x",
        verb: Verb::Add,
        path: &[],
        env: &[],
        config: &config,
        may_be_us: false,
    };
    assert!(delegate.run(&call).unwrap_err().to_string().contains("ADD x"));
}
