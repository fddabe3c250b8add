//! What an IPAM plugin is asked, in any version, and how its answers are checked.

use crate::adapt::{self, Exports, GivenPool, V0_1, V0_2, V0_3};
use crate::bindings::v0_3::wharfinger::plugin::types;
use crate::contract::Version;
use crate::plugin::{Call, IpamPlugin, Plugin};
use crate::state::{Access, State};
use crate::{Attachment, Book, Error, Ipam, Lease, Node, Pool, Problem, Request};
use crate::{address, answer, lease, raw};

impl Ipam for IpamPlugin {
    fn identity(&self) -> &str {
        self.0.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        self.0.validate(node, config)
    }

    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        match self.0.built_for() {
            Version::V0_1 => self.pools_as::<V0_1>(node, config),
            Version::V0_2 => self.pools_as::<V0_2>(node, config),
            Version::V0_3 => self.pools_as::<V0_3>(node, config),
        }
    }

    fn allocate(
        &self,
        node: &Node,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, Error> {
        const CALL: &str = "allocate";
        let (answer, state) = raw::lend(book, |lent| {
            let state = self.0.state(node, Access::All, Some(lent));
            match self.0.built_for() {
                Version::V0_1 => self.allocate_as::<V0_1>(state, request),
                Version::V0_2 => self.allocate_as::<V0_2>(state, request),
                Version::V0_3 => self.allocate_as::<V0_3>(state, request),
            }
        })?;
        let endings = self.0.endings(CALL);
        let given = self.0.weighed(CALL, answer)?.map_err(|failure| endings.failed(&failure))?;
        lease::check(given, &state.taken, &request.wanted).map_err(|what| endings.bad(what))
    }

    fn remote(&self) -> bool {
        self.0.remote_export().is_some()
    }

    fn released(
        &self,
        node: &Node,
        config: &str,
        attachment: &Attachment,
        lease: Option<&Lease>,
        book: &mut dyn Book,
    ) -> Result<(), Error> {
        const CALL: &str = "released";
        let Some(interface) = self.0.remote_export() else {
            return Err(self.0.endings(CALL).bad("it does not export ipam-remote".to_owned()));
        };
        let call = Call { interface, function: CALL };
        let asked = (config.to_owned(), adapt::attachment(attachment), lease.map(lease::given));
        let answer: Result<(), types::Failure> = raw::lend(book, |lent| {
            let state = self.0.state(node, Access::Neither, Some(lent));
            self.0.call(call, state, asked).map(|(answer, _)| answer)
        })?;
        let answer = self.0.weighed(CALL, answer)?;
        answer.map_err(|failure| self.0.endings(CALL).failed(&failure))
    }
}

impl IpamPlugin {
    fn pools_as<V: Exports>(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        const CALL: &str = "pools";
        let state = self.0.state(node, Access::Neither, None);
        let call = self.0.export(CALL);
        let (pools, _): (Result<Vec<V::Pool>, types::Failure>, State) =
            self.0.call(call, state, (config.to_owned(),))?;
        let pools = pools.map(|pools| pools.into_iter().map(V::pool).collect::<Vec<_>>());
        let endings = self.0.endings(CALL);
        let pools = self.0.weighed(CALL, pools)?.map_err(|failure| endings.failed(&failure))?;
        pools.iter().map(|given| pool(given).map_err(|what| endings.bad(what))).collect()
    }

    fn allocate_as<V: Exports>(
        &self,
        state: State,
        request: &Request,
    ) -> Result<(Result<types::Lease, types::Failure>, State), Error> {
        self.0.call(self.0.export("allocate"), state, (V::request(request),))
    }
}

impl Plugin {
    /// Both worlds have it, and it has not changed.
    pub(crate) fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        const CALL: &str = "validate";
        let state = self.state(node, Access::Neither, None);
        let (problems, _): (Vec<types::Problem>, State) =
            self.call(self.export(CALL), state, (config.to_owned(),))?;
        Ok(self.weighed(CALL, problems)?.iter().map(problem).collect())
    }
}

fn problem(given: &types::Problem) -> Problem {
    Problem { pointer: answer::line(&given.pointer), message: answer::line(&given.message) }
}

fn pool(given: &GivenPool) -> Result<Pool, String> {
    let ranges: Result<_, _> =
        given.ranges.iter().map(|range| address::parse_range(&range.first, &range.last)).collect();
    Ok(Pool { name: answer::line(&given.name), ranges: ranges? })
}
