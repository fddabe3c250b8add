//! Pages, links and headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::workspace;

/// Pages beside the book.
const BESIDE: [&str; 4] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];

fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder of pages").flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| pages(folder));
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    files.into_iter().filter(is_page).chain(below).collect()
}

/// Targets of a page's links, but for those to the web; what is code is no link.
fn links(text: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            let outside = line.split('`').step_by(2);
            prose.extend(outside.chain(["\n"]));
        }
    }
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn each_page_is_in_the_book() {
    let docs = workspace().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(&summary).iter().map(|link| docs.join(link)).collect();
    let there: BTreeSet<PathBuf> =
        pages(&docs).into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, there, "docs/SUMMARY.md lists each page of docs/");
}

#[test]
fn each_link_leads_somewhere() {
    let root = workspace();
    let beside = BESIDE.iter().map(|page| root.join(page)).filter(|page| page.exists());
    let mut wrong = Vec::new();
    for page in beside.chain(pages(&root.join("docs"))) {
        let text = fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            let known = || anchors(&fs::read_to_string(&target).unwrap_or_default());
            if !target.exists() || !anchor.is_empty() && !known().contains(anchor) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_is_read_without_the_repository() {
    let docs = workspace().join("docs");
    let mut outside = Vec::new();
    for page in pages(&docs) {
        let text = fs::read_to_string(&page).expect("a page");
        let depth = page.strip_prefix(&docs).expect("a page of it").components().count() - 1;
        let up = |link: &String| link.split('/').take_while(|part| *part == "..").count();
        let gone = links(&text).into_iter().filter(|link| up(link) > depth);
        outside.extend(gone.map(|link| format!("{}: {link}", page.display())));
    }
    assert!(outside.is_empty(), "{}", outside.join("\n"));
}

#[test]
fn each_error_code_has_cause_and_cure() {
    let source = fs::read_to_string(workspace().join("host/cni/src/error.rs")).expect("the codes");
    let (_, module) = source.split_once("pub mod code {").expect("the codes");
    let (module, _) = module.split_once("\n}").expect("their end");
    let codes = module.lines().filter_map(|line| line.split_once(": u32 = "));
    let codes: Vec<&str> = codes.map(|(_, code)| code.trim_end_matches(';')).collect();
    assert!(codes.len() > 15, "{codes:?}");
    let page = fs::read_to_string(workspace().join("docs/operators.md")).expect("the page");
    let (_, errors) = page.split_once("\n## Errors\n").expect("errors");
    let rows = errors.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    for code in codes {
        let row = rows.iter().find(|row| row[0] == code).unwrap_or_else(|| panic!("no {code}"));
        let whole = row.len() == 3 && row[1..].iter().all(|cell| cell.trim().len() > 3);
        assert!(whole, "cause and cure: {row:?}");
    }
}

#[test]
fn links_and_headings_are_told_from_code() {
    let text = "# A b: `c`, d\n[x](y.md#z) `[no](no.md)` [web](https://a)\n```\n[no](no.md)\n```\n";
    assert_eq!(links(text), ["y.md#z"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d".to_owned()]));
}
