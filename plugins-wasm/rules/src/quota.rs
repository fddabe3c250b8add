//! How much each namespace has, counted by entries of the policy's store: one an attachment,
//! which the host removes with it. Counting and entering are one transaction of the host's, so
//! two at once cannot both pass.

use crate::config::Quota;
use crate::facts::Attachment;

/// Entries of one page of a scan.
const PAGE: u32 = 500;
/// Bytes of a key; the host allows 1024.
const LONGEST: usize = 1_000;

/// The policy's store in the host.
pub trait Store {
    /// The value of a key.
    fn get(&mut self, key: &str) -> Option<String>;
    /// Puts a value that goes when this call's attachment goes.
    fn put(&mut self, key: &str, value: &str);
    /// How many keys have this prefix.
    fn count(&mut self, prefix: &str) -> u64;
    /// At most `limit` entries with this prefix, above `after`.
    fn scan(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)>;
}

/// What one attachment has, beside being one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Having {
    pub(crate) addresses: u64,
    pub(crate) host_ports: u64,
}

/// Enters the attachment, with what it has; why not, where a quota is full. What it had by an
/// earlier ADD is not counted beside it. It is entered where no quota is for its namespace too,
/// so that a quota which comes later counts it.
pub(crate) fn enter(
    quotas: &[Quota],
    of: &Attachment,
    having: Having,
    store: &mut dyn Store,
) -> Result<(), String> {
    if quotas.is_empty() {
        return Ok(());
    }
    let namespace = of.pod.as_ref().map_or("", |(namespace, _)| namespace);
    let prefix = format!("{}/", part(namespace));
    let key = format!("{prefix}{}/{}/{}", part(&of.network), part(&of.container), of.interface);
    if key.len() > LONGEST {
        return Err("the attachment's names are too long to be counted".to_owned());
    }
    let mine: Vec<&Quota> = quotas.iter().filter(|quota| quota.is_for(namespace)).collect();
    let mut others = Others { key: &key, prefix: &prefix, store, sums: None };
    for quota in mine {
        others.check(quota, having).map_err(|what| {
            let whose = if namespace.is_empty() { "what is no pod's" } else { namespace };
            format!("quota of {whose}: {what} ({})", quota.place)
        })?;
    }
    store.put(&key, &format!("{} {}", having.addresses, having.host_ports));
    Ok(())
}

/// A name as a part of a key: without slashes.
fn part(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f")
}

impl Quota {
    fn is_for(&self, namespace: &str) -> bool {
        let test = self.namespace.as_ref();
        test.is_none_or(|test| test.holds(&|glob| glob.fits(namespace)))
    }
}

/// What the namespace's other attachments have.
struct Others<'a> {
    key: &'a str,
    prefix: &'a str,
    store: &'a mut dyn Store,
    sums: Option<Having>,
}

impl Others<'_> {
    fn check(&mut self, quota: &Quota, having: Having) -> Result<(), String> {
        if let Some(most) = quota.attachments {
            room("attachments", self.attachments(), 1, most)?;
        }
        if let Some(most) = quota.addresses {
            room("addresses", self.sums().addresses, having.addresses, most)?;
        }
        if let Some(most) = quota.host_ports {
            room("host ports", self.sums().host_ports, having.host_ports, most)?;
        }
        Ok(())
    }

    fn attachments(&mut self) -> u64 {
        let own = u64::from(self.store.get(self.key).is_some());
        self.store.count(self.prefix).saturating_sub(own)
    }

    fn sums(&mut self) -> Having {
        if let Some(sums) = self.sums {
            return sums;
        }
        let mut sums = Having::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.scan(self.prefix, after.as_deref(), PAGE);
            for (_, value) in page.iter().filter(|(key, _)| key != self.key) {
                let had = had(value);
                sums.addresses = sums.addresses.saturating_add(had.addresses);
                sums.host_ports = sums.host_ports.saturating_add(had.host_ports);
            }
            let full = page.len() >= PAGE as usize;
            after = page.into_iter().next_back().map(|(key, _)| key);
            if !full || after.is_none() {
                self.sums = Some(sums);
                return sums;
            }
        }
    }
}

/// Whether there is room for so many more. Nothing more always fits.
fn room(what: &str, others: u64, more: u64, most: u64) -> Result<(), String> {
    if more == 0 || others.saturating_add(more) <= most {
        return Ok(());
    }
    Err(format!("{others} {what} of at most {most}, {more} more asked for"))
}

fn had(value: &str) -> Having {
    let mut numbers = value.split(' ').map(|number| number.parse().unwrap_or_default());
    Having {
        addresses: numbers.next().unwrap_or_default(),
        host_ports: numbers.next().unwrap_or_default(),
    }
}
