//! `cargo xtask lint`, as to `unsafe`: where it stands, and how often, is listed in `xtask/unsafe.txt`. More of
//! it is a change of that list, which a reader of the change sees. That each has its reason beside it, clippy
//! holds (`undocumented_unsafe_blocks`).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use proc_macro2::{TokenStream, TokenTree};

use crate::command::{program, say, text, workspace};

/// The list, below the checkout.
const LIST: &str = "xtask/unsafe.txt";

/// Where it may stand: what makes system calls, the one module that maps native code, and tests.
const ALLOWED: [&str; 3] = ["host/kernel/", "host/wasm/src/raw/", "tests/"];

/// Crates of ours that may not say `forbid(unsafe_code)`.
const WITH: [&str; 2] = ["host/kernel", "host/wasm"];

/// Compares what there is with the list.
pub(crate) fn check() -> Result<()> {
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for file in
        text(&mut program("git ls-files --cached --others --exclude-standard *.rs"))?.lines()
    {
        let Ok(source) = fs::read_to_string(workspace().join(file)) else { continue };
        let count = count(&source).with_context(|| file.to_owned())?;
        if count > 0 {
            lines.push(format!("{count} {file}\n"));
            if !ALLOWED.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!(
                    "{file}: no `unsafe` here: what needs it belongs to host/kernel"
                ));
            }
        }
        let root = ["src/lib.rs", "src/main.rs"].iter().find_map(|root| file.strip_suffix(root));
        if let Some(of_crate) = root {
            wrong.extend(permissive(of_crate.trim_end_matches('/'), &source));
        }
    }
    let listed = fs::read_to_string(workspace().join(LIST)).context(LIST)?;
    let head = listed.lines().filter(|line| line.starts_with('#'));
    let expected: String =
        head.flat_map(|line| [line, "\n"]).chain(lines.iter().map(String::as_str)).collect();
    if listed != expected {
        wrong.push(format!("{LIST} does not say what there is, which is:\n{expected}"));
    }
    if wrong.is_empty() {
        say(&format!("`unsafe` in {} files, as listed", lines.len()));
        return Ok(());
    }
    bail!("{}", wrong.join("\n"));
}

/// A crate of the host that leaves to its modules what none of them may have.
fn permissive(of_crate: &str, source: &str) -> Option<String> {
    let of_host = Path::new(of_crate).parent().is_some_and(|parent| parent == "host");
    let forbids = source.contains("#![forbid(unsafe_code)]");
    let wrong = of_host && !WITH.contains(&of_crate) && !forbids;
    wrong.then(|| format!("{of_crate}: `#![forbid(unsafe_code)]` is not there"))
}

/// How often a source says `unsafe`, comments and strings aside.
fn count(source: &str) -> Result<usize> {
    let tokens: TokenStream = source.parse().ok().context("cannot be read as Rust")?;
    Ok(count_in(tokens))
}

fn count_in(tokens: TokenStream) -> usize {
    let of_one = |token| match token {
        TokenTree::Ident(word) => usize::from(word == "unsafe"),
        TokenTree::Group(group) => count_in(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.into_iter().map(of_one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_comments_and_strings_do_not_count() -> Result<()> {
        let source = "//! unsafe\nfn f() { /* unsafe */ let _ = \"unsafe \\\n unsafe\"; unsafe { g() } }\n\
                      unsafe impl Send for X {}\n#[allow(unsafe_code)] const T: &str = r#\"unsafe\"#;";
        assert_eq!(count(source)?, 2);
        Ok(())
    }

    #[test]
    fn a_crate_of_the_host_forbids_it() {
        assert_eq!(permissive("host/cni", "#![forbid(unsafe_code)]"), None);
        assert_eq!(permissive("host/kernel", ""), None);
        assert_eq!(permissive("tests/suite", ""), None);
        assert!(permissive("host/cni", "#![deny(unsafe_code)]").is_some());
    }
}
