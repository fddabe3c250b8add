//! WASI 0.2 for components that import it: complete, and it refuses. No directories, no
//! environment, no arguments, no sockets, no names; clocks and random numbers; what is written
//! to standard output and error goes to the operator's log. It may never reach anything of the
//! node by itself; HTTP is in `http.rs`.

mod output;
mod refuse;

use wasmtime::Result;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use self::output::Output;
use self::refuse::Refusing;
use crate::capability::Capability;
use crate::http::{Http, Rules};
use crate::journal::{Journal, Stop};
use crate::state::State;

/// Handles that a component may hold at once: each costs the host memory.
const HANDLES: usize = 4_096;
/// Bytes of random numbers in one call.
const RANDOM: u64 = 1 << 20;

/// WASI's side of one call.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: Http,
    outputs: [Output; 2],
}

impl Wasi {
    pub(crate) fn new(journal: Journal, rules: Option<Rules>) -> Self {
        let outputs = [Output::stdout(journal.clone()), Output::stderr(journal.clone())];
        let [stdout, stderr] = &outputs;
        let ctx = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { ctx, table, http: Http::new(journal, rules), outputs }
    }

    /// Logs lines that were not ended.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.outputs.iter().try_for_each(Output::finish)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

fn table(state: &mut State) -> &mut ResourceTable {
    &mut state.wasi().table
}

/// Links one interface of WASI, and nothing else. Ours are not linked here.
pub(crate) fn link(l: &mut Linker<State>, capability: Capability) -> Result<()> {
    use Capability as C;
    match capability {
        C::IoError => io::error::add_to_linker::<_, Table>(l, table),
        C::IoPoll => io::poll::add_to_linker::<_, Table>(l, table),
        C::IoStreams => io::streams::add_to_linker::<_, Table>(l, table),
        C::ClocksMonotonic => {
            clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)
        }
        C::ClocksWall => clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks),
        C::FilesystemTypes => {
            filesystem::types::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)
        }
        C::FilesystemPreopens => {
            filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)
        }
        C::HttpTypes => {
            let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
            wasmtime_wasi_http::p2::bindings::http::types::add_to_linker::<_, WasiHttp>(
                l,
                &(&options).into(),
                State::http,
            )
        }
        C::HttpOutgoing => crate::http::link(l),
        C::Types | C::Plan | C::Ledger | C::Store | C::Logger | C::Node => Ok(()),
        other => cli_and_random(l, other).or_else(|| network(l, other)).unwrap_or(Ok(())),
    }
}

fn cli_and_random(l: &mut Linker<State>, capability: Capability) -> Option<Result<()>> {
    use Capability as C;
    Some(match capability {
        C::CliEnvironment => cli::environment::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliExit => cli::exit::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliStdin => cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliStdout => cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliStderr => cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliTerminalInput => cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliTerminalOutput => cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliTerminalStdin => cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliTerminalStdout => cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli),
        C::CliTerminalStderr => cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli),
        C::RandomRandom => {
            random::random::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
        }
        C::RandomInsecure => {
            random::insecure::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
        }
        C::RandomInsecureSeed => {
            random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
        }
        _ => return None,
    })
}

fn network(l: &mut Linker<State>, capability: Capability) -> Option<Result<()>> {
    use Capability as C;
    use sockets as s;
    Some(match capability {
        C::SocketsNetwork => {
            let options = s::network::LinkOptions::default();
            s::network::add_to_linker::<_, WasiSockets>(l, &options, State::sockets)
        }
        C::SocketsInstanceNetwork => {
            s::instance_network::add_to_linker::<_, WasiSockets>(l, State::sockets)
        }
        C::SocketsTcp => s::tcp::add_to_linker::<_, WasiSockets>(l, State::sockets),
        C::SocketsUdp => s::udp::add_to_linker::<_, WasiSockets>(l, State::sockets),
        C::SocketsTcpCreate => {
            s::tcp_create_socket::add_to_linker::<_, Refusing>(l, refuse::refusing)
        }
        C::SocketsUdpCreate => {
            s::udp_create_socket::add_to_linker::<_, Refusing>(l, refuse::refusing)
        }
        C::SocketsLookup => s::ip_name_lookup::add_to_linker::<_, Refusing>(l, refuse::refusing),
        _ => return None,
    })
}
