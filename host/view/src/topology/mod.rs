//! A node's networks, drawn: what is attached to what, with which addresses and rules, as text or as a
//! picture. Readable with hundreds of attachments: what is alike is folded. Start reading at
//! [`Topology`]; `svg` has the layout, which needs nobody's program.

mod svg;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Serialize;

use crate::plain;

/// Attachments of one network that are drawn one by one; of more, so many are and the rest is counted.
const DRAWN: usize = 12;
/// The same where each is drawn below the other, as programs for graphs do: of several networks a picture
/// would be too long to be seen whole.
const BELOW_EACH_OTHER: usize = 6;

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
        if self.networks.is_empty() {
            text.push_str("  nothing is attached\n");
        }
        for network in &self.networks {
            let _ = writeln!(text, "  network {}: {}", plain(&network.name), network.count());
            for hub in &network.hubs {
                let _ = writeln!(text, "    {}", plain(&hub.lines().join(" ")));
            }
            if !network.rules.is_empty() {
                let rules: Vec<String> = network.rules_by_kind().collect();
                let _ = writeln!(text, "    rules: {}", rules.join(", "));
            }
            let (shown, rest) = network.drawn(DRAWN);
            for attachment in shown {
                let _ = writeln!(text, "      {}", plain(&attachment.lines().join("  ")));
            }
            if let Some(rest) = rest {
                let _ = writeln!(text, "      {rest}");
            }
        }
        text
    }

    fn graph(&self, words: &Words) -> String {
        let mut text = words.begin.to_owned();
        // Graphviz has `node` for itself.
        let top = words.node("top", ["node", &self.node]);
        let _ = writeln!(text, "  {top}");
        for (place, network) in self.networks.iter().enumerate() {
            network.graph(words, &format!("n{place}"), &mut text);
        }
        text + words.end
    }
}

impl Network {
    /// A frame with what is of the network alone, so that nobody's lines lead over it, and the way into it.
    fn graph(&self, words: &Words, id: &str, text: &mut String) {
        let named = [format!("network {}", self.name), self.count()];
        let mut nodes = vec![words.node(id, named.into_iter().chain(self.rules_by_kind()))];
        let mut edges = Vec::new();
        let mut from = id.to_owned();
        for (number, hub) in self.hubs.iter().enumerate() {
            let hub_id = format!("{id}h{number}");
            nodes.push(words.node(&hub_id, hub.lines()));
            edges.push(words.edge(&from, &hub_id));
            from = hub_id;
        }
        let (shown, rest) = self.drawn(BELOW_EACH_OTHER);
        let rest = rest.map(|rest| rest.split(": ").map(str::to_owned).collect());
        for (number, lines) in shown.iter().map(Attachment::lines).chain(rest).enumerate() {
            let end = format!("{id}a{number}");
            nodes.push(words.node(&end, lines));
            edges.push(words.edge(&from, &end));
        }
        let _ = writeln!(text, "  subgraph cluster_{id} {}", words.frame);
        for line in nodes.iter().chain(&edges) {
            let _ = writeln!(text, "    {line}");
        }
        let _ = writeln!(text, "  {}\n  {}", words.end_of_frame, words.edge("top", id));
    }

    /// How many are attached.
    fn count(&self) -> String {
        match self.attachments.len() {
            1 => "1 attachment".to_owned(),
            count => format!("{count} attachments"),
        }
    }

    fn rules_by_kind(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(|(kind, count)| format!("{kind} {count}"))
    }

    /// Those that are drawn one by one, of at most so many, and what is said of the others.
    fn drawn(&self, most: usize) -> (&[Attachment], Option<String>) {
        if self.attachments.len() <= most {
            return (&self.attachments, None);
        }
        let (shown, rest) = self.attachments.split_at(most - 1);
        // They are in the order of their containers, which is none of addresses.
        let addresses =
            || rest.iter().filter_map(|it| it.addresses.first()?.parse::<IpAddr>().ok());
        let span = match (addresses().min(), addresses().max()) {
            (Some(least), Some(greatest)) => format!(": {least} ... {greatest}"),
            _ => String::new(),
        };
        (shown, Some(format!("and {} more{span}", rest.len())))
    }
}

impl Hub {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.kind, self.link)];
        lines.extend(self.addresses.iter().cloned());
        lines
    }
}

impl Attachment {
    /// Container ids are long, and their beginning tells them apart.
    fn short(&self) -> String {
        self.container.chars().take(12).collect()
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
    frame: &'static str,
    end_of_frame: &'static str,
    escape: fn(&str) -> String,
}

impl Words {
    const MERMAID: Self = Self {
        // As close as the frames leave it readable; and lines are as long as they are.
        begin: "%%{init: {\"flowchart\": {\"nodeSpacing\": 16, \"wrappingWidth\": 600}}}%%\nflowchart LR\n",
        end: "",
        open: "[\"",
        close: "\"]",
        line: "<br/>",
        edge: "---",
        frame: "[\" \"]",
        end_of_frame: "end",
        escape: entities,
    };
    const DOT: Self = Self {
        begin: "graph wharfinger {\n  graph [rankdir=LR nodesep=0.12 color=gray]\n  node [shape=box fontname=\"sans-serif\"]\n",
        end: "}\n",
        open: " [label=\"",
        close: "\"]",
        line: "\\n",
        edge: "--",
        frame: "{",
        end_of_frame: "}",
        escape: quoted,
    };

    /// A box with these lines in it.
    fn node<Line: AsRef<str>>(&self, id: &str, lines: impl IntoIterator<Item = Line>) -> String {
        let lines = lines.into_iter().map(|line| (self.escape)(line.as_ref()));
        let label = lines.collect::<Vec<_>>().join(self.line);
        format!("{id}{}{label}{}", self.open, self.close)
    }

    fn edge(&self, from: &str, to: &str) -> String {
        format!("{from} {} {to}", self.edge)
    }
}

/// Graphviz knows the names of HTML's letters, too.
fn quoted(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
}

/// As text of mermaid's labels, which are read as a string, as Markdown and as HTML: what means something
/// to one of them is written by its number.
fn entities(text: &str) -> String {
    let plain = plain(text);
    let mut letters = plain.chars().peekable();
    let mut written = String::new();
    while let Some(letter) = letters.next() {
        // So a list begins: "1. ", "- ".
        let begins = written.trim_start().chars().all(|before| before.is_ascii_digit())
            && letters.peek().is_none_or(|next| *next == ' ');
        if letter.is_alphanumeric() || " :/,".contains(letter) || ".-".contains(letter) && !begins {
            written.push(letter);
        } else {
            let _ = write!(written, "#{};", u32::from(letter));
        }
        if "\\$".contains(letter) {
            // A line's end and a formula are looked for when numbers are letters again: a space without
            // width stands between.
            written.push_str("#8203;");
        }
    }
    written
}

/// As text of SVG.
fn markup(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
