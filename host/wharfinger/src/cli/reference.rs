//! The page of all commands, made from the argument parser: docs/commands.md, held by a test.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

/// What is so of all commands.
const HEAD: &str = "# Commands

Made from the program's own argument parser; `wharfinger COMMAND --help` says the same.
Exit statuses: 0, all is well; 1, something failed or was found; 2, the command line is not
understood.

With `--json` every command prints one JSON document on standard output and nothing else there, whatever
happens: what it is stands at each command; of an error, also of a command line that is not understood,
it is an object with `error`, the text that people are told on standard error otherwise, and with `code`,
`msg` and `details` where a runtime would have been told those. Two that go on until interrupted,
`events` and `pools --watch`, print one document on each line. A command that prints what has a format of
its own already (`metrics`, `completions`), or serves until it is killed, has no `--json`, and says so.

Long work shows how far it is, on standard error and only where that is a terminal; not with `--json` or
`--quiet`. Nothing is asked where no terminal is.
";

/// The page, as Markdown.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut all = super::Cli::command();
    all.build();
    let mut below: Vec<&Command> = visible(&all).collect();
    below.reverse();
    let mut next = below;
    while let Some(command) = next.pop() {
        section(&mut page, command);
        let mut below: Vec<&Command> = visible(command).collect();
        below.reverse();
        next.extend(below);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

fn section(page: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    // Writing into a string cannot fail.
    let _ = write!(page, "\n## {name}\n\n{about}.\n\n```\n{usage}\n```\n");
    if let Some(help) = command.get_after_help() {
        let _ = write!(page, "\n{help}.\n");
    }
    let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| is_of_its_own(arg)).collect();
    if arguments.is_empty() {
        return;
    }
    page.push_str("\n| argument | meaning |\n| --- | --- |\n");
    for argument in arguments {
        let _ = writeln!(page, "| `{}` | {} |", cell(&named(argument)), cell(&meaning(argument)));
    }
}

fn is_of_its_own(argument: &Arg) -> bool {
    let of_all = ["help", "version", "json", "quiet"];
    !argument.is_hide_set() && !of_all.contains(&argument.get_id().as_str())
}

/// `--conf-dir DIR`, `NETWORK`.
fn named(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes = argument.get_action().takes_values();
    match argument.get_long() {
        Some(long) if argument.is_require_equals_set() => format!("--{long}[={value}]"),
        Some(long) if takes => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

/// With what stands for it where it is not given.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let mut more = Vec::new();
    if argument.get_action().takes_values() {
        let values = argument.get_possible_values();
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        more.extend((!values.is_empty()).then(|| values.join(", ")));
    }
    let defaults = argument.get_default_values();
    if argument.get_action().takes_values() && defaults.iter().any(|value| !value.is_empty()) {
        let values: Vec<_> = defaults.iter().map(|value| value.to_string_lossy()).collect();
        more.push(format!("default `{}`", values.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        more.push(format!("or `{}` of the environment", variable.to_string_lossy()));
    }
    if more.is_empty() { help } else { format!("{help} ({})", more.join(", ")) }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a command, and the last line of its help.
    fn leaves(command: &Command, name: &str, all: &mut Vec<(String, String, bool)>) {
        for below in visible(command) {
            let name = [name, below.get_name()].join(" ").trim().to_owned();
            if visible(below).next().is_some() {
                leaves(below, &name, all);
                continue;
            }
            let help = below.get_after_help().map(ToString::to_string).unwrap_or_default();
            let json =
                |arg: &Arg| arg.get_long() == Some("json") && !arg.get_action().takes_values();
            all.push((name, help, below.get_arguments().any(json)));
        }
    }

    /// Those of other forms, and why they need no second one.
    const OTHERS: [(&str, &str); 5] = [
        ("metrics", "it prints OpenMetrics, or Prometheus' text"),
        ("node up", "it goes on until killed, and prints lines for a log"),
        ("node down", "it goes on until killed, and prints lines for a log"),
        ("serve", "it goes on until killed, and prints lines for a log"),
        ("completions", "it prints a script of the shell's"),
    ];

    #[test]
    fn every_command_has_json_or_a_format_of_its_own() {
        let mut parser = super::super::Cli::command();
        parser.build();
        let mut all = Vec::new();
        leaves(&parser, "", &mut all);
        assert!(all.len() > 35, "{all:?}");
        let mut others = Vec::new();
        for (name, help, has) in &all {
            assert!(has, "{name} has no --json");
            if let Some(why) = help.strip_prefix(super::super::WITHOUT) {
                others.push((name.as_str(), why));
            } else {
                assert!(
                    help.starts_with("With --json: "),
                    "{name} does not say what it prints: {help}"
                );
            }
        }
        assert_eq!(others, OTHERS);
    }

    #[test]
    fn the_page_of_commands_is_the_parsers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
        let page = page();
        if std::env::var_os("WHARFINGER_GOLDEN").is_some_and(|value| value == "update") {
            std::fs::write(path, &page).expect("docs/commands.md");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == page, "docs/commands.md is another: WHARFINGER_GOLDEN=update writes it");
    }
}
