//! Everything that a component can import, and the one gate that decides about it.
//!
//! Whatever version of the contract or of WASI a component was built for, what it imports
//! becomes a [`Capability`], and [`allow`] decides. There is no other way to a host function.

use crate::contract::{Name, PACKAGE, Version, World, same_track, since};
use crate::grants::{Grants, Target};

/// The WASI that is offered: any 0.2.
pub(crate) const WASI: &str = "0.2.12";

macro_rules! capabilities {
    ($($variant:ident $package:literal $interface:literal $meaning:literal;)*) => {
        /// An interface that components may import.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Capability { $($variant),* }

        impl Capability {
            /// Every one.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// Package and interface: ("wasi:cli", "stdout").
            pub(crate) fn name(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($package, $interface)),* }
            }

            /// What a component may do with it, for an operator.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

capabilities! {
    Types "wharfinger:plugin" "types" "words of the contract; does nothing";
    Plan "wharfinger:plugin" "plan" "words of the contract; does nothing";
    Ledger "wharfinger:plugin" "ledger" "takes addresses from the host's book, for the attachment in hand";
    Store "wharfinger:plugin" "store" "keeps entries in a small store of its own";
    Logger "wharfinger:plugin" "logger" "writes lines to the operator's log";
    Node "wharfinger:plugin" "node" "reads the node's name, labels and clock";
    Workload "wharfinger:plugin" "workload" "reads the labels and annotations of the pod and of its namespace, where a grant says so";
    IoError "wasi:io" "error" "words of WASI; does nothing";
    IoPoll "wasi:io" "poll" "waits, up to its deadline";
    IoStreams "wasi:io" "streams" "reads and writes streams that it was given";
    CliEnvironment "wasi:cli" "environment" "environment and arguments: empty";
    CliExit "wasi:cli" "exit" "ends itself, which is an error";
    CliStdin "wasi:cli" "stdin" "standard input: empty";
    CliStdout "wasi:cli" "stdout" "standard output: the operator's log";
    CliStderr "wasi:cli" "stderr" "standard error: the operator's log";
    CliTerminalInput "wasi:cli" "terminal-input" "a terminal: there is none";
    CliTerminalOutput "wasi:cli" "terminal-output" "a terminal: there is none";
    CliTerminalStdin "wasi:cli" "terminal-stdin" "a terminal: there is none";
    CliTerminalStdout "wasi:cli" "terminal-stdout" "a terminal: there is none";
    CliTerminalStderr "wasi:cli" "terminal-stderr" "a terminal: there is none";
    ClocksMonotonic "wasi:clocks" "monotonic-clock" "reads a clock";
    ClocksWall "wasi:clocks" "wall-clock" "reads the node's clock";
    RandomRandom "wasi:random" "random" "random numbers";
    RandomInsecure "wasi:random" "insecure" "random numbers";
    RandomInsecureSeed "wasi:random" "insecure-seed" "random numbers";
    FilesystemTypes "wasi:filesystem" "types" "files: there are none";
    FilesystemPreopens "wasi:filesystem" "preopens" "directories: there are none";
    SocketsNetwork "wasi:sockets" "network" "sockets: refused";
    SocketsInstanceNetwork "wasi:sockets" "instance-network" "sockets: refused";
    SocketsTcp "wasi:sockets" "tcp" "sockets: refused";
    SocketsTcpCreate "wasi:sockets" "tcp-create-socket" "sockets: refused";
    SocketsUdp "wasi:sockets" "udp" "sockets: refused";
    SocketsUdpCreate "wasi:sockets" "udp-create-socket" "sockets: refused";
    SocketsLookup "wasi:sockets" "ip-name-lookup" "resolving names: refused";
    HttpTypes "wasi:http" "types" "makes requests, which it may not send by this alone";
    HttpOutgoing "wasi:http" "outgoing-handler" "sends HTTP requests where a grant says so";
}

impl Capability {
    /// What an import's name stands for, in any version on offer.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let name = Name::parse(name)?;
        let offered = if name.package == PACKAGE {
            let known = Version::of_ours(&name);
            known.is_some_and(|version| version >= since(name.interface))
        } else {
            same_track(name.version, WASI)
        };
        let known = |c: &&Self| c.name() == (name.package, name.interface);
        Self::ALL.iter().find(known).copied().filter(|_| offered)
    }

    /// The WASI interface that is offered in place of one of another version.
    pub(crate) fn nearest_wasi(name: &str) -> Option<String> {
        let name = Name::parse(name).filter(|name| name.package.starts_with("wasi:"))?;
        let known = |c: &&Self| c.name() == (name.package, name.interface);
        Self::ALL.iter().find(known)?;
        Some(format!("{}/{}@{WASI}", name.package, name.interface))
    }

    /// Whether it comes from WASI: such a component may wait, and runs where waiting can end.
    pub(crate) fn is_wasi(self) -> bool {
        self.name().0 != PACKAGE
    }
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is there, and works.
    Give,
    /// It is there, because toolchains import what they never call; it is empty, or each call
    /// is refused and said in the log.
    Hollow,
    /// It is there, and each call is asked about with what it wants.
    Ask,
    /// Not without a grant, nor linked; or, of a call, refused.
    Refuse,
}

/// What is asked for: an import when a component is loaded, or the call itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want<'a> {
    /// To be linked.
    Import(Capability),
    /// To send a request there.
    Send(&'a Target),
    /// To read of the pod.
    Pod,
}

