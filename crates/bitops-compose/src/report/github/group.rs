//! Log groups, which the page of a run shows folded.

use std::sync::atomic::{AtomicBool, Ordering};

use super::command::data;
use crate::report::pipe::write_stderr;

/// Whether a group is open. Groups are not nested.
static OPEN: AtomicBool = AtomicBool::new(false);

/// An open group. It is closed when it is dropped, however the stage ends, and before an error is
/// shown.
#[derive(Debug)]
#[must_use = "a group is closed when it is dropped"]
pub(crate) struct Group(());

impl Group {
    /// Opens a group. A group that is open is closed first.
    pub(crate) fn open(title: &str) -> Self {
        close();
        OPEN.store(true, Ordering::SeqCst);
        // A closed stderr is not a reason to fail, because the group only folds the log.
        let _ = write_stderr(format!("::group::{}\n", data(title)).as_bytes());
        Self(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        close();
    }
}

/// Closes the open group, if there is one.
pub(in crate::report) fn close() {
    if OPEN.swap(false, Ordering::SeqCst) {
        let _ = write_stderr(b"::endgroup::\n");
    }
}
