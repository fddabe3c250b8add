//! Around other plugins: `delegate` has one, or a whole list of them, and each verb runs them as
//! libcni would (spec section 3): name, version, capabilities and previous result put in, ADD and
//! CHECK in their order, DEL in the reverse one.
//!
//! What was run is written down before it runs, and with which configuration: so a DEL reaches it
//! whatever became of the configuration since. Start reading at [`Wrapped`], then [`add`].

use serde_json::{Map, Value, json};
use wharfinger_cni::conf::{ConfError, Field, Fields, fold_eq};
use wharfinger_cni::{Attach, NetConf, Node, Success, Version};
use wharfinger_delegate::Verb;
use wharfinger_ledger::Record;

use crate::conf::OUR_TYPE;
use crate::deputy::{self, At, Call};
use crate::{Error, Host, allow, del};

/// What a record of ours keeps beside the call: how many of the plugins were begun.
const BEGUN: &str = "begun";

/// The plugins of `delegate`, in their order.
pub(crate) struct Wrapped {
    plugins: Vec<Plugin>,
    /// A list says otherwise by `disableCheck` and `disableGC`.
    checks: bool,
    collects: bool,
}

/// One of them.
struct Plugin {
    name: String,
    /// Where its type stands.
    pointer: String,
    config: Map<String, Value>,
}

impl Wrapped {
    /// Reads `delegate`: a plugin's configuration, or an object with `plugins`, as a conflist has.
    pub(crate) fn read(conf: &NetConf) -> Result<Self, ConfError> {
        let fields = conf.fields();
        let allowed = "a plugin's configuration, or an object with \"plugins\"";
        let delegate =
            fields.object("delegate")?.ok_or_else(|| fields.error("delegate", allowed))?;
        let plugins = match delegate.list("plugins")? {
            None => vec![plugin(&delegate)?],
            Some(list) => list.iter().map(in_list).collect::<Result<_, _>>()?,
        };
        if plugins.is_empty() {
            return Err(delegate.error("plugins", "at least one plugin"));
        }
        Ok(Self {
            plugins,
            checks: !flag(&delegate, "disableCheck")?,
            collects: !flag(&delegate, "disableGC")?,
        })
    }

    /// The executables, each with the pointer of its name.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plugins.iter().map(|plugin| (plugin.name.as_str(), plugin.pointer.as_str()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.plugins.len()
    }
}

/// The names of the plugins that a configuration wraps, as far as they can be read.
pub(crate) fn names(conf: &NetConf) -> Vec<String> {
    Wrapped::read(conf).map_or_else(
        |_| Vec::new(),
        |wrapped| wrapped.names().map(|(name, _)| name.to_owned()).collect(),
    )
}

fn in_list(item: &Field<'_>) -> Result<Plugin, ConfError> {
    plugin(&item.object()?)
}

fn plugin(fields: &Fields<'_>) -> Result<Plugin, ConfError> {
    let name = fields.str("type")?.unwrap_or_default();
    if name.is_empty() || name.contains(['/', '\\']) || name == OUR_TYPE {
        let allowed = "the name of another plugin's executable";
        return Err(fields.error("type", allowed));
    }
    let (name, pointer) = (name.to_owned(), fields.pointer_of("type"));
    Ok(Plugin { name, pointer, config: fields.map().clone() })
}

/// libcni takes a boolean, or its name as a text.
fn flag(fields: &Fields<'_>, key: &str) -> Result<bool, ConfError> {
    match fields.get(key).map(|field| field.value) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(fields.error(key, "true or false")),
    }
}

