//! The one place where the engine is set up: compiling and running must agree on every setting
//! that shapes the code.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Store, UpdateDeadline};

use crate::adapt;
use crate::capability::{Capability, Decision, Want, allow};
use crate::contract::{self, Name, Names, Shape, Version};
use crate::grants::Grants;
use crate::journal::Stop;
use crate::limits::{Limit, Limits};
use crate::raw::{self, Code};
use crate::state::State;
use crate::wasi;

/// Address space set aside for a memory: the default limit, so that a memory within it never
/// moves. A larger limit works too, at the price of a copy when memory grows past this.
const RESERVATION: u64 = 64 << 20;
/// What must trap on its own beyond it: small, as the code itself checks every access.
const GUARD: u64 = 64 << 10;
/// Stack for host functions, beside what a component may use, where a call may wait and so has
/// a stack of its own.
const HOST_STACK: usize = 1 << 20;
/// The most that `limits.stack` can be: calls that never wait run on the caller's own stack.
const MOST_STACK: usize = 4 << 20;

/// What compiled code is bound to: the engine's version, the number of our settings (raised
/// whenever [`shared`] changes) and the processor.
pub fn engine_key() -> String {
    format!("wasmtime-48.0.8/settings-3/{}", std::env::consts::ARCH)
}

/// A component beyond this is large: its memory begins with megabytes, an interpreter say, of which a
/// call needs few. It is mapped page by page from the compiled file. For a small one that costs more
/// than the copy.
const LARGE: usize = 1 << 20;

/// How a memory gets what it begins with. It shapes the code: an engine loads one kind alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Copied,
    Mapped,
}

/// Settings that shape the code.
fn shared(memory: Memory) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .signals_based_traps(true)
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(RESERVATION)
        .memory_guard_size(GUARD)
        .memory_init_cow(memory == Memory::Mapped)
        // Registering it with the unwinder costs more than all the rest of loading; only
        // profilers read it.
        .native_unwind_info(false);
    config
}

/// Compiles a component for the baseline processor of this architecture: naming the target
/// keeps the build machine's own features out of the code.
pub(crate) fn compile(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let memory = if wasm.len() > LARGE { Memory::Mapped } else { Memory::Copied };
    let mut config = shared(memory);
    config.target(&format!("{}-unknown-linux-musl", std::env::consts::ARCH))?;
    Engine::new(&config)?.precompile_component(wasm)
}

/// What components run in: engines without the compiler, made when first needed, one for each
/// size of stack and kind of memory. Made once a process; a clone is the same.
#[derive(Clone, Default)]
pub struct Runtimes(Rc<RefCell<Vec<(Kind, &'static Engine)>>>);

/// Bytes of stack, and how memories begin.
type Kind = (usize, Memory);

impl Runtimes {
    /// A component of this code, which may use so many bytes of stack, and the engine that it is
    /// for.
    pub(crate) fn component(
        &self,
        stack: usize,
        code: &Code,
    ) -> Result<(&'static Engine, Component), String> {
        // Compiled code is some times as large as the component. Where the guess is wrong, the
        // engine says so at once.
        let large = code.bytes().len() > 3 * LARGE;
        let (likely, other) =
            if large { (Memory::Mapped, Memory::Copied) } else { (Memory::Copied, Memory::Mapped) };
        let load = |memory| {
            let engine = self.engine((stack, memory))?;
            let component = raw::component(engine, code)
                .map_err(|e| format!("its compiled form does not fit this engine: {e:#}"))?;
            Ok((engine, component))
        };
        load(likely).or_else(|error| load(other).map_err(|_| error))
    }

    /// The engine of this kind. It lives as long as the process: a timer's signal may come at any
    /// time and needs it.
    fn engine(&self, kind: Kind) -> Result<&'static Engine, String> {
        let known = self.0.borrow().iter().find(|(known, _)| *known == kind).map(|(_, e)| *e);
        if let Some(engine) = known {
            return Ok(engine);
        }
        let (stack, memory) = kind;
        if stack > MOST_STACK {
            return Err(format!(
                "{} of {} is more than can be: at most {} bytes",
                Limit::Stack.setting(),
                stack,
                MOST_STACK
            ));
        }
        let engine =
            engine(stack, memory).map_err(|e| format!("the engine does not start: {e:#}"))?;
        let engine: &'static Engine = Box::leak(Box::new(engine));
        self.0.borrow_mut().push((kind, engine));
        Ok(engine)
    }
}

fn engine(stack: usize, memory: Memory) -> wasmtime::Result<Engine> {
    let mut config = shared(memory);
    config
        .enable_compiler(false)
        .max_wasm_stack(stack)
        .async_stack_size(stack + HOST_STACK)
        .with_custom_code_memory(Some(Arc::new(raw::Protect)));
    Engine::new(&config)
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) engine: &'static Engine,
    pub(crate) component: &'static InstancePre<State>,
    pub(crate) shape: Shape,
    /// It imports WASI: a call may wait, and is run where waiting can end.
    pub(crate) waits: bool,
    /// What it imports that the gate is asked about at each call.
    pub(crate) asks: &'static [Capability],
}

