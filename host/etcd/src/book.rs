//! etcd as the store of a cluster's book: an object is a key, its version the revision that
//! wrote it.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, Error, GetOptions, GetResponse, KeyValue, PutOptions,
    ResponseHeader, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use wharfinger_ledger::cluster::{Changes, Committed, Fault, Guard, MOST, Object, Put, Remote};

use crate::etcd::Etcd;
use crate::members::{LARGEST, Members};
use crate::tour::Tour;
use crate::verdict::no_such_revision;

/// How many objects one answer has at most. Where etcd forgets, between two answers, the revision
/// that a listing is of, it begins again with the next; zero: all of them, with no between.
const PAGES: [i64; 3] = [1000, 10_000, 0];

impl Remote for Etcd {
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let members = self.members();
        let keys: Vec<String> = keys.iter().map(|key| format!("{}{key}", members.prefix)).collect();
        let what = format!("read {} objects of the cluster's book", keys.len());
        self.run(async move {
            let mut tour = members.tour(what, wait);
            let mut objects = Vec::new();
            for some in keys.chunks(MOST) {
                let (_, response) = members.ask(&mut tour, |client| read(client, some)).await?;
                objects.extend(objects_of(&members.prefix, &response)?);
            }
            Ok(objects)
        })
    }

    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault> {
        let members = self.members();
        let what = format!("list {prefix:?} of the cluster's book after revision {after}");
        let prefix = format!("{}{prefix}", members.prefix);
        self.run(async move {
            let mut tour = members.tour(what, wait);
            for page in PAGES {
                if let Some(objects) = list(&members, &mut tour, &prefix, after, page).await? {
                    return Ok(objects);
                }
            }
            Err(Fault::Unavailable(format!("list {prefix}: etcd has forgotten what it is at")))
        })
    }

    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault> {
        self.write(guards, puts, None, wait)
    }
}

impl Etcd {
    /// Writes an object that goes with a lease: where it still has this version (zero: where it is
    /// not there), and the lease is alive.
    pub fn put_alive(
        &self,
        guard: &Guard,
        value: &str,
        lease: &crate::Lease,
        wait: Duration,
    ) -> Result<Committed, Fault> {
        let put = Put { key: guard.key.clone(), value: Some(value.to_owned()) };
        self.write(std::slice::from_ref(guard), &[put], Some(lease.id()), wait)
    }

    fn write(
        &self,
        guards: &[Guard],
        puts: &[Put],
        lease: Option<i64>,
        wait: Duration,
    ) -> Result<Committed, Fault> {
        let members = self.members();
        let what = format!("write {} objects of the cluster's book", puts.len());
        if guards.len().max(puts.len()) > MOST {
            return Err(Fault::Refused(format!("{what}: more than {MOST} at once")));
        }
        let (txn, count) = (transaction(&members.prefix, guards, puts, lease), puts.len());
        self.run(async move {
            let mut tour = members.tour(what, wait);
            let response = members.commit(&mut tour, txn).await?;
            if !response.succeeded() {
                return Ok(Committed::Conflict);
            }
            let revision = response.header().map_or(0, ResponseHeader::revision);
            Ok(Committed::Done(vec![version(revision)?; count]))
        })
    }
}

async fn read(client: Client, keys: &[String]) -> Result<TxnResponse, Error> {
    let all: Vec<TxnOp> = keys.iter().map(|key| TxnOp::get(key.as_str(), None)).collect();
    let mut kv = client.kv_client().max_decoding_message_size(LARGEST);
    kv.txn(Txn::new().and_then(all)).await
}

