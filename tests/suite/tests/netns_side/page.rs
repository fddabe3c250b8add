//! The page of differences and the cases name the same ones.

use std::collections::BTreeSet;

/// The ids in the first column of the page's table, in quotes.
fn of_the_page() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference-differences.md");
    let text = std::fs::read_to_string(page).expect("docs/reference-differences.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(id, _)| id.to_owned()).collect()
}

/// The ids that cases name: the first word of each `differs(`.
fn of_the_cases() -> BTreeSet<String> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns_side");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path.ends_with("page.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a source file");
        for part in text.split("differs(").skip(1) {
            let id = part.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
            found.extend(id.map(|(id, _)| id.to_owned()));
        }
    }
    found
}

/// Rows that no case of here can show: another test does, which the row names.
fn shown_elsewhere(id: &str) -> bool {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference-differences.md");
    let text = std::fs::read_to_string(page).expect("docs/reference-differences.md");
    let row = text.lines().find(|line| line.starts_with(&format!("| `{id}` |")));
    row.is_some_and(|row| row.contains("(shown by `"))
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_page_has_what_the_cases_show() {
    let (page, cases) = (of_the_page(), of_the_cases());
    let unknown: Vec<&String> = cases.difference(&page).collect();
    let unseen: Vec<&String> = page.difference(&cases).filter(|id| !shown_elsewhere(id)).collect();
    assert!(unknown.is_empty(), "not on the page: {unknown:?}");
    assert!(unseen.is_empty(), "shown by no case: {unseen:?}");
}
