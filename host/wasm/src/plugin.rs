//! A component that is ready to be called, and where it comes from: [`Plugins`] finds it,
//! [`Plugin`] calls it, a fresh instance each time, and turns every ending into an answer or a
//! typed error.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use wasmtime::{Store, Trap, WasmBacktrace};

use crate::answer::{self, Weigh};
use crate::bindings::exports::wharfinger::plugin::ipam as wit;
use crate::bindings::wharfinger::plugin::types;
use crate::bindings::{IpamPlugin, IpamPluginPre};
use crate::engine::{Runtime, engine_key};
use crate::limits::{Limit, Limits};
use crate::pack::{Entry, Pack};
use crate::raw::{self, Code, Lent};
use crate::state::{State, Stop};
use crate::{Attachment, Book, Error, Ipam, Lease, Node, Pool, Problem, Reason, Request};
use crate::{address, lease, package};

/// This process's own program, also where its file was replaced or removed since.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Of a digest's 64 digits, an error shows the first 12.
const HIDDEN_DIGITS: usize = 52;
/// Innermost functions named by a trap.
const FRAMES: usize = 4;

/// The components inside an executable.
pub struct Plugins {
    runtime: Rc<Runtime>,
    file: File,
    pack: Pack,
}

impl Plugins {
    /// Those inside this very program, read through /proc (proc(5)).
    pub fn embedded(limits: Limits) -> Result<Self, Error> {
        Self::open(Path::new(OWN_PROGRAM), limits)
    }

    /// Those inside the program at `path`. What is in there runs as native code: trust it as
    /// you trust a program that you start.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, Error> {
        let shown = path.display();
        let unloadable = |what| unloadable("(built in)", what);
        let file = File::open(path).map_err(|e| unloadable(format!("open {shown}: {e}")))?;
        let pack = Pack::read(&file)
            .map_err(|e| unloadable(format!("read {shown}: {e}")))?
            .ok_or_else(|| unloadable(format!("{shown} {NOTHING_INSIDE}")))?;
        if pack.engine != engine_key() {
            let (found, wanted) = (&pack.engine, engine_key());
            return Err(unloadable(format!("compiled for {found}, this program runs {wanted}")));
        }
        let runtime = Runtime::new(limits)
            .map_err(|e| unloadable(format!("the engine does not start: {e:#}")))?;
        Ok(Self { runtime: Rc::new(runtime), file, pack })
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pack.components.iter().map(|entry| entry.name.as_str())
    }

    /// One of them, as an IPAM plugin; none where no component has that name.
    pub fn ipam(&self, name: &str) -> Option<Result<Plugin, Error>> {
        let entry = self.pack.components.iter().find(|entry| entry.name == name)?;
        Some(self.load(entry))
    }

    fn load(&self, entry: &Entry) -> Result<Plugin, Error> {
        let identity = format!("{}@{}", entry.name, entry.digest);
        let len = usize::try_from(entry.len).unwrap_or(usize::MAX);
        let code = raw::map(&self.file, entry.offset, len)
            .map_err(|e| unloadable(&identity, format!("map its code: {e}")))?;
        Plugin::ready(Rc::clone(&self.runtime), identity, &code)
    }
}

/// Said of a program that carries no components.
const NOTHING_INSIDE: &str = "carries no built-in components: build it with `cargo xtask build`, \
                              and do not strip it afterwards";

fn unloadable(plugin: &str, what: String) -> Error {
    Error::Unloadable { plugin: plugin.to_owned(), what }
}

/// A component of the world `ipam-plugin`.
pub struct Plugin {
    runtime: Rc<Runtime>,
    identity: String,
    /// The identity as errors show it: as much of the digest as tells it from others.
    shown: String,
    component: &'static IpamPluginPre<State>,
}

impl Plugin {
    /// Compiles a .wasm here and now (tens of milliseconds and more): for tests and tools,
    /// never for an ADD.
    pub fn compiled(name: &str, wasm: &[u8], limits: Limits) -> Result<Self, Error> {
        let identity = format!("{name}@{}", package::digest(wasm));
        let failed = |what: String| unloadable(&identity, what);
        let code = package::compile_component(name, wasm).map_err(|e| failed(e.to_string()))?;
        let code = raw::copy(&code).map_err(|e| failed(format!("map its code: {e}")))?;
        let runtime = Runtime::new(limits)
            .map_err(|e| failed(format!("the engine does not start: {e:#}")))?;
        Self::ready(Rc::new(runtime), identity, &code)
    }

    fn ready(runtime: Rc<Runtime>, identity: String, code: &Code) -> Result<Self, Error> {
        let component = runtime.load(code).map_err(|what| unloadable(&identity, what))?;
        let shown = identity.chars().take(identity.len().saturating_sub(HIDDEN_DIGITS)).collect();
        Ok(Self { runtime, identity, shown, component })
    }

