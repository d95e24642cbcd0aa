//! Waiting for another run.

use std::time::{Duration, Instant};

use compose_model::{Diagnostic, ExitCode, env};
use compose_tree::Busy;

use crate::report::Printer;

/// The time between two looks. Another run holds the link about as long as its pipeline's copy
/// takes.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// The time after which a person notices the wait, so that it is explained.
const EXPLAIN: Duration = Duration::from_secs(2);

/// A wait for another run.
pub(crate) struct Wait<'a> {
    printer: &'a Printer,
    started: Instant,
    limit: Duration,
    explained: bool,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(printer: &'a Printer, limit: Duration) -> Self {
        Self {
            printer,
            started: Instant::now(),
            limit,
            explained: false,
        }
    }

    /// Explains once that the other run is still there, and fails when the time is over.
    pub(crate) fn again(&mut self, busy: &Busy) -> Result<(), Diagnostic> {
        let who = match &busy.environment {
            Some(environment) => format!("another run, which deploys {environment}"),
            None => "another run".to_owned(),
        };
        if self.started.elapsed() >= self.limit {
            let problem = Diagnostic::new(
                ExitCode::TimedOut,
                format!(
                    "the operations repo is in use by {who}, for more than {} seconds",
                    self.limit.as_secs()
                ),
            )
            .hint(format!("{} is the time to wait for it, in seconds", env::TIMEOUT));
            let used = busy.composition.as_ref();
            let used = used.map(|composition| format!("it uses {}", composition.display()));
            return Err([used, held_by(busy)]
                .into_iter()
                .flatten()
                .fold(problem, Diagnostic::reason));
        }
        if !self.explained && self.started.elapsed() >= EXPLAIN {
            self.explained = true;
            let what = match &busy.composition {
                Some(_) => ": BitOps still copies the operations repo there",
                None => ", which is switching the operations repo",
            };
            let waiting = Diagnostic::new(ExitCode::TimedOut, format!("waiting for {who}{what}"));
            let waiting = held_by(busy)
                .into_iter()
                .fold(waiting, Diagnostic::reason)
                .into_warning();
            self.printer.problems([&waiting]);
        }
        Ok(())
    }
}

fn held_by(busy: &Busy) -> Option<String> {
    let process = busy.process.as_ref()?;
    Some(format!("{process} holds the lock"))
}