/// The gate: every import of every version passes here, and so does every request.
pub(crate) fn allow(world: World, grants: &Grants, want: Want<'_>) -> Decision {
    use Capability as C;
    let capability = match want {
        Want::Import(capability) => capability,
        Want::Send(target) if grants.http_for(target).is_some() => return Decision::Give,
        Want::Pod if grants.pod => return Decision::Give,
        Want::Send(_) | Want::Pod => return Decision::Refuse,
    };
    match capability {
        C::Types
        | C::Plan
        | C::Store
        | C::Logger
        | C::Node
        | C::IoError
        | C::IoPoll
        | C::IoStreams
        | C::ClocksMonotonic
        | C::ClocksWall
        | C::RandomRandom
        | C::RandomInsecure
        | C::RandomInsecureSeed
        | C::CliExit
        | C::CliStdout
        | C::CliStderr
        | C::HttpTypes => Decision::Give,
        C::Ledger => match world {
            World::Ipam => Decision::Give,
            World::Policy => Decision::Refuse,
        },
        C::CliEnvironment
        | C::CliStdin
        | C::CliTerminalInput
        | C::CliTerminalOutput
        | C::CliTerminalStdin
        | C::CliTerminalStdout
        | C::CliTerminalStderr
        | C::FilesystemTypes
        | C::FilesystemPreopens
        | C::SocketsNetwork
        | C::SocketsInstanceNetwork
        | C::SocketsTcp
        | C::SocketsTcpCreate
        | C::SocketsUdp
        | C::SocketsUdpCreate
        | C::SocketsLookup => Decision::Hollow,
        C::HttpOutgoing | C::Workload => Decision::Ask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    use crate::HttpGrant;

    /// Every interface of every version that a component can import, by what is written in
    /// `wit/`, and of WASI.
    fn every_import() -> Vec<String> {
        let ours = Version::ALL.iter().flat_map(|version| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
            let texts = ["types", "plan", "host"].map(|file| {
                std::fs::read_to_string(
                    folder.join(version.text()).join(file).with_extension("wit"),
                )
            });
            let texts = texts.map(Result::unwrap).join("\n");
            let names = texts.lines().filter_map(|line| line.strip_prefix("interface "));
            let names = names.map(|rest| rest.trim_end_matches(" {").to_owned());
            let full = names.map(|name| format!("{PACKAGE}/{name}@{}", version.text()));
            full.collect::<Vec<_>>()
        });
        let wasi = Capability::ALL.iter().filter(|c| c.is_wasi());
        let wasi = wasi.flat_map(|c| {
            let (package, interface) = c.name();
            ["0.2.0", "0.2.6", "0.2.12"].map(|v| format!("{package}/{interface}@{v}"))
        });
        ours.chain(wasi).collect()
    }

    #[test]
    fn pain_h2_every_import_of_every_version_passes_one_gate() {
        let none = Grants::default();
        let every = every_import();
        // Four, two more of types and plan, in each version; and the one that 0.3.0 brought.
        let ours = every.iter().filter(|name| name.starts_with(PACKAGE)).count();
        assert_eq!(ours, 6 * Version::ALL.len() + 1, "{every:?}");
        for name in every {
            let capability = Capability::of(&name).unwrap_or_else(|| panic!("{name}"));
            let decision = allow(World::Policy, &none, Want::Import(capability));
            let wanted = match name.split(['/', '@']).collect::<Vec<_>>()[..] {
                ["wharfinger:plugin", "ledger", _] => Decision::Refuse,
                ["wasi:cli", "stdout" | "stderr" | "exit", _] => Decision::Give,
                ["wasi:sockets" | "wasi:filesystem" | "wasi:cli", ..] => Decision::Hollow,
                ["wasi:http", "outgoing-handler", _] | ["wharfinger:plugin", "workload", _] => {
                    Decision::Ask
                }
                _ => Decision::Give,
            };
            assert_eq!(decision, wanted, "{name}");
        }
        let ledger = Want::Import(Capability::Ledger);
        assert_eq!(allow(World::Ipam, &none, ledger), Decision::Give);
    }

    #[test]
    fn pain_h2_a_request_needs_its_own_grant() {
        let target =
            Target { tls: true, host: "a.example".into(), port: 443, method: "GET".into() };
        let want = Want::Send(&target);
        for world in [World::Ipam, World::Policy] {
            assert_eq!(allow(world, &Grants::default(), want), Decision::Refuse);
            let grant = HttpGrant {
                tls: true,
                host: "a.example".into(),
                port: 443,
                methods: vec!["GET".into()],
                timeout: Duration::from_secs(1),
                size: 1,
                addresses: vec![],
                authorities: None,
            };
            assert_eq!(
                allow(world, &Grants { http: vec![grant], ..Grants::default() }, want),
                Decision::Give
            );
        }
    }

    #[test]
    fn pain_h2_what_the_api_says_of_the_pod_needs_its_own_grant() {
        for world in [World::Ipam, World::Policy] {
            assert_eq!(allow(world, &Grants::default(), Want::Pod), Decision::Refuse);
            let granted = Grants { pod: true, ..Grants::default() };
            assert_eq!(allow(world, &granted, Want::Pod), Decision::Give);
        }
    }

    #[test]
    fn other_packages_and_tracks_are_unknown() {
        for name in [
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout",
            "wasi:keyvalue/store@0.2.0",
            "wharfinger:plugin/ledger@1.0.0",
            "wharfinger:plugin/ledger",
            "wharfinger:plugin/workload@0.2.0",
            "acme:plugin/ledger@0.1.0",
            "ledger",
        ] {
            assert_eq!(Capability::of(name), None, "{name}");
        }
    }
}
