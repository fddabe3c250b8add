//! A node's networks, drawn: what is attached to what, with which addresses and rules, as text or as a
//! picture. Readable with hundreds of attachments: what is alike is folded. Start reading at
//! [`Topology`]; `svg` has the layout, which needs nobody's program.

mod svg;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::plain;

/// Attachments of one network that are drawn one by one; of more, so many are and the rest is counted.
const DRAWN: usize = 12;

/// A node and what is attached to it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Topology {
    /// Its name.
    pub node: String,
    /// Its networks.
    pub networks: Vec<Network>,
}

/// A network of the node.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What its attachments share on the host: a bridge, a master, a segment across nodes.
    pub hubs: Vec<Hub>,
    /// Who is attached.
    pub attachments: Vec<Attachment>,
    /// Rules of the packet filter, by kind: how many attachments have them.
    pub rules: BTreeMap<String, usize>,
}

/// What attachments meet at.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hub {
    /// The link.
    pub link: String,
    /// What it is: "bridge".
    pub kind: String,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// An interface of a container.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Attachment {
    /// The container.
    pub container: String,
    /// The interface in it.
    pub ifname: String,
    /// The link of the host that leads there.
    pub link: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its namespace.
    pub netns: Option<String>,
    /// Not finished.
    pub pending: bool,
}

/// In which way it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Indented lines.
    Text,
    /// An object.
    Json,
    /// For Markdown that draws mermaid.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// A picture.
    Svg,
}

impl Topology {
    /// As text of this format.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Format::Mermaid => self.graph(&Words::MERMAID),
            Format::Dot => self.graph(&Words::DOT),
            Format::Svg => svg::draw(self),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("node {}\n", plain(&self.node));
        for network in &self.networks {
            let _ = writeln!(text, "  network {}: {}", plain(&network.name), network.count());
            for hub in &network.hubs {
                let _ = writeln!(text, "    {}", plain(&hub.label(" ")));
            }
            if !network.rules.is_empty() {
                let _ = writeln!(text, "    rules: {}", network.rules());
            }
            let (shown, rest) = network.drawn();
            for attachment in shown {
                let _ = writeln!(text, "      {}", plain(&attachment.label("  ")));
            }
            if let Some(rest) = rest {
                let _ = writeln!(text, "      {rest}");
            }
        }
        text
    }

    fn graph(&self, words: &Words) -> String {
        let mut text = words.begin.to_owned();
        let mut node = |id: &str, label: &str| {
            let label = label.lines().map(words.escape).collect::<Vec<_>>().join(words.line);
            let _ = writeln!(text, "  {id}{}{label}{}", words.open, words.close);
        };
        let mut edges = Vec::new();
        // Graphviz has `node` for itself.
        node("top", &format!("node\n{}", self.node));
        for (place, network) in self.networks.iter().enumerate() {
            let id = format!("n{place}");
            node(
                &id,
                &format!("network {}\n{}\n{}", network.name, network.count(), network.rules()),
            );
            let mut from = id.clone();
            edges.push(("top".to_owned(), id.clone()));
            for (number, hub) in network.hubs.iter().enumerate() {
                let hub_id = format!("{id}h{number}");
                node(&hub_id, &hub.label("\n"));
                edges.push((from, hub_id.clone()));
                from = hub_id;
            }
            let (shown, rest) = network.drawn();
            let labels = shown.iter().map(|it| it.label("\n")).chain(rest);
            for (number, label) in labels.enumerate() {
                let end = format!("{id}a{number}");
                node(&end, &label);
                edges.push((from.clone(), end));
            }
        }
        for (from, to) in edges {
            let _ = writeln!(text, "  {from} {} {to}", words.edge);
        }
        text + words.end
    }
}

impl Network {
    /// How many are attached.
    fn count(&self) -> String {
        match self.attachments.len() {
            1 => "1 attachment".to_owned(),
            count => format!("{count} attachments"),
        }
    }

    fn rules(&self) -> String {
        let each = |(kind, count): (&String, &usize)| format!("{kind} {count}");
        self.rules.iter().map(each).collect::<Vec<_>>().join(", ")
    }

    /// Those that are drawn one by one, and what is said of the others.
    fn drawn(&self) -> (&[Attachment], Option<String>) {
        if self.attachments.len() <= DRAWN {
            return (&self.attachments, None);
        }
        let (shown, rest) = self.attachments.split_at(DRAWN - 1);
        let addresses: Vec<&str> =
            rest.iter().filter_map(|it| it.addresses.first()).map(String::as_str).collect();
        let span = match (addresses.first(), addresses.last()) {
            (Some(first), Some(last)) => format!(": {} ... {}", plain(first), plain(last)),
            _ => String::new(),
        };
        (shown, Some(format!("and {} more{span}", rest.len())))
    }
}

impl Hub {
    fn label(&self, between: &str) -> String {
        let mut parts = vec![format!("{} {}", self.kind, self.link)];
        parts.extend(self.addresses.iter().cloned());
        parts.join(between)
    }
}

impl Attachment {
    /// Container ids are long, and their beginning tells them apart.
    fn short(&self) -> String {
        self.container.chars().take(12).collect()
    }

    fn label(&self, between: &str) -> String {
        self.lines().join(between)
    }

    /// Each address has a line: that of IPv6 is long.
    fn lines(&self) -> Vec<String> {
        let mut parts = vec![format!("{} {}", self.short(), self.ifname)];
        parts.extend(self.addresses.iter().cloned());
        let pending = self.pending.then(|| "pending".to_owned());
        parts.extend(pending.or_else(|| self.link.as_ref().map(|link| format!("by {link}"))));
        parts
    }
}

/// The words of a language of graphs.
struct Words {
    begin: &'static str,
    end: &'static str,
    open: &'static str,
    close: &'static str,
    line: &'static str,
    edge: &'static str,
    escape: fn(&str) -> String,
}

impl Words {
    const MERMAID: Self = Self {
        begin: "flowchart LR\n",
        end: "",
        open: "[\"",
        close: "\"]",
        line: "<br/>",
        edge: "---",
        escape: markup,
    };
    const DOT: Self = Self {
        begin: "graph wharfinger {\n  graph [rankdir=LR]\n  node [shape=box fontname=\"sans-serif\"]\n",
        end: "}\n",
        open: " [label=\"",
        close: "\"]",
        line: "\\n",
        edge: "--",
        escape: quoted,
    };
}

fn quoted(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// As text of HTML and SVG, and of mermaid's labels.
fn markup(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
