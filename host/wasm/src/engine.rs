//! The one place where the engine is set up: compiling and running must agree on every setting
//! that shapes the code.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store, UpdateDeadline};

use crate::bindings::{IpamPlugin, IpamPluginPre};
use crate::limits::{Limit, Limits};
use crate::raw::{self, Alarm, Code};
use crate::state::{State, Stop};

/// Address space set aside for a memory: the default limit, so that a memory within it never
/// moves. A larger limit works too, at the price of a copy when memory grows past this.
const RESERVATION: u64 = 64 << 20;
/// What must trap on its own beyond it: small, as the code itself checks every access.
const GUARD: u64 = 64 << 10;

/// What compiled code is bound to: the engine's version, the number of our settings (raised
/// whenever [`shared`] changes) and the processor.
pub fn engine_key() -> String {
    format!("wasmtime-48.0.8/settings-1/{}", std::env::consts::ARCH)
}

/// Settings that shape the code.
fn shared() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .signals_based_traps(true)
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(RESERVATION)
        .memory_guard_size(GUARD)
        .memory_init_cow(false)
        // Registering it with the unwinder costs more than all the rest of loading; only
        // profilers read it.
        .native_unwind_info(false);
    config
}

/// Compiles a component for the baseline processor of this architecture: naming the target
/// keeps the build machine's own features out of the code.
pub(crate) fn compile(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut config = shared();
    config.target(&format!("{}-unknown-linux-musl", std::env::consts::ARCH))?;
    Engine::new(&config)?.precompile_component(wasm)
}

/// What components run in: made once a process, without the compiler.
pub struct Runtime {
    /// Lives as long as the process: a timer's signal may come at any time and needs it.
    engine: &'static Engine,
    linker: Linker<State>,
    limits: Limits,
}

impl Runtime {
    /// Makes one; about 20 microseconds.
    pub(crate) fn new(limits: Limits) -> wasmtime::Result<Self> {
        let mut config = shared();
        config
            .enable_compiler(false)
            .max_wasm_stack(limits.stack)
            .with_custom_code_memory(Some(Arc::new(raw::Protect)));
        let engine: &'static Engine = Box::leak(Box::new(Engine::new(&config)?));
        let mut linker = Linker::new(engine);
        IpamPlugin::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(Self { engine, linker, limits })
    }

    /// The limits of every call.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Loads compiled code and fits it to the imports of its world; an error says in plain
    /// words what does not fit. It stays loaded until the process ends, as its code stays mapped.
    pub(crate) fn load(&self, code: &Code) -> Result<&'static IpamPluginPre<State>, String> {
        let component = raw::component(self.engine, code)
            .map_err(|e| format!("its compiled form does not fit this engine: {e:#}"))?;
        let fitted = self.fit(&component).map_err(|e| self.misfit(&component, &e))?;
        Ok(Box::leak(Box::new(fitted)))
    }

    fn fit(&self, component: &Component) -> wasmtime::Result<IpamPluginPre<State>> {
        IpamPluginPre::new(self.linker.instantiate_pre(component)?)
    }

    /// Why a component does not fit, by the names of what it imports and exports.
    fn misfit(&self, component: &Component, error: &wasmtime::Error) -> String {
        let shape = component.component_type();
        let names = crate::world::Names {
            imports: shape.imports(self.engine).map(|(name, _)| name.to_owned()).collect(),
            exports: shape.exports(self.engine).map(|(name, _)| name.to_owned()).collect(),
        };
        crate::world::difference(&names).unwrap_or_else(|| format!("{error:#}"))
    }

    /// A fresh store, every limit set; its epoch deadline is the call's.
    pub(crate) fn store(&self, state: State) -> Store<State> {
        let until = state.until();
        let mut store = Store::new(self.engine, state);
        store.limiter(|state| state.guard());
        store.set_hostcall_fuel(self.limits.hostcall_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            // Another call's timer moves the same epoch: only our own time counts.
            if Instant::now() < until {
                return Ok(UpdateDeadline::Continue(1));
            }
            Err(Stop::Limit(Limit::Deadline).into())
        });
        store
    }

    /// Sets the timer that moves the epoch once the deadline has passed.
    pub(crate) fn alarm(&self) -> std::io::Result<Alarm> {
        raw::alarm(self.engine, self.limits.deadline)
    }
}
