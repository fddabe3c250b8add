//! What must hold in the end, when the store is a good one again: every node puts itself in order, and the
//! cluster's book says what the nodes' say, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::cluster::{ClusterLedger, Survey};
use wharfinger_ledger::{Commit, Error, Ledger, MemLedger, Record, Scope};

use crate::common::{DOMAIN, own, record};
use crate::world::{Node, World, now};

impl World {
    /// See the module.
    pub(crate) fn settle(&self) {
        let mut nodes: Vec<Node> = self.nodes.lock().unwrap().drain(..).flatten().collect();
        for node in &nodes {
            node.deadline.store(u64::MAX, Ordering::Relaxed);
        }
        for node in nodes.iter_mut().filter(|node| node.ledger.is_some()) {
            for id in std::mem::take(&mut node.failed) {
                self.delete(node, &id);
            }
            if let Err(error) = self.settle_node(node) {
                self.wrong(format!("{} when all is calm: {error}", node.name));
            }
        }
        let (living, dead): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.ledger.is_some());
        let Some(first) = living.first().and_then(|node| node.ledger.as_ref()) else { return };
        let buried = dead.iter().try_for_each(|node| first.bury(&node.name).map(drop));
        if let Err(error) = buried.and_then(|()| self.compare(first, &living)) {
            self.wrong(format!("when all is calm: {error}"));
        }
    }

    fn settle_node(&self, node: &Node) -> Result<(), Error> {
        let ledger = node.ledger.as_ref().unwrap();
        ledger.flush()?;
        let strays = ledger.strays()?;
        for stray in &strays {
            ledger.drop_stray(stray)?;
        }
        let more = if strays.is_empty() { strays } else { ledger.strays()? };
        if ledger.waiting()? > 0 || !more.is_empty() {
            self.wrong(format!("{} is not in order when all is calm", node.name));
        }
        Ok(())
    }

    fn compare(&self, first: &ClusterLedger<MemLedger>, living: &[&Node]) -> Result<(), Error> {
        let survey = first.survey()?;
        let (said, known) = (self.said(&survey), recorded(living)?);
        let told: BTreeMap<_, _> =
            known.iter().map(|(address, (node, id))| (*address, self.who(node, id))).collect();
        if said != known {
            self.wrong(format!("the cluster says {said:?}\nthe nodes say {known:?}"));
        }
        if told != *self.living.lock().unwrap() {
            self.wrong(format!("the nodes say {told:?}, the runtimes {:?}", self.living));
        }
        if !survey.unreadable.is_empty() {
            self.wrong(format!("{:?}", survey.unreadable));
        }
        self.compare_stores(first, living)?;
        self.fill(first, &said)
    }

    /// What a plugin keeps for an attachment is there while the attachment is, and a count has
    /// counted each that was told of.
    fn compare_stores(
        &self,
        first: &ClusterLedger<MemLedger>,
        living: &[&Node],
    ) -> Result<(), Error> {
        first.refresh()?;
        let ids: BTreeSet<_> =
            recorded(living)?.into_values().map(|(_, id)| id.container).collect();
        let (seen, mut count) = (*self.seen.lock().unwrap(), 0);
        for (key, value) in first.kept(&own())? {
            match key.strip_prefix("mark/") {
                Some(container) if ids.contains(container) => {}
                Some(of) => self.wrong(format!("what was kept for {of} is there still")),
                None => count = value.parse().unwrap(),
            }
        }
        if !(seen.counted..=seen.counted + seen.failed).contains(&count) {
            self.wrong(format!("{count} were counted, of {}", seen.counted));
        }
        Ok(())
    }

    /// All that nobody holds can be had by one node: nothing is lost in others' blocks.
    fn fill(&self, first: &ClusterLedger<MemLedger>, said: &Holders) -> Result<(), Error> {
        if self.shape.addresses > 64 {
            return Ok(());
        }
        let [pool, _] = self.pools("pods");
        let held = said.keys().filter(|ip| pool.first() <= **ip && **ip <= pool.last()).count();
        let id =
            AttachmentId { network: "pods".into(), container: "all".into(), ifname: "eth0".into() };
        let now = now(&self.turns);
        let scope = Scope { id: id.clone(), domain: DOMAIN.into(), now };
        let mut session = first.session(scope)?;
        session.pools(&self.pools("pods"))?;
        let mut all = Vec::new();
        while let Some(address) = session.take_free(&[pool], &[], None)? {
            all.push(address);
        }
        if all.len() + held != usize::from(self.shape.addresses) {
            self.wrong(format!("{held} are held, and {} are free", all.len()));
        }
        match session.commit(&record(&id, &all))? {
            Commit::Done(_) => {}
            Commit::Conflict => self.wrong("a conflict with nobody".into()),
        }
        Ok(())
    }

    /// Who holds what by the cluster's book.
    fn said(&self, survey: &Survey) -> Holders {
        let mut said = Holders::new();
        for at in &survey.blocks {
            for (address, held) in &at.block.held {
                let within = at.range.first() <= *address && *address <= at.range.last();
                let lent = at.block.owner.as_ref().is_some_and(|owner| *owner != held.node);
                self.see(|seen| seen.borrowed += u64::from(lent));
                let twice = said.insert(*address, (held.node.clone(), held.id()));
                if twice.is_some() || !within {
                    self.wrong(format!("{address} is held at the wrong place: {held:?}"));
                }
            }
        }
        said
    }
}

/// By address: on which node, and whose.
type Holders = BTreeMap<IpAddr, (String, AttachmentId)>;

/// Who holds what by the nodes' own records.
fn recorded(living: &[&Node]) -> Result<Holders, Error> {
    let mut known = Holders::new();
    for node in living {
        let Some(ledger) = &node.ledger else { continue };
        for entry in ledger.list(None)? {
            let Record { id, addresses, .. } = entry.record;
            let holder = (node.name.clone(), id);
            known.extend(addresses.into_iter().map(|address| (address, holder.clone())));
        }
    }
    Ok(known)
}
