//! A component that is ready to be called: a fresh instance each time, under every limit; every
//! ending is an answer or a typed error.

use std::sync::Arc;

use tokio::time::timeout_at;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, TypedFunc};

use crate::answer::Weigh;
use crate::capability::Capability;
use crate::contract::{self, Version, World};
use crate::ended::Ended;
use crate::engine::{Loaded, Runtimes};
use crate::grants::{self, Grants};
use crate::http::Rules;
use crate::journal::{Journal, Stop};
use crate::limits::{Limit, Limits};
use crate::raw::{self, Alarm, Code, Lent};
use crate::state::{Access, State};
use crate::{Error, Node, package};

/// Of a digest's 64 digits, an error shows the first 12.
const HIDDEN_DIGITS: usize = 52;

/// A component of either world, of any version that was ever released.
#[derive(Clone)]
pub struct Plugin {
    loaded: Loaded,
    identity: String,
    /// The identity as errors show it: as much of the digest as tells it from others.
    shown: String,
    limits: Limits,
    /// What requests are judged by.
    rules: Rules,
}

/// A plugin that gives out addresses; see [`crate::Ipam`].
#[derive(Clone)]
pub struct IpamPlugin(pub(crate) Plugin);

/// A plugin that admits or refuses; see [`crate::Policy`].
#[derive(Clone)]
pub struct PolicyPlugin(pub(crate) Plugin);

/// An identity as errors show it.
pub(crate) fn shown(identity: &str) -> String {
    identity.chars().take(identity.len().saturating_sub(HIDDEN_DIGITS)).collect()
}

/// An export that is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The interface's whole name, as the component has it.
    pub(crate) interface: &'a str,
    pub(crate) function: &'static str,
}

impl Plugin {
    /// A component whose compiled code is mapped; `identity` is its name and the digest of its
    /// .wasm, "sticky@sha256:0123…". About a tenth of a millisecond.
    pub fn load(
        runtimes: &Runtimes,
        identity: &str,
        code: &Code,
        limits: &Limits,
        grants: &Grants,
    ) -> Result<Self, Error> {
        let failed = |what| Error::Unloadable { plugin: identity.to_owned(), what };
        let loaded = Loaded::new(runtimes, limits.stack, code, grants).map_err(failed)?;
        let rules = Rules {
            world: loaded.shape.world,
            grants: Arc::new(grants.clone()),
            identity: identity.into(),
        };
        let shown = shown(identity);
        Ok(Self { loaded, identity: identity.to_owned(), shown, limits: limits.clone(), rules })
    }

    /// Compiles a .wasm here and now (tens of milliseconds and more): for tests and tools,
    /// never for an ADD.
    pub fn compiled(
        name: &str,
        wasm: &[u8],
        limits: &Limits,
        grants: &Grants,
    ) -> Result<Self, Error> {
        let identity = format!("{name}@{}", package::digest(wasm));
        let failed = |what| Error::Unloadable { plugin: identity.clone(), what };
        let code = package::compile_component(name, wasm).map_err(|e| failed(e.to_string()))?;
        let code = raw::copy(&code).map_err(|e| failed(format!("map its code: {e}")))?;
        Self::load(&Runtimes::default(), &identity, &code, limits, grants)
    }

    /// Its name and digest: "host-local@sha256:0123…".
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What it is.
    pub fn world(&self) -> World {
        self.loaded.shape.world
    }

