//! The executable as a CNI plugin: the protocol's calls, each one verb.

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Map, Value};
use wharfinger_attach::add::{self, Added};
use wharfinger_attach::dry::{self, Unwell};
use wharfinger_attach::{Error, check, collect, del, gc};
use wharfinger_cni::{Attach, CniError, Node, Plugin, Success, ValidAttachment, Version, code};
use wharfinger_ledger::cluster::{Mended, unseen};

use crate::certificate::{self, Standing};
use crate::events::{self, Event};
use crate::names;
use crate::phases::{Begun, Phase};
use crate::program::Program;

/// See the module.
pub(crate) struct Served<'a> {
    name: &'static str,
    program: &'a Program,
    added: RefCell<Option<(Added, Begun)>>,
}

impl<'a> Served<'a> {
    pub(crate) fn new(program: &'a Program) -> Self {
        Self::called(names::OWN, program)
    }

    /// Under a name: our own, or a reference plugin's.
    pub(crate) fn called(name: &'static str, program: &'a Program) -> Self {
        Self { name, program, added: RefCell::new(None) }
    }

    fn verb<T>(
        &self,
        event: &Event<'_>,
        network: &str,
        verb: impl Fn(&wharfinger_attach::Host) -> Result<T, Error>,
    ) -> Result<T, CniError> {
        self.program.heard.phases().clear();
        let answer = self.run(verb).map_err(|error| error.to_cni(network));
        let answer = answer.map_err(|error| match self.program.calls.take_failure() {
            Some(record) => with_record(error, &record),
            None => error,
        });
        events::append(&self.program.paths.run, &self.ended(event, answer.as_ref().err()));
        answer
    }

    /// As `host-local` of another plugin a directory has all there is: the ledger is not opened,
    /// unless policies of the node are to be asked, which may look into it.
    fn run<T>(
        &self,
        verb: impl Fn(&wharfinger_attach::Host) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let policies = &self.program.configured().settings.policies;
        if self.name == "host-local" && policies.is_empty() {
            return self.program.without_ledger(verb);
        }
        self.program.verb(verb)
    }

    /// Of a cluster's book, what is left of this node without a record is collected as well.
    fn mend(&self) -> Result<(), Error> {
        let mended = self
            .program
            .cluster(|ledger, machine| collect::mend(ledger, machine, false, &unseen))?;
        if let Some(mended) = mended.filter(|mended| *mended != Mended::default()) {
            let what = crate::cli::of_mended(&mended);
            events::happened(&self.program.paths.run, "cluster collected", &what);
        }
        Ok(())
    }

    /// What the cluster's store knows us by is to be good; that it ends soon is an event.
    fn certificate(&self) -> Result<(), CniError> {
        let run = &self.program.paths.run;
        for standing in self.program.certificates() {
            match standing {
                Standing::Good => {}
                Standing::Ends(text) => {
                    certificate::warn(run, &text);
                }
                Standing::Useless(text) => return Err(CniError::new(code::NOT_AVAILABLE, text)),
            }
        }
        Ok(())
    }

    /// The verb's event, with what components had to say in it, and where its time went.
    fn ended(&self, event: &Event<'_>, error: Option<&CniError>) -> Value {
        let mut line = event.ended(error);
        self.program.heard.tell(&mut line);
        line
    }
}