impl Plugin {
    /// What it gets on standard input (spec section 3, "Deriving request configuration").
    fn request(&self, conf: &NetConf, more: &[(&str, Option<Value>)]) -> Map<String, Value> {
        let mut request = self.config.clone();
        let ours = conf.fields();
        let given = |key: &str| ours.get(key).map(|field| field.value.clone());
        let has = |key: &str| self.config.keys().any(|spelled| fold_eq(spelled, key));
        put(&mut request, "name", Some(conf.name.clone().into()));
        put(&mut request, "cniVersion", given("cniVersion"));
        if !has("args") {
            put(&mut request, "args", given("args"));
        }
        if let Some(runtime) = self.runtime_config(&ours) {
            put(&mut request, "runtimeConfig", Some(runtime));
        }
        for (key, value) in more {
            put(&mut request, key, value.clone());
        }
        request
    }

    /// Of what the runtime gave us, what it takes. One that does not say which capabilities it has
    /// gets all.
    fn runtime_config(&self, ours: &Fields<'_>) -> Option<Value> {
        let runtime = ours.get("runtimeConfig")?.value.as_object()?;
        let own = Fields::new(&self.config, "");
        let taken = match own.object("capabilities").ok().flatten() {
            None => runtime.clone(),
            Some(capabilities) => {
                let takes = |key: &str| {
                    capabilities.map().get(key).and_then(Value::as_bool).unwrap_or(false)
                };
                let some = runtime.iter().filter(|(key, _)| takes(key));
                some.map(|(key, value)| (key.clone(), value.clone())).collect()
            }
        };
        (!taken.is_empty()).then_some(Value::Object(taken))
    }
}

/// Sets a key, whatever its spelling was; none takes it out.
fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    map.retain(|spelled, _| !fold_eq(spelled, key));
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

/// A result as plugins of this configuration get it.
fn rendered(result: &Success, conf: &NetConf) -> Option<Value> {
    result.render(conf.version).ok()
}

/// Writes down how many were begun, and the last result.
type Begin<'a> = dyn Fn(usize, Option<&Value>) -> Result<(), Error> + 'a;

/// Runs the plugin of this name with this configuration.
type Run<'a> = dyn Fn(&str, &Map<String, Value>) -> Result<(), Error> + 'a;

/// Runs an ADD of each in turn. `begin` writes down how many were begun, and the last result,
/// before each: what is begun is to be deleted.
pub(crate) fn add(
    host: &Host,
    call: &Attach,
    wrapped: &Wrapped,
    begin: &Begin<'_>,
) -> Result<Success, Error> {
    let mut result = call.prev_result.clone();
    for (number, plugin) in wrapped.plugins.iter().enumerate() {
        let previous = result.as_ref().and_then(|result| rendered(result, &call.conf));
        begin(number + 1, previous.as_ref())?;
        let config = plugin.request(&call.conf, &[("prevResult", previous.clone())]);
        let answer = Call::of(call, &plugin.name, &config).wrapped().run(host, Verb::Add);
        match answer {
            Ok(answer) => result = Some(deputy::result(&plugin.name, call, answer)?),
            Err(error) => {
                if deputy::not_there(&error) {
                    begin(number, previous.as_ref())?;
                }
                return Err(error);
            }
        }
    }
    Ok(result.unwrap_or_default())
}

/// What a record keeps of an ADD that has begun this many.
pub(crate) fn kept(call: &Attach, begun: usize) -> Value {
    let mut kept = deputy::kept(call, false);
    if let Value::Object(kept) = &mut kept {
        kept.insert(BEGUN.to_owned(), json!(begun));
    }
    kept
}

/// The same of an ADD that ran to its end; none where its configuration cannot be read.
pub(crate) fn kept_whole(call: &Attach) -> Option<Value> {
    Wrapped::read(&call.conf).ok().map(|wrapped| kept(call, wrapped.len()))
}

/// CHECK of each, with the configuration of the ADD.
pub(crate) fn check(host: &Host, call: &Attach, record: &Record) -> Result<(), Error> {
    let Some(conf) = deputy::kept_conf(&record.conf) else { return Ok(()) };
    let wrapped = Wrapped::read(&conf)?;
    let previous = call.prev_result.as_ref().and_then(|result| rendered(result, &conf));
    for plugin in wrapped.plugins.iter().filter(|_| wrapped.checks) {
        let config = plugin.request(&conf, &[("prevResult", previous.clone())]);
        Call::of(call, &plugin.name, &config).wrapped().run(host, Verb::Check)?;
    }
    Ok(())
}

