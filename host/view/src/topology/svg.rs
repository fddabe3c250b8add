//! A picture of it, by a layout of our own: a band a network, from the network by what its attachments
//! meet at to the attachments, three beside each other, each of a row by its own way from the same line.

use std::fmt::Write as _;

use super::{Attachment, DRAWN, Hub, Network, Topology, markup};

const WIDTH: usize = 1272;
const MARGIN: usize = 24;
/// Where each column begins, and how wide its boxes are.
const NETWORK: (usize, usize) = (48, 200);
const HUB: (usize, usize) = (300, 200);
const CELL: (usize, usize) = (560, 208);
const COLUMNS: usize = 3;
const GAP: usize = 20;
const LINE: usize = 16;
const PADDING: usize = 22;
/// Lines of a cell; addresses beyond that are left out.
const LINES: usize = 5;
/// Letters that fit into a box: of its first line, which is bold, and of others.
const BOLD: usize = 24;
const LETTERS: usize = 28;

const STYLE: &str = "text{font:12px sans-serif;fill:#1b2733}.t{font-weight:bold}.h{font-size:18px;\
    font-weight:bold}.s{fill:#54636f}.b{fill:#f4f7f9;stroke:#c9d3da}.n{fill:#dbe9f6;stroke:#5b8db8}\
    .u{fill:#fdf0d5;stroke:#c9963b}.a{fill:#fff;stroke:#8aa0ae}.m{fill:#eef1f3;stroke:#8aa0ae;\
    stroke-dasharray:4 3}.w{fill:none;stroke:#7d8f9b;stroke-width:1.5}";

/// See the module.
pub(super) fn draw(topology: &Topology) -> String {
    let mut body = String::new();
    let mut top = 64;
    for network in &topology.networks {
        top += band(&mut body, network, top) + 16;
    }
    if topology.networks.is_empty() {
        text(&mut body, (MARGIN, top), "s", "nothing is attached");
        top += 32;
    }
    let title = format!("node {}", topology.node);
    let mut head = String::new();
    text(&mut head, (MARGIN, 38), "h", &title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" \
         viewBox=\"0 0 {WIDTH} {top}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{top}\" fill=\"#fff\"/>\n{head}{body}</svg>\n",
        markup(&title)
    )
}

/// Draws a network; answers how high it is.
fn band(out: &mut String, network: &Network, top: usize) -> usize {
    let cells = Cells::of(network);
    let hubs: Vec<Vec<String>> = network.hubs.iter().map(Hub::lines).collect();
    let of_hubs: usize = hubs.iter().map(|lines| box_height(lines.len()) + GAP).sum();
    let own = lines_of_network(network);
    let inner = cells.inner().max(of_hubs.saturating_sub(GAP)).max(box_height(own.len()));
    let height = inner + 2 * PADDING;
    rect(out, "b", (MARGIN, top), (WIDTH - 2 * MARGIN, height));
    let middle = top + height / 2;
    filled(out, "n", (NETWORK.0, middle - box_height(own.len()) / 2), NETWORK.1, &own);
    let mut from = NETWORK.0 + NETWORK.1;
    if !hubs.is_empty() {
        wire(out, (from, middle), (HUB.0, middle));
        let mut at = middle - (of_hubs - GAP) / 2;
        for (number, lines) in hubs.iter().enumerate() {
            filled(out, "u", (HUB.0, at), HUB.1, lines);
            at += box_height(lines.len());
            if number + 1 < hubs.len() {
                let centre = HUB.0 + HUB.1 / 2;
                wire(out, (centre, at), (centre, at + GAP));
            }
            at += GAP;
        }
        from = HUB.0 + HUB.1;
    }
    cells.draw(out, (from, middle));
    height
}

