//! Log groups, which a run's page shows folded.

use std::sync::atomic::{AtomicBool, Ordering};

use super::command::data;
use crate::report::pipe::write_stderr;

/// Is one open? There is no group within a group.
static OPEN: AtomicBool = AtomicBool::new(false);

/// An open group; closed when it is dropped, however the stage ends, and before a problem is shown.
#[derive(Debug)]
#[must_use = "a group is closed when it is dropped"]
pub(crate) struct Group(());

impl Group {
    /// Opens one, in the place of any other.
    pub(crate) fn open(title: &str) -> Self {
        close();
        OPEN.store(true, Ordering::SeqCst);
        // A closed stderr is no reason to fail: the group only folds the log.
        let _ = write_stderr(format!("::group::{}\n", data(title)).as_bytes());
        Self(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        close();
    }
}

/// Closes the open group, where there is one.
pub(in crate::report) fn close() {
    if OPEN.swap(false, Ordering::SeqCst) {
        let _ = write_stderr(b"::endgroup::\n");
    }
}
