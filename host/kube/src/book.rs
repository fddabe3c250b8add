//! The API server as the store of a cluster's book: an object is a custom resource, its version the
//! `resourceVersion`. It has no transactions, so the ledger writes one object at a time.

use std::time::Duration;

use serde_json::Value;
use wharfinger_ledger::cluster::{Changes, Committed, Fault, Guard, Object, Put, Remote};

use crate::kinds::{self, Kind};
use crate::kube::Kube;
use crate::objects::{Written, version_of};
use crate::watch::{Seen, Watch};

/// The cluster's book on the API server. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Book(Kube);

impl Book {
    /// On this API server.
    pub fn new(kube: Kube) -> Self {
        Self(kube)
    }

    /// The API server.
    pub fn kube(&self) -> &Kube {
        &self.0
    }

    /// Everything that is written of the book after what this listing has.
    pub fn watch(&self, upto: u64) -> BookWatch {
        let watches = Kind::ALL.map(|kind| self.0.watch(&kind.path(), upto));
        BookWatch { kube: self.0.clone(), watches }
    }
}

/// The path of the object of this key.
fn place(key: &str) -> Result<(Kind, String), Fault> {
    let kind = Kind::of(key);
    let name = kinds::name_of(key).ok_or_else(|| {
        Fault::Refused(format!("{key}: too long for the name of an object of Kubernetes"))
    })?;
    Ok((kind, name))
}

fn read(kind: Kind, object: &Value) -> Result<Object, Fault> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let key = kinds::key_of(kind, name).ok_or_else(|| {
        let plural = kind.plural();
        Fault::Refused(format!(
            "{plural}.wharfinger.dev {name:?} was not named by this program: see who made it, and \
             remove it (`kubectl delete`)"
        ))
    })?;
    Ok(Object { key, version: version_of(object)?, value: kinds::value_of(kind, object) })
}

impl Remote for Book {
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault> {
        let mut objects = Vec::new();
        for key in keys {
            let (kind, name) = place(key)?;
            if let Some(object) = self.0.get(&format!("{}/{name}", kind.path()), wait)? {
                objects.push(read(kind, &object)?);
            }
        }
        Ok(objects)
    }

    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault> {
        let (mut objects, mut upto) = (Vec::new(), u64::MAX);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.meets(prefix)) {
            let listing = self.0.list(&kind.path(), "", wait)?;
            upto = upto.min(listing.version);
            for item in &listing.items {
                objects.push(read(kind, item)?);
            }
        }
        if upto < after {
            return Err(Fault::Older(format!(
                "the API server is at version {upto}, and this node has seen {after}: its etcd is \
                 another, or was restored from a backup"
            )));
        }
        objects.retain(|object| object.version > after && object.key.starts_with(prefix));
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(Changes { upto, objects })
    }

    fn transactions(&self) -> bool {
        false
    }

    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault> {
        let ([guard], [put]) = (guards, puts) else {
            return Err(Fault::Refused("more than one object at once: report it".to_owned()));
        };
        let (kind, name) = place(&put.key)?;
        let (all, one) = (kind.path(), format!("{}/{name}", kind.path()));
        let written = match &put.value {
            Some(value) => {
                let object = kinds::object(&put.key, &name, value, guard.version);
                let object = object.map_err(|why| Fault::Refused(format!("{}: {why}", put.key)))?;
                match guard.version {
                    0 => self.0.create(&all, &object, wait)?,
                    _ => self.0.update(&one, &object, wait)?,
                }
            }
            None if guard.version == 0 => {
                return Ok(match self.0.get(&one, wait)? {
                    Some(_) => Committed::Conflict,
                    None => Committed::Done(vec![0]),
                });
            }
            None => match self.0.delete(&one, guard.version, wait)? {
                Written::Done(_) => return Ok(Committed::Done(vec![guard.version])),
                Written::Conflict => Written::Conflict,
            },
        };
        Ok(match written {
            Written::Done(object) => Committed::Done(vec![version_of(&object)?]),
            Written::Conflict => Committed::Conflict,
        })
    }
}

/// See [`Book::watch`].
#[derive(Debug)]
pub struct BookWatch {
    kube: Kube,
    watches: [Watch; Kind::ALL.len()],
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Key, version, and what it says now: none, it was removed. In the order in which it happened;
    /// of another kind, something that happened before may come later.
    Changes(Vec<(String, u64, Option<String>)>),
    /// Nothing happened within the wait.
    Nothing,
    /// Changes are lost, for this reason: list anew.
    Resync(String),
}

impl BookWatch {
    /// Waits for what happens next. An error is one of reaching the server: nothing is lost by it,
    /// and the next call goes on.
    pub fn next(&mut self, wait: Duration) -> Result<Heard, Fault> {
        let (at, events) = match self.kube.first_of(&mut self.watches, wait)? {
            None | Some((_, Seen::Nothing)) => return Ok(Heard::Nothing),
            Some((_, Seen::Resync(why))) => return Ok(Heard::Resync(why)),
            Some((at, Seen::Events(events))) => (at, events),
        };
        let Some(kind) = Kind::ALL.get(at).copied() else { return Ok(Heard::Nothing) };
        let mut changes = Vec::new();
        for event in events {
            let object = match read(kind, &event.object) {
                Ok(object) => object,
                // The listing says the same, until it is removed.
                Err(foreign) => return Ok(Heard::Resync(foreign.to_string())),
            };
            changes.push((object.key, event.version, (!event.removed).then_some(object.value)));
        }
        Ok(Heard::Changes(changes))
    }
}