/// DEL of each that was begun, the last first, with the configuration of the ADD. One that fails
/// does not keep the others.
pub(crate) fn release(
    host: &Host,
    record: &Record,
    conf: &NetConf,
    at: At<'_>,
) -> Result<(), Error> {
    let wrapped = Wrapped::read(conf)?;
    let begun = record.conf.get(BEGUN).and_then(Value::as_u64);
    let begun = begun.and_then(|begun| usize::try_from(begun).ok()).unwrap_or(wrapped.len());
    let told = at.call.and_then(|call| call.prev_result.as_ref());
    let previous = told.and_then(|result| rendered(result, conf)).or_else(|| record.result.clone());
    let plugins = wrapped.plugins.iter().take(begun);
    delete(plugins, conf, previous.as_ref(), &|name, config| {
        Call::recorded(record, at, name, config).wrapped().run(host, Verb::Del).map(drop)
    })
}

/// As [`release`], by what the caller says.
pub(crate) fn release_called(host: &Host, call: &Attach) -> Result<(), Error> {
    // A DEL is not kept up by a configuration that cannot be read.
    let Ok(wrapped) = Wrapped::read(&call.conf) else { return Ok(()) };
    let allowed = |plugin: &&Plugin| allow::delegate(host, &call.conf, &plugin.name);
    let allowed: Vec<&Plugin> = wrapped.plugins.iter().filter(allowed).collect();
    let told = call.prev_result.as_ref().and_then(|result| rendered(result, &call.conf));
    delete(allowed.into_iter(), &call.conf, told.as_ref(), &|name, config| {
        Call::of(call, name, config).wrapped().run(host, Verb::Del).map(drop)
    })
}

fn delete<'p>(
    plugins: impl DoubleEndedIterator<Item = &'p Plugin>,
    conf: &NetConf,
    previous: Option<&Value>,
    run: &Run<'_>,
) -> Result<(), Error> {
    // Older versions of the protocol have none in a DEL.
    let previous = previous.filter(|_| conf.version >= Version::V0_4_0);
    let mut errors = Vec::new();
    for plugin in plugins.rev() {
        let config = plugin.request(conf, &[("prevResult", previous.cloned())]);
        errors.extend(run(&plugin.name, &config).err());
    }
    del::several(errors)
}

/// Asks each whether it can serve.
pub(crate) fn status(host: &Host, call: &Attach) -> Result<(), Error> {
    node_verb(host, &call.conf, &call.path, Verb::Status, &[])
}

/// Passes the runtime's list on.
pub(crate) fn gc(host: &Host, call: &Node, valid: &Value) -> Result<(), Error> {
    let lists = deputy::VALID.map(|key| (key, Some(valid.clone())));
    node_verb(host, &call.conf, &call.path, Verb::Gc, &lists)
}

fn node_verb(
    host: &Host,
    conf: &NetConf,
    path: &[std::path::PathBuf],
    verb: Verb,
    more: &[(&str, Option<Value>)],
) -> Result<(), Error> {
    let wrapped = Wrapped::read(conf)?;
    let mut errors = Vec::new();
    for plugin in wrapped.plugins.iter().filter(|_| verb != Verb::Gc || wrapped.collects) {
        if !allow::delegate(host, conf, &plugin.name) {
            continue;
        }
        let config = plugin.request(conf, more);
        let ran = Call::of_node(&plugin.name, path, &config).wrapped().run(host, verb);
        match ran {
            // STATUS stops at the first, GC goes on.
            Err(error) if verb == Verb::Status => return Err(error),
            ran => errors.extend(ran.err()),
        }
    }
    del::several(errors)
}