/// One listing, all of one revision; None: etcd forgot it meanwhile.
async fn list(
    members: &Members,
    tour: &mut Tour,
    prefix: &str,
    after: u64,
    limit: i64,
) -> Result<Option<Changes>, Fault> {
    let mut objects: Vec<Object> = Vec::new();
    let mut from = prefix.as_bytes().to_vec();
    let mut upto = 0;
    loop {
        let options = page(prefix, after, upto).with_limit(limit);
        let ask = |client| one_page(client, from.clone(), options.clone());
        let (_, Some(mut response)) = members.ask(tour, ask).await? else { return Ok(None) };
        if upto == 0 {
            upto = response.header().map_or(0, ResponseHeader::revision);
        }
        let (more, found) = (response.more(), response.take_kvs());
        if let Some(last) = found.last() {
            // The least key above it.
            from = [last.key(), &[0]].concat();
        }
        for pair in &found {
            objects.push(object(&members.prefix, pair)?);
        }
        if !more || found.is_empty() {
            let upto = version(upto)?;
            return if upto < after {
                Err(other_history(upto, after))
            } else {
                Ok(Some(Changes { upto, objects }))
            };
        }
    }
}

fn page(prefix: &str, after: u64, revision: i64) -> GetOptions {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut options = GetOptions::new().with_range(end(prefix));
    if after > 0 {
        options = options.with_min_mod_revision(after.saturating_add(1));
    }
    if revision > 0 { options.with_revision(revision) } else { options }
}

async fn one_page(
    client: Client,
    from: Vec<u8>,
    options: GetOptions,
) -> Result<Option<GetResponse>, Error> {
    let mut kv = client.kv_client().max_decoding_message_size(LARGEST);
    match kv.get(from, Some(options)).await {
        Ok(response) => Ok(Some(response)),
        Err(error) if no_such_revision(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The least key above all that begin with this, which is text: no byte of it is 0xff.
pub(crate) fn end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

fn transaction(prefix: &str, guards: &[Guard], puts: &[Put], lease: Option<i64>) -> Txn {
    let key = |key: &str| format!("{prefix}{key}");
    let compare = |guard: &Guard| {
        // A revision is positive, and far from the end: one that does not fit holds nowhere.
        let revision = i64::try_from(guard.version).unwrap_or(i64::MAX);
        Compare::mod_revision(key(&guard.key), CompareOp::Equal, revision)
    };
    let write = |put: &Put| match &put.value {
        Some(value) => {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease));
            TxnOp::put(key(&put.key), value.as_str(), options)
        }
        None => TxnOp::delete(key(&put.key), None),
    };
    let compares: Vec<Compare> = guards.iter().map(compare).collect();
    let writes: Vec<TxnOp> = puts.iter().map(write).collect();
    Txn::new().when(compares).and_then(writes)
}

fn objects_of(prefix: &str, response: &TxnResponse) -> Result<Vec<Object>, Fault> {
    let mut objects = Vec::new();
    for answer in response.op_responses() {
        let TxnOpResponse::Get(got) = answer else { continue };
        for pair in got.kvs() {
            objects.push(object(prefix, pair)?);
        }
    }
    Ok(objects)
}

pub(crate) fn object(prefix: &str, pair: &KeyValue) -> Result<Object, Fault> {
    let key = key_of(prefix, pair.key())?;
    let Ok(value) = std::str::from_utf8(pair.value()) else {
        return Err(foreign(pair.key(), "its value is not text"));
    };
    Ok(Object { key, version: version(pair.mod_revision())?, value: value.to_owned() })
}

fn key_of(prefix: &str, key: &[u8]) -> Result<String, Fault> {
    let text = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(prefix));
    text.map(ToOwned::to_owned).ok_or_else(|| foreign(key, "its key is not text below the prefix"))
}

fn foreign(key: &[u8], why: &str) -> Fault {
    let key = String::from_utf8_lossy(key).escape_debug().to_string();
    Fault::Refused(format!(
        "etcd's key \"{key}\" is not of the cluster's book: {why}: see who wrote it, and remove it \
         (`etcdctl del`)"
    ))
}

fn version(revision: i64) -> Result<u64, Fault> {
    u64::try_from(revision).ok().filter(|version| *version > 0).ok_or_else(|| {
        Fault::Refused(format!("etcd answers with revision {revision}, which none can have"))
    })
}

fn other_history(upto: u64, after: u64) -> Fault {
    Fault::Older(format!(
        "etcd is at revision {upto}, and this node has seen {after}: it is another etcd, or was \
         restored from a backup"
    ))
}