impl Loaded {
    /// Loads compiled code and links what it imports, as far as the gate lets it, and nothing
    /// else; an error says in plain words what does not fit. It stays loaded until the process
    /// ends, as its code stays mapped.
    pub(crate) fn new(
        runtimes: &Runtimes,
        stack: usize,
        code: &Code,
        grants: &Grants,
    ) -> Result<Self, String> {
        let (engine, component) = runtimes.component(stack, code)?;
        let names = names(engine, &component);
        let shape = contract::shape(&names.exports)?;
        let misfit = || contract::misfit(&shape, &with_functions(engine, &component));
        let mut linker = Linker::new(engine);
        let given = match link(&mut linker, &shape, grants, &names) {
            Some(given) => given.map_err(|e| format!("{e:#}"))?,
            None => return Err(misfit().unwrap_or_else(|| "an import is not granted".to_owned())),
        };
        let component = linker
            .instantiate_pre(&component)
            .map_err(|e| misfit().unwrap_or_else(|| format!("{e:#}")))?;
        let asks = given.iter().map(|(capability, _)| *capability);
        let asks: Vec<_> = asks
            .filter(|asked| matches!(asked, Capability::HttpOutgoing | Capability::Workload))
            .collect();
        Ok(Self {
            engine,
            component: Box::leak(Box::new(component)),
            shape,
            waits: given.iter().any(|(capability, _)| capability.is_wasi()),
            asks: asks.leak(),
        })
    }

    /// A fresh store, every limit set; its epoch deadline is the call's.
    pub(crate) fn store(&self, state: State, limits: &Limits) -> Store<State> {
        let mut store = Store::new(self.engine, state);
        store.limiter(|state| state.guard());
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            // Another call's timer moves the same epoch: only our own time counts.
            if Instant::now() < store.data().until() {
                return Ok(UpdateDeadline::Continue(1));
            }
            Err(Stop::Limit(Limit::Deadline).into())
        });
        store
    }
}

/// What was linked: each once, ours by its version.
type Linked = Vec<(Capability, Option<Version>)>;

/// Links the imports; none where one is unknown, or refused by the gate.
fn link(
    linker: &mut Linker<State>,
    shape: &Shape,
    grants: &Grants,
    names: &Names,
) -> Option<wasmtime::Result<Linked>> {
    let mut given = Linked::new();
    for (name, _) in &names.imports {
        let capability = Capability::of(name)?;
        match allow(shape.world, grants, Want::Import(capability)) {
            Decision::Give | Decision::Hollow | Decision::Ask => {}
            Decision::Refuse => return None,
        }
        let version = Name::parse(name).and_then(|name| Version::of_ours(&name));
        if given.contains(&(capability, version)) {
            continue;
        }
        let added = match version {
            Some(version) => adapt::link(linker, version, capability),
            None => wasi::link(linker, capability),
        };
        if let Err(error) = added {
            return Some(Err(error));
        }
        given.push((capability, version));
    }
    Some(Ok(given))
}

fn names(engine: &Engine, component: &Component) -> Names {
    let shape = component.component_type();
    Names {
        imports: shape.imports(engine).map(|(name, _)| (name.to_owned(), Vec::new())).collect(),
        exports: shape.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// The same with the functions of each import: for an error alone, as it takes time.
fn with_functions(engine: &Engine, component: &Component) -> Names {
    use wasmtime::component::types::ComponentItem;
    let mut names = names(engine, component);
    let shape = component.component_type();
    for ((_, functions), (_, import)) in names.imports.iter_mut().zip(shape.imports(engine)) {
        if let ComponentItem::ComponentInstance(instance) = import.ty {
            let exported = instance.exports(engine);
            let is_function =
                |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
            *functions = exported
                .filter(|(_, e)| is_function(&e.ty))
                .map(|(name, _)| name.to_owned())
                .collect();
        }
    }
    names
}