    /// One call in a fresh instance, under every limit.
    fn call<R: Weigh>(
        &self,
        call: &'static str,
        state: State,
        run: impl FnOnce(&IpamPlugin, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<(R, State), Error> {
        let mut store = self.runtime.store(state);
        let alarm = self
            .runtime
            .alarm()
            .map_err(|e| unloadable(&self.shown, format!("set the deadline's timer: {e}")))?;
        let answer =
            self.component.instantiate(&mut store).and_then(|plugin| run(&plugin, &mut store));
        drop(alarm);
        let answer = answer.map_err(|e| self.ended(call, e))?;
        if answer.weight() > self.runtime.limits().returned {
            return Err(self.limit(call, Limit::Returned));
        }
        Ok((answer, store.into_data()))
    }

    fn state(&self, node: &Node, book: Option<Lent>) -> State {
        State::new(self.runtime.limits(), node, book)
    }

    /// The typed error of a call that the engine or the host ended.
    fn ended(&self, call: &'static str, error: wasmtime::Error) -> Error {
        match error.downcast::<Stop>() {
            Ok(Stop::Limit(limit)) => self.limit(call, limit),
            Ok(Stop::BadArgument(what)) => self.bad(call, what),
            Ok(Stop::Book(error)) => Error::Book(error),
            Err(error) => match met(&error) {
                Some(limit) => self.limit(call, limit),
                None => self.trapped(call, &error),
            },
        }
    }

    fn limit(&self, call: &'static str, limit: Limit) -> Error {
        Error::Limit {
            plugin: self.shown.clone(),
            call,
            limit: limit.name(),
            allowed: limit.allowed(self.runtime.limits()),
            setting: limit.setting(),
        }
    }

    fn bad(&self, call: &'static str, what: String) -> Error {
        Error::BadAnswer { plugin: self.shown.clone(), call, what }
    }

    fn trapped(&self, call: &'static str, error: &wasmtime::Error) -> Error {
        Error::Trapped { plugin: self.shown.clone(), call, message: trap(error) }
    }

    fn failed(&self, call: &'static str, failure: &types::Failure) -> Error {
        Error::Failed {
            plugin: self.shown.clone(),
            call,
            reason: reason(failure.reason),
            message: answer::line(&failure.message),
            detail: failure.detail.as_deref().map(answer::detail),
        }
    }
}

impl Ipam for Plugin {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let config = config.to_owned();
        let (problems, _) = self.call("validate", self.state(node, None), |plugin, store| {
            plugin.wharfinger_plugin_ipam().call_validate(store, &config)
        })?;
        Ok(problems.iter().map(problem).collect())
    }

    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        const CALL: &str = "pools";
        let config = config.to_owned();
        let (pools, _) = self.call(CALL, self.state(node, None), |plugin, store| {
            plugin.wharfinger_plugin_ipam().call_pools(store, &config)
        })?;
        let pools = pools.map_err(|failure| self.failed(CALL, &failure))?;
        pools.iter().map(|p| pool(p).map_err(|what| self.bad(CALL, what))).collect()
    }

    fn allocate(
        &self,
        node: &Node,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, Error> {
        const CALL: &str = "allocate";
        let asked = asked(request);
        let (answer, state) = raw::lend(book, |lent| {
            self.call(CALL, self.state(node, Some(lent)), |plugin, store| {
                plugin.wharfinger_plugin_ipam().call_allocate(store, &asked)
            })
        })?;
        let given = answer.map_err(|failure| self.failed(CALL, &failure))?;
        lease::check(given, &state.taken, &request.wanted).map_err(|what| self.bad(CALL, what))
    }
}

/// The limit behind an error of the engine's own.
fn met(error: &wasmtime::Error) -> Option<Limit> {
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return Some(Limit::Stack);
    }
    // These two have no public type; a test of each would notice other words.
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls") {
        return Some(Limit::HostcallBytes);
    }
    root.starts_with("resource limit exceeded").then_some(Limit::Instances)
}

/// A trap in words: what, and in which of the plugin's innermost functions.
fn trap(error: &wasmtime::Error) -> String {
    let what = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let names: Vec<String> = error
        .downcast_ref::<WasmBacktrace>()
        .into_iter()
        .flat_map(WasmBacktrace::frames)
        .filter_map(|frame| frame.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .take(FRAMES)
        .collect();
    if names.is_empty() {
        return answer::line(&what);
    }
    answer::line(&format!("{what}, in {}", names.join(" < ")))
}

fn reason(reason: types::Reason) -> Reason {
    match reason {
        types::Reason::InvalidConfig => Reason::InvalidConfig,
        types::Reason::Exhausted => Reason::Exhausted,
        types::Reason::Conflict => Reason::Conflict,
        types::Reason::TryAgain => Reason::TryAgain,
        types::Reason::Other => Reason::Other,
    }
}

fn problem(given: &types::Problem) -> Problem {
    Problem { pointer: answer::line(&given.pointer), message: answer::line(&given.message) }
}

fn pool(given: &wit::Pool) -> Result<Pool, String> {
    let ranges: Result<_, _> =
        given.ranges.iter().map(|range| address::parse_range(&range.first, &range.last)).collect();
    Ok(Pool { name: answer::line(&given.name), ranges: ranges? })
}

fn asked(request: &Request) -> wit::Request {
    wit::Request {
        attachment: attachment(&request.attachment),
        config: request.config.clone(),
        network_config: request.network_config.clone(),
        wanted: request.wanted.iter().map(IpAddr::to_string).collect(),
    }
}

fn attachment(given: &Attachment) -> types::Attachment {
    let pair =
        |(name, value): &(String, String)| types::Pair { name: name.clone(), value: value.clone() };
    types::Attachment {
        id: types::AttachmentId {
            network: given.id.network.clone(),
            container: given.id.container.clone(),
            ifname: given.id.ifname.clone(),
        },
        pod: given.pod.as_ref().map(|pod| types::Pod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }),
        args: given.args.iter().map(pair).collect(),
    }
}
