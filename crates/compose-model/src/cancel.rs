//! The flag that cancels a run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Cause, ExitCode};

/// A flag that a signal or the deadline raises once and every stage checks.
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
    /// Creates a flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag. It is never lowered.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns an error once the flag is raised; for `?` in loops.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Returns the flag itself, for libraries that poll one.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}