/// The attachments of a network: each cell's class and lines, and how high all of them are.
struct Cells {
    cells: Vec<(&'static str, Vec<String>)>,
    height: usize,
}

impl Cells {
    fn of(network: &Network) -> Self {
        let (shown, rest) = network.drawn(DRAWN);
        let cell = |attachment: &Attachment| {
            let mut lines = attachment.lines();
            // The last says by what, or that it is not finished.
            let last = lines.pop();
            lines.truncate(LINES - 1);
            lines.extend(last);
            (if attachment.pending { "m" } else { "a" }, lines)
        };
        let more = |rest: String| ("m", rest.split(": ").map(str::to_owned).collect());
        let cells: Vec<_> = shown.iter().map(cell).chain(rest.map(more)).collect();
        let lines = cells.iter().map(|(_, lines): &(_, Vec<String>)| lines.len()).max();
        Self { cells, height: box_height(lines.unwrap_or_default()) }
    }

    fn rows(&self) -> usize {
        self.cells.len().div_ceil(COLUMNS)
    }

    /// With the line above the first row.
    fn inner(&self) -> usize {
        self.rows() * (self.height + GAP)
    }

    /// From what they meet at (`from`) a line above each row, and from that a way to each cell.
    fn draw(&self, out: &mut String, (from, middle): (usize, usize)) {
        if self.cells.is_empty() {
            return;
        }
        let first = middle - self.inner() / 2;
        let spine = CELL.0 - 28;
        let line_of = |row: usize| first + row * (self.height + GAP) + GAP / 2;
        wire(out, (from, middle), (spine, middle));
        let last = line_of(self.rows() - 1);
        wire(out, (spine, line_of(0).min(middle)), (spine, last.max(middle)));
        for (row, cells) in self.cells.chunks(COLUMNS).enumerate() {
            let left = |column: usize| CELL.0 + column * (CELL.1 + GAP);
            let (line, top) = (line_of(row), line_of(row) + GAP / 2);
            wire(out, (spine, line), (left(cells.len() - 1) + CELL.1 / 2, line));
            for (column, (class, lines)) in cells.iter().enumerate() {
                wire(out, (left(column) + CELL.1 / 2, line), (left(column) + CELL.1 / 2, top));
                rect(out, class, (left(column), top), (CELL.1, self.height));
                let spare = self.height - box_height(lines.len());
                words(out, (left(column), top + spare / 2), lines);
            }
        }
    }
}

fn lines_of_network(network: &Network) -> Vec<String> {
    let mut lines = vec![network.name.clone(), network.count()];
    lines.extend(network.rules.iter().map(|(kind, count)| format!("{kind}: {count}")));
    lines
}

fn box_height(lines: usize) -> usize {
    lines * LINE + 12
}

fn filled(
    out: &mut String,
    class: &str,
    (left, top): (usize, usize),
    width: usize,
    lines: &[String],
) {
    rect(out, class, (left, top), (width, box_height(lines.len())));
    words(out, (left, top), lines);
}

fn words(out: &mut String, (left, top): (usize, usize), lines: &[String]) {
    for (number, line) in lines.iter().enumerate() {
        let class = if number == 0 { "t" } else { "s" };
        let fits = if number == 0 { BOLD } else { LETTERS };
        text(out, (left + 10, top + 6 + number * LINE + 12), class, &fitting(line, fits));
    }
}

/// Cut in its middle: addresses and names differ at their ends.
fn fitting(line: &str, fits: usize) -> String {
    let letters = line.chars().count();
    if letters <= fits {
        return line.to_owned();
    }
    let (head, tail) = (fits / 2, fits - 1 - fits / 2);
    let ends = line.chars().skip(letters - tail);
    line.chars().take(head).chain(['\u{2026}']).chain(ends).collect()
}

fn rect(
    out: &mut String,
    class: &str,
    (left, top): (usize, usize),
    (width, height): (usize, usize),
) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
}

fn wire(out: &mut String, from: (usize, usize), to: (usize, usize)) {
    let _ = writeln!(out, "<path class=\"w\" d=\"M{} {}L{} {}\"/>", from.0, from.1, to.0, to.1);
}

fn text(out: &mut String, (left, top): (usize, usize), class: &str, words: &str) {
    let _ =
        writeln!(out, "<text class=\"{class}\" x=\"{left}\" y=\"{top}\">{}</text>", markup(words));
}
