//! The node's agent, a process beside this one: that it fails ends nothing here.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// The process, where it runs.
#[derive(Debug, Default)]
pub(super) struct Agent(Option<Child>);

impl Agent {
    /// Starts it where it is wanted and does not run. One that ended at once, as another's runs still,
    /// is started again with the next turn.
    pub(super) fn keep(&mut self, wanted: bool) -> Result<()> {
        if let Some(child) = &mut self.0
            && child.try_wait()?.is_some()
        {
            self.0 = None;
        }
        if wanted && self.0.is_none() {
            let mut command = Command::new("/proc/self/exe");
            command.args(["serve", "--agent"]).stdin(Stdio::null());
            self.0 = Some(command.spawn().context("start the agent")?);
        }
        Ok(())
    }

    /// Ends it, and waits until it has.
    pub(super) fn end(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Gone already: no reason to fail.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let _ = child.wait();
    }
}
