//! What a node looks like, in each format, also with hundreds of attachments and with names that are
//! meant to break out of a picture.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use wharfinger_view::topology::{Attachment, Format, Hub, Network, Topology};

fn attachment(network: usize, number: usize) -> Attachment {
    Attachment {
        container: format!("{network}{number:03}f2a9c81d77e0"),
        ifname: "eth0".into(),
        link: Some(format!("veth{network}{number:05x}")),
        addresses: vec![format!("10.{network}.{}.{}", number / 250, number % 250 + 2)],
        netns: None,
        pending: number == 2,
    }
}

fn network(name: &str, number: usize, count: usize, hubs: Vec<Hub>) -> Network {
    let rules = [("masquerade".to_owned(), count), ("port mappings".to_owned(), 1)].into();
    let attachments = (0..count).map(|it| attachment(number, it)).collect();
    Network { name: name.into(), hubs, attachments, rules }
}

fn hub(kind: &str, link: &str, addresses: &[&str]) -> Hub {
    let addresses = addresses.iter().map(|it| (*it).to_owned()).collect();
    Hub { kind: kind.into(), link: link.into(), addresses }
}

fn node() -> Topology {
    let overlay =
        vec![hub("vxlan", "vx1", &[]), hub("bridge", "br-pods", &["10.3.0.1/24", "fd00:3::1/64"])];
    let mut pods = network("pods", 1, 400, vec![hub("bridge", "cni0", &["10.1.0.1/16"])]);
    // The order is that of containers, and none of addresses.
    pods.attachments.swap(20, 399);
    Topology {
        node: "worker-1".into(),
        networks: vec![
            pods,
            network("storage", 2, 2, vec![hub("macvlan on", "eth1", &[])]),
            network("tunnel", 3, 7, overlay),
            network("point", 4, 1, vec![]),
        ],
    }
}

#[test]
fn hundreds_of_attachments_are_folded() {
    for (format, folded) in [
        (Format::Text, "and 389 more: 10.1.0.13 ... 10.1.1.151"),
        (Format::Mermaid, "and 395 more<br/>10.1.0.7 ... 10.1.1.151"),
        (Format::Dot, "and 395 more\\n10.1.0.7 ... 10.1.1.151"),
        (Format::Svg, "and 389 more"),
    ] {
        let text = node().render(format);
        assert!(text.contains(folded), "{format:?}: {text}");
        assert!(text.len() < 40_000, "{format:?}: {}", text.len());
        for word in ["pods", "cni0", "10.1.0.1/16", "macvlan on eth1", "10.4.0.2"] {
            assert!(text.contains(word), "{format:?} has no {word}: {text}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&node().render(Format::Json)).expect("JSON");
    assert_eq!(
        json["networks"][0]["attachments"].as_array().map(Vec::len),
        Some(400),
        "all of them"
    );
}

#[test]
fn a_graph_has_no_word_of_graphviz_as_a_name() {
    let text = node().render(Format::Dot);
    let ids = text.lines().filter_map(|line| line.trim().split(' ').next());
    let kept = ["node", "edge", "graph", "digraph", "subgraph", "strict"];
    let of_defaults = |line: &&str| kept.contains(line);
    // The graph itself, its defaults, those of its nodes, and a frame for each network.
    assert_eq!(ids.filter(of_defaults).count(), 3 + node().networks.len(), "{text}");
    assert!(text.starts_with("graph wharfinger {"), "{text}");
}

#[test]
fn names_do_not_break_out_of_a_picture() {
    let mut node = node();
    node.networks[0].name = "<script>\"]; evil --> x\n\u{1b}[2J".into();
    for format in [Format::Mermaid, Format::Dot, Format::Svg] {
        let text = node.render(format);
        assert!(!text.contains('\u{1b}') && !text.contains("\n\u{1b}"));
        let bare = text.contains("<script>");
        assert!(!bare || format == Format::Dot, "{format:?}: {text}");
        assert!(!text.contains(">\"];"), "{format:?}: {text}");
    }
}

/// What mermaid 11 reads as its own, as Markdown's, as HTML's or as a formula's. A renderer is a browser, so
/// none runs here: `mmdc --input` with what this writes to `WHARFINGER_PICTURE` drew each name as it is.
#[test]
fn mermaid_is_given_no_letter_that_means_something_to_it() {
    let names = [
        "end",
        "1. item",
        "- item",
        "a;b %%{init: {}}%%",
        "#35; &amp; `code` **bold** _it_",
        "$$x^2$$",
        "back\\slash \\n",
        "\"] --> x",
        "x\u{202e}y",
    ];
    let mut node = node();
    node.networks.clear();
    for (number, name) in names.into_iter().enumerate() {
        let mut odd = network(name, number, 1, vec![hub("bridge", name, &[])]);
        odd.attachments[0].container = name.into();
        odd.attachments[0].link = Some(name.into());
        node.networks.push(odd);
    }
    let text = node.render(Format::Mermaid);
    for line in text.lines().filter(|line| line.contains("[\"") && !line.contains("[\" \"]")) {
        let (_, label) = line.split_once("[\"").expect("a label");
        let label = label.strip_suffix("\"]").expect("its end").replace("<br/>", " , ");
        let known = |letter: char| letter.is_alphanumeric() || " .-:/,#;".contains(letter);
        assert!(label.chars().all(known), "{label}");
        let list = label.split(" , ").any(|line| line.starts_with("- ") || line.starts_with("1. "));
        assert!(!list, "{label}");
    }
    assert!(text.contains("network #36;#8203;#36;#8203;x#94;2"), "{text}");
    assert!(text.contains("[\"1#46; item eth0<br/>10.1.0.2"), "{text}");
    if let Some(path) = std::env::var_os("WHARFINGER_PICTURE") {
        std::fs::write(std::path::Path::new(&path).with_extension("mmd"), text).expect("written");
    }
}

#[test]
fn boxes_of_a_picture_lie_within_it() {
    let text = node().render(Format::Svg);
    let number = |line: &str, key: &str| -> Option<usize> {
        line.split(&format!(" {key}=\"")).nth(1)?.split('"').next()?.parse().ok()
    };
    let all = number(text.lines().next().unwrap_or_default(), "height").expect("a height");
    for line in text.lines().filter(|line| line.starts_with("<rect class")) {
        let end = number(line, "x").zip(number(line, "width")).map(|(a, b)| a + b);
        assert!(end.is_some_and(|end| end <= 1256), "{line}");
        let end = number(line, "y").zip(number(line, "height")).map(|(a, b)| a + b);
        assert!(end.is_some_and(|end| end <= all), "{line}");
    }
    if let Some(path) = std::env::var_os("WHARFINGER_PICTURE") {
        std::fs::write(path, text).expect("written");
    }
}

#[test]
fn each_address_is_a_line_and_what_is_long_keeps_its_ends() {
    let mut node = node();
    node.networks[1].name = "kubernetes-production-of-tenant-a".into();
    node.networks[1].attachments[0]
        .addresses
        .push("fd00:1234:5678:9abc:def0:1234:5678:9abc".into());
    let svg = node.render(Format::Svg);
    for line in
        [">10.2.0.2<", ">fd00:1234:5678\u{2026}234:5678:9abc<", ">kubernetes-p\u{2026}of-tenant-a<"]
    {
        assert!(svg.contains(line), "{line}: {svg}");
    }
    assert!(
        node.render(Format::Text).contains("10.2.0.2  fd00:1234:5678:9abc:def0:1234:5678:9abc")
    );
}
