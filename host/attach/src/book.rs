//! A ledger session as a component sees it, and what of it the host keeps for itself.

use std::net::IpAddr;

use wharfinger_ledger::{Owner, Range, Session};
use wharfinger_wasm::{
    AddressRange, Attachment, Book, BookError, Level, NoPod, PodFacts, Refusal, Usage,
};

use crate::{Node, Notes};

/// Answers a component's `ledger` and `store` from a session.
pub struct SessionBook<'a, 'l> {
    session: &'a mut (dyn Session + 'l),
    owner: Owner,
    notes: Option<(&'a dyn Notes, &'a str)>,
    about: Option<(&'a dyn Node, &'a Attachment)>,
}

impl<'a, 'l> SessionBook<'a, 'l> {
    /// Of this session; `owner` is whose store it is. What the component logs is dropped.
    pub fn new(session: &'a mut (dyn Session + 'l), owner: Owner) -> Self {
        Self { session, owner, notes: None, about: None }
    }

    /// What the component of this identity logs goes to `notes`.
    #[must_use]
    pub fn noting(self, notes: &'a dyn Notes, plugin: &'a str) -> Self {
        Self { notes: Some((notes, plugin)), ..self }
    }

    /// It is about this attachment, whose pod the node may ask for.
    #[must_use]
    pub fn about(self, node: &'a dyn Node, attachment: &'a Attachment) -> Self {
        Self { about: Some((node, attachment)), ..self }
    }
}

/// Ranges that the engine has checked already: both ends of one family, in order.
pub(crate) fn ranges(ranges: &[AddressRange]) -> Vec<Range> {
    ranges.iter().filter_map(|(first, last)| Range::new(*first, *last)).collect()
}

impl Book for SessionBook<'_, '_> {
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        Ok(self.session.take(address)?.map_err(|refusal| match refusal {
            wharfinger_ledger::Refusal::Held(id) => Refusal::Held(id),
            wharfinger_ledger::Refusal::Reserved(why) => Refusal::Reserved(why),
        }))
    }

    fn take_free(
        &mut self,
        wanted: &[AddressRange],
        excluded: &[AddressRange],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        Ok(self.session.take_free(&ranges(wanted), &ranges(excluded), start)?)
    }

    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, BookError> {
        Ok(self.session.remembered(identity)?)
    }

    fn remember(&mut self, identity: &str) -> Result<(), BookError> {
        self.session.remember(identity);
        Ok(())
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        Ok(self.session.store_get(&self.owner, key)?)
    }

    fn store_put(&mut self, key: &str, value: &str, attachment: bool) -> Result<(), BookError> {
        self.session.store_put(&self.owner, key, value, attachment);
        Ok(())
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        Ok(self.session.store_remove(&self.owner, key)?)
    }

    fn store_scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.session.store_scan(&self.owner, prefix, after, limit)?)
    }

    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError> {
        Ok(self.session.store_count(&self.owner, prefix)?)
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        Ok(self.session.store_size(&self.owner)?)
    }

    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        let nobodys = || NoPod::NotThere("it is no pod's attachment".to_owned());
        let found = self.about.and_then(|(node, whose)| Some((node, whose.pod.as_ref()?)));
        Ok(found.ok_or_else(nobodys).and_then(|(node, pod)| node.pod(pod)))
    }

    fn log(&mut self, level: Level, message: &str) {
        if let Some((notes, plugin)) = self.notes {
            notes.said(plugin, level, message);
        }
    }

    fn usage(&mut self, within: &[AddressRange]) -> Result<Usage, BookError> {
        let wharfinger_ledger::Usage { total, held, cooling, remembered } =
            self.session.usage(&ranges(within))?;
        let counted = |count: u128| u64::try_from(count).unwrap_or(u64::MAX).min(1 << 53);
        Ok(Usage {
            total: counted(total),
            held: counted(held),
            resting: counted(cooling),
            remembered: counted(remembered),
        })
    }
}
