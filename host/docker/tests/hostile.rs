//! Whatever a caller sends, nothing here panics, and what is taken can be kept and read again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wharfinger_cni::{NetConf, Success, Version};
use wharfinger_docker::wire::{self, About, AddressOf, CreateNetwork, RequestPool};
use wharfinger_docker::{Id, Network, Pool, choices};

/// JSON with the keys that we read in all places.
fn json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("NetworkID".to_owned()),
        Just("EndpointID".to_owned()),
        Just("Options".to_owned()),
        Just("IPv4Data".to_owned()),
        Just("Pool".to_owned()),
        Just("Gateway".to_owned()),
        Just("Interface".to_owned()),
        Just("Address".to_owned()),
        Just("MacAddress".to_owned()),
        Just("com.docker.network.generic".to_owned()),
        Just("driver".to_owned()),
        Just("com.docker.network.portmap".to_owned()),
        Just("PoolID".to_owned()),
        Just("com.docker.network.driver.mtu".to_owned()),
        Just("policies".to_owned()),
        Just("AddressSpace".to_owned()),
        Just("SubPool".to_owned()),
        Just("V6".to_owned()),
        Just("Proto".to_owned()),
        Just("HostIP".to_owned()),
        Just("ipam".to_owned()),
        ".{0,8}",
    ];
    let text = prop_oneof![
        Just("10.1.0.0/24"),
        Just("10.1.0.1/24"),
        Just("0.0.0.0/0"),
        Just("fd00::/128"),
        Just("10.1.0.0/32"),
        Just("abc123"),
        Just("macvlan"),
        Just("true"),
        Just("{}"),
        Just(""),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = wire::read::<CreateNetwork>(&body);
        let _ = wire::read::<About>(&body);
        let _ = wire::read::<RequestPool>(&body);
        let _ = wire::read::<AddressOf>(&body);
    }

    #[test]
    fn any_json_is_a_network_or_refused(one in json(), other in json(), options in json()) {
        for body in [one.clone(), json!({ "NetworkID": "abc", "Options": one, "IPv4Data": [other] }),
            json!({ "NetworkID": "abc", "Options": { "com.docker.network.generic": options } })]
        {
            let Ok(request) = wire::read::<CreateNetwork>(body.to_string().as_bytes()) else { continue };
            let Ok(network) = Network::read(&request) else { continue };
            let kept = serde_json::to_string(&network).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Network>(&kept).unwrap(), &network);
            prop_assert!(NetConf::parse(network.conf().to_string().as_bytes(), &Version::ALL).is_ok());
        }
    }

    #[test]
    fn any_json_is_an_endpoint_or_refused(one in json(), options in json()) {
        let request = json!({
            "NetworkID": "abc", "IPv4Data": [{ "Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24" }],
        });
        let request: CreateNetwork = wire::read(request.to_string().as_bytes()).unwrap();
        let network = Network::read(&request).unwrap();
        for body in [one.clone(), json!({ "Interface": one, "Options": options })] {
            let Ok(request) = wire::read::<About>(body.to_string().as_bytes()) else { continue };
            let _ = choices(&request.options, None);
            let _ = network.created(&request, &Success::default());
            let Ok(conf) = network.endpoint(&request) else { continue };
            prop_assert!(NetConf::parse(conf.to_string().as_bytes(), &Version::ALL).is_ok());
        }
        let _ = network.joined(&Id::parse("EndpointID", "abc").unwrap(), &Success::default());
    }

    #[test]
    fn any_json_is_a_pool_or_refused(one in json(), pool in "[0-9a-f.:/]{0,20}") {
        for body in [one, json!({ "Pool": pool }), json!({ "Pool": "10.1.0.0/24", "SubPool": pool })] {
            let Ok(request) = wire::read::<RequestPool>(body.to_string().as_bytes()) else { continue };
            let Ok(read) = Pool::read(&request, &[]) else { continue };
            let kept = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Pool>(&kept).unwrap(), &read);
            let _ = (read.wanted("", true), read.wanted("10.1.0.7", false), read.wanted(&pool, false));
            prop_assert!(NetConf::parse(read.conf(None).to_string().as_bytes(), &Version::ALL).is_ok());
        }
    }
}
