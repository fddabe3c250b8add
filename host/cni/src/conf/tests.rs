use super::*;

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn keys_are_found_whatever_their_case_and_the_last_counts() {
    let map = object(r#"{"IPMASQ": true, "Bridge": "one", "bridge": "two", "mtu": null}"#);
    let fields = Fields::new(&map, "");
    assert_eq!(fields.bool("ipMasq").unwrap(), Some(true));
    assert_eq!(fields.str("bridge").unwrap(), Some("two"));
    assert_eq!(fields.u32("mtu").unwrap(), None);
    assert_eq!(fields.str("absent").unwrap(), None);
    assert!(fold_eq("\u{212a}ey\u{17f}", "keys"));
}

#[test]
fn a_null_after_a_value_leaves_the_value() {
    let map = object(r#"{"mtu": 1400, "MTU": null}"#);
    assert_eq!(Fields::new(&map, "").u32("mtu").unwrap(), Some(1400));
}

#[test]
fn what_does_not_fit_names_place_found_and_allowed() {
    let map = object(r#"{"a/b": [{"MTU": "1500"}], "isGateway": "yes", "vlan": 1.5, "x": -1}"#);
    let fields = Fields::new(&map, "/plugins/0");
    let item = fields.list("a/b").unwrap().unwrap().remove(0).object().unwrap();
    let error = item.u32("mtu").unwrap_err();
    assert_eq!(error.pointer, "/plugins/0/a~1b/0/MTU");
    assert_eq!(error.found, "the string \"1500\"");
    assert_eq!(error.allowed, "a whole number from 0 to 4294967295");
    assert_eq!(
        fields.bool("isGateway").unwrap_err().to_string(),
        "configuration at /plugins/0/isGateway: found the string \"yes\", allowed: true or false"
    );
    assert!(fields.u32("vlan").is_err());
    assert!(fields.u64("x").is_err());
    assert_eq!(fields.i64("x").unwrap(), Some(-1));
    assert_eq!(fields.error("absent", "a name").found, "nothing");
}

#[test]
fn as_a_cni_error_it_is_code_7_with_the_three_parts_in_details() {
    let map = object(r#"{"mtu": {}}"#);
    let error = CniError::from(Fields::new(&map, "").u32("mtu").unwrap_err());
    assert_eq!(error.code, 7);
    let details: Value = serde_json::from_str(&error.details).unwrap();
    assert_eq!(details["pointer"], "/mtu");
    assert_eq!(details["found"], "the object {}");
}

#[test]
fn addresses_are_read_as_go_reads_them() {
    let map = object(
        r#"{"a": "::ffff:10.0.0.1", "b": "10.1.2.3/16", "c": "::ffff:10.1.2.3/112", "d": "fd00::1",
            "e": "10.0.0.256", "f": "10.0.0.0/33", "g": ["10.0.0.7", "fd00::2/64"]}"#,
    );
    let fields = Fields::new(&map, "");
    assert_eq!(fields.ip("a").unwrap().unwrap().to_string(), "10.0.0.1");
    assert_eq!(fields.net("b").unwrap().unwrap().to_string(), "10.1.2.3/16");
    assert_eq!(fields.net("c").unwrap().unwrap().to_string(), "10.1.2.3/16");
    assert_eq!(fields.address("d").unwrap().unwrap().to_string(), "fd00::1");
    assert!(fields.ip("e").is_err());
    assert!(fields.net("f").is_err());
    assert!(fields.net("a").is_err());
    let wanted: Vec<_> = fields.list("g").unwrap().unwrap();
    assert_eq!(wanted[0].address().unwrap().prefix, None);
    assert_eq!(wanted[1].address().unwrap().prefix, Some(64));
}

#[test]
fn a_null_in_a_list_is_an_error_that_names_it() {
    let map = object(r#"{"ips": ["10.0.0.7", null]}"#);
    assert_eq!(Fields::new(&map, "").list("ips").unwrap_err().pointer, "/ips/1");
}

#[test]
fn near_misses_name_the_nearest_key() {
    let known = ["bridge", "isGateway", "isDefaultGateway", "mtu", "ipMasq", "type", "mac"];
    let map = object(
        r#"{"bridg": 1, "isGatewya": 1, "ISGATEWAY": 1, "mut": 1, "ipMask": 1, "tipe": 1,
            "cni.dev/type": 1, "vrf": 1, "tag": 1, "somethingElse": 1, "isDefoltGatwy": 1, "~/mtu": 1}"#,
    );
    let misses = Fields::new(&map, "/x").near_misses(&known);
    let expected = [
        ("/x/bridg", "bridge"),
        ("/x/isGatewya", "isGateway"),
        ("/x/mut", "mtu"),
        ("/x/ipMask", "ipMasq"),
        ("/x/tipe", "type"),
    ];
    assert_eq!(misses, expected.map(|(pointer, key)| (pointer.to_owned(), key)));
    let error = Fields::new(&map, "").refuse_near_misses(&known).unwrap_err();
    assert_eq!(error.pointer, "/bridg");
    assert!(error.to_string().contains("\"bridge\""));
}

#[test]
fn long_values_are_shortened_at_a_characters_border() {
    let long = format!("{}{}", "x".repeat(118), "é".repeat(50));
    let map = object(&format!(r#"{{"mtu": "{long}"}}"#));
    let error = Fields::new(&map, "").u32("mtu").unwrap_err();
    assert!(error.found.ends_with("..."), "{}", error.found);
    assert!(error.found.len() < 140);
}
