//! The one way to stop a run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Cause, ExitCode};

/// A flag that is raised once, by a signal or the deadline, and looked at by every stage.
///
/// Clones share the flag. gix takes it as its interrupt flag through [`Cancel::flag`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

/// The run was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Cause for Cancelled {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Terminated
    }
}

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raise the flag. It is never lowered.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Is the flag raised?
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// `Err` once the flag is raised; for `?` in loops.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// The flag itself, for libraries that poll one.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}