impl Plugin for Served<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn release(&self) -> &str {
        names::release(self.name)
    }

    fn versions(&self) -> &[Version] {
        names::versions(self.name)
    }

    fn remark(&self) -> &'static str {
        names::remark(self.name)
    }

    fn add(&self, call: &Attach) -> Result<Success, CniError> {
        let event = Event::attachment("ADD", &call.id);
        let added = self.verb(&event, &call.id.network, |host| add::add(host, call))?;
        let success = added.success.clone();
        self.added.replace(Some((added, self.program.heard.phases().begins())));
        Ok(success)
    }

    fn replied(&self, call: &Attach, delivered: bool) {
        let Some((added, reply)) = self.added.take() else { return };
        let heard = &self.program.heard;
        heard.phases().ends(reply, Phase::Reply, None);
        let finish = |host: &wharfinger_attach::Host| add::finish(host, call, &added, delivered);
        let finished = self.run(finish);
        heard.goes_on();
        if let Err(error) = finished {
            let event = Event::attachment("ADD, after its reply", &call.id);
            let error = error.to_cni(&call.id.network);
            events::append(&self.program.paths.run, &self.ended(&event, Some(&error)));
        }
    }

    fn del(&self, call: &Attach) -> Result<(), CniError> {
        let event = Event::attachment("DEL", &call.id);
        self.verb(&event, &call.id.network, |host| del::del(host, call))
    }

    fn check(&self, call: &Attach) -> Result<(), CniError> {
        let event = Event::attachment("CHECK", &call.id);
        self.verb(&event, &call.id.network, |host| check::check(host, call))
    }

    fn status(&self, call: &Node) -> Result<(), CniError> {
        let network = &call.conf.name;
        let event = Event::network("STATUS", network);
        self.program.heard.phases().clear();
        let answer = self.certificate().and_then(|()| self.is_well(call));
        let line = self.ended(&event, answer.as_ref().err());
        // Runtimes ask every few seconds: that all is well would push out what matters.
        if answer.is_err() {
            events::append(&self.program.paths.run, &line);
        }
        answer
    }

    fn gc(&self, call: &Node, valid: &[ValidAttachment]) -> Result<(), CniError> {
        let network = &call.conf.name;
        self.verb(&Event::network("GC", network), network, |host| gc::gc(host, call, valid))?;
        self.mend().map_err(|error| error.to_cni(network))
    }
}

impl Served<'_> {
    /// Whether an ADD would work.
    fn is_well(&self, call: &Node) -> Result<(), CniError> {
        let network = &call.conf.name;
        let answer = self.run(|host| Ok(dry::status(host, &call.conf, &call.path)));
        let unwell = |error: &Error, code| Err(not_available(error.to_cni(network), code));
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Unwell::Impaired(error))) => unwell(&error, code::LIMITED_CONNECTIVITY),
            Ok(Err(Unwell::NotAvailable(error))) => unwell(&error, code::NOT_AVAILABLE),
            Err(error) => unwell(&error, code::NOT_AVAILABLE),
        }
    }
}

/// The error with the file in which the call of the component that failed is written down.
fn with_record(error: CniError, record: &Path) -> CniError {
    let mut details = match serde_json::from_str(&error.details) {
        Ok(Value::Object(details)) => details,
        _ if error.details.is_empty() => Map::new(),
        _ => return error,
    };
    details.insert("record".to_owned(), record.display().to_string().into());
    error.with_json(&Value::Object(details))
}

/// STATUS has codes of its own (spec 1.1.0); the reason stays. What the protocol itself refuses
/// keeps its code.
fn not_available(error: CniError, code: u32) -> CniError {
    CniError { code, ..error }
}

/// The executable where it cannot read its own settings: every call is answered with why, but a
/// DEL, which needs none of them: no pod is kept for a typing error.
pub(crate) struct Refusing<'a> {
    pub(crate) name: &'static str,
    pub(crate) error: CniError,
    /// What detaches; with default settings where the node's cannot be read.
    pub(crate) program: &'a Program,
}

impl Plugin for Refusing<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn release(&self) -> &str {
        names::release(self.name)
    }

    fn versions(&self) -> &[Version] {
        names::versions(self.name)
    }

    fn remark(&self) -> &'static str {
        names::remark(self.name)
    }

    fn add(&self, _: &Attach) -> Result<Success, CniError> {
        Err(self.error.clone())
    }

    fn replied(&self, _: &Attach, _: bool) {}

    fn del(&self, call: &Attach) -> Result<(), CniError> {
        Served::called(self.name, self.program).del(call)
    }

    fn check(&self, _: &Attach) -> Result<(), CniError> {
        Err(self.error.clone())
    }

    fn status(&self, _: &Node) -> Result<(), CniError> {
        Err(not_available(self.error.clone(), code::NOT_AVAILABLE))
    }

    fn gc(&self, _: &Node, _: &[ValidAttachment]) -> Result<(), CniError> {
        Err(self.error.clone())
    }
}
