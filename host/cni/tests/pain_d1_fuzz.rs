//! Row D1: whatever comes in, exactly one JSON object or silence goes out.
#![cfg(unix)]
mod common;

use common::{
    Answer, Broken, Call, MemEnv, NETNS, OWN_NETNS, Recorder, conf, dual_stack, quiet_panics,
    run_into,
};
use proptest::prelude::*;
use serde_json::Value;
use wharfinger_cni::{CniError, Verb};

/// Mostly sensible, so that the fuzz gets past the first check; else anything.
fn variable(good: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        6 => prop::sample::select(good).prop_map(|text| Some(text.as_bytes().to_vec())),
        1 => Just(None),
        1 => prop::collection::vec(1..=u8::MAX, 0..40).prop_map(Some),
    ]
}

fn environment() -> impl Strategy<Value = MemEnv> {
    use std::os::unix::ffi::OsStringExt;
    let variables: [(&str, &'static [&'static str]); 7] = [
        ("CNI_COMMAND", &["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"]),
        ("CNI_CONTAINERID", &["c1", "0-a_b.c"]),
        ("CNI_NETNS", &[NETNS, OWN_NETNS, ""]),
        ("CNI_IFNAME", &["eth0"]),
        ("CNI_ARGS", &["", "IgnoreUnknown=1;IP=10.0.0.1", "A"]),
        ("CNI_PATH", &["/opt/cni/bin", ":"]),
        ("CNI_NETNS_OVERRIDE", &["", "1"]),
    ];
    variables.map(|(name, good)| variable(good).prop_map(move |value| (name, value))).prop_map(
        |pairs| {
            let set = pairs.into_iter().filter_map(|(name, value)| {
                Some((name.to_owned(), std::ffi::OsString::from_vec(value?)))
            });
            MemEnv(set.collect())
        },
    )
}

fn json_value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["0.1.0", "0.4.0", "1.1.0", "10.1.0.5/16", "fd00::1", "pods"])
            .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            prop::sample::select(vec![
                "cniVersion",
                "name",
                "type",
                "prevResult",
                "ips",
                "address",
                "interface",
                "ip4",
                "ip",
                "routes",
                "dst",
                "dns",
                "interfaces",
                "cni.dev/valid-attachments",
                "containerID",
                "ifname",
                "runtimeConfig",
                "args",
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn stdin() -> impl Strategy<Value = Vec<u8>> {
    let versions = vec!["", "0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", "1.2.0"];
    let good = (prop::sample::select(versions), json_value(), json_value()).prop_map(
        |(version, prev, valid)| {
            let mut conf = conf(version);
            conf["prevResult"] = prev;
            conf["cni.dev/valid-attachments"] = valid;
            conf.to_string().into_bytes()
        },
    );
    let cut = (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, index, byte)| {
            let at = index.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    prop_oneof![
        4 => good,
        2 => cut,
        2 => json_value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Well),
        1 => (any::<u32>(), ".{0,20}", ".{0,20}").prop_map(|(number, msg, details)| {
            Answer::Fails(CniError::new(number, msg).with_details(details))
        }),
        1 => ".{0,10}".prop_map(|text| Answer::Panics(format!("on purpose {text}"))),
        1 => Just(Answer::PanicsOddly),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn pain_d1_whatever_comes_one_object_or_silence_goes_out(
        env in environment(), stdin in stdin(), answer in answer(), with_result in any::<bool>(),
    ) {
        quiet_panics();
        let result = if with_result { dual_stack() } else { wharfinger_cni::Success::default() };
        let plugin = Recorder { answer, result, ..Recorder::default() };
        let out = Call { env, stdin }.run(&plugin);
        if out.status != 0 {
            out.error();
        } else if !out.stdout.is_empty() {
            let object = out.object();
            prop_assert!(object["cniVersion"].is_string());
            prop_assert!(object.get("code").is_none());
        }
        let delivered = plugin.delivered.take();
        prop_assert_eq!(delivered.contains(&true), plugin.asked() == ["ADD"] && out.status == 0);
        prop_assert!(delivered.len() <= 1);
    }

    #[test]
    fn pain_d1_whatever_stdout_takes_the_status_tells(
        room in 0_usize..200, answer in answer(), verb in prop::sample::select(Verb::ALL.to_vec()),
    ) {
        quiet_panics();
        let plugin = Recorder { answer, result: dual_stack(), ..Recorder::default() };
        let call = Call::new(verb.as_str());
        let usual = call.run(&plugin);
        let mut stdout = Broken { room, ..Broken::default() };
        let status = run_into(&call, &mut stdout, &plugin);
        let whole = usual.stdout.len() <= room;
        prop_assert_eq!(status == 0, usual.status == 0 && whole);
        prop_assert!(usual.stdout.starts_with(&stdout.taken));
    }
}