    /// The version of the contract that it was built for: "0.2.0".
    pub fn version(&self) -> &'static str {
        self.built_for().text()
    }

    /// What an operator would write to let it read of the pod; none where it does not ask for that.
    pub fn pod_grant(&self) -> Option<String> {
        let asks = self.loaded.asks.contains(&Capability::Workload);
        asks.then(|| grants::pod(&self.identity))
    }

    pub(crate) fn built_for(&self) -> Version {
        self.loaded.shape.version
    }

    /// As what gives out addresses.
    pub fn ipam(self) -> Result<IpamPlugin, Error> {
        self.wanted(World::Ipam).map(IpamPlugin)
    }

    /// As what admits or refuses.
    pub fn policy(self) -> Result<PolicyPlugin, Error> {
        self.wanted(World::Policy).map(PolicyPlugin)
    }

    fn wanted(self, wanted: World) -> Result<Self, Error> {
        match contract::wrong_world(&self.loaded.shape, wanted) {
            Some(what) => Err(Error::Unloadable { plugin: self.identity, what }),
            None => Ok(self),
        }
    }

    /// Its `ipam-remote`, where it has one.
    pub(crate) fn remote_export(&self) -> Option<&str> {
        self.loaded.shape.remote.as_deref()
    }

    /// A call of the world's own interface.
    pub(crate) fn export(&self, function: &'static str) -> Call<'_> {
        Call { interface: &self.loaded.shape.export, function }
    }

    pub(crate) fn state(&self, node: &Node, access: Access, book: Option<Lent>) -> State {
        let journal = Journal::new(book, self.limits.log);
        let mut state = State::new(&self.limits, node, access, journal);
        state.rules = (!self.loaded.asks.is_empty()).then(|| self.rules.clone());
        state
    }

    /// The endings of a call, as typed errors.
    pub(crate) fn endings(&self, call: &'static str) -> Ended<'_> {
        Ended { plugin: &self.shown, call, limits: &self.limits }
    }

    /// One call in a fresh instance, under every limit.
    pub(crate) fn call<P, R>(
        &self,
        call: Call<'_>,
        state: State,
        params: P,
    ) -> Result<(R, State), Error>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let endings = self.endings(call.function);
        let mut store = self.loaded.store(state, &self.limits);
        let alarm = raw::alarm(self.loaded.engine, self.limits.deadline).map_err(|e| {
            let what = format!("set the deadline's timer: {e}");
            Error::Unloadable { plugin: self.shown.clone(), what }
        })?;
        let answer = self.function(call).and_then(|index| {
            if self.loaded.waits {
                self.run_waiting(&mut store, &index, params)
            } else {
                self.run(&mut store, &index, params)
            }
        });
        drop::<Alarm>(alarm);
        let flushed = store.data_mut().flush();
        let state = store.into_data();
        if let Some(stop) = state.journal.ended() {
            return Err(endings.stopped(stop));
        }
        let words = state.journal.last_words();
        let answer = answer.map_err(|e| endings.error(e, words.as_deref()))?;
        flushed.map_err(|stop| endings.stopped(stop))?;
        Ok((answer, state))
    }

    fn function(&self, call: Call<'_>) -> wasmtime::Result<ComponentExportIndex> {
        let component = self.loaded.component.component();
        let interface = component.get_export_index(None, call.interface);
        interface
            .and_then(|interface| component.get_export_index(Some(&interface), call.function))
            .ok_or_else(|| wasmtime::format_err!("it has no {}", call.function))
    }

    fn run<P, R>(
        &self,
        store: &mut Store<State>,
        index: &ComponentExportIndex,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
    {
        let instance = self.loaded.component.instantiate(&mut *store)?;
        let function: TypedFunc<P, (R,)> = instance.get_typed_func(&mut *store, index)?;
        Ok(function.call(store, params)?.0)
    }

    /// The same where the component may wait: waiting ends at the deadline too.
    fn run_waiting<P, R>(
        &self,
        store: &mut Store<State>,
        index: &ComponentExportIndex,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let until = store.data().until();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let call = async {
            let instance = self.loaded.component.instantiate_async(&mut *store).await?;
            let function: TypedFunc<P, (R,)> = instance.get_typed_func(&mut *store, index)?;
            function.call_async(&mut *store, params).await
        };
        // The timer is made within: it belongs to the runtime.
        let answer = runtime.block_on(async { timeout_at(until.into(), call).await });
        // A name that is being resolved has a thread of its own: it is not waited for.
        runtime.shutdown_background();
        match answer {
            Ok(answer) => Ok(answer?.0),
            Err(_) => Err(Stop::Limit(Limit::Deadline).into()),
        }
    }

    /// An answer that is not too large.
    pub(crate) fn weighed<R: Weigh>(&self, call: &'static str, answer: R) -> Result<R, Error> {
        if answer.weight() > self.limits.returned {
            return Err(self.endings(call).limit(Limit::Returned));
        }
        Ok(answer)
    }
}
