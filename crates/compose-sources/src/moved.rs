//! Tags that point elsewhere than when they were locked.

use compose_model::{Diagnostic, Failure};
use compose_plan::lock::{Lock, MovedTag};

/// A tag that points elsewhere than when it was locked is news, and is not taken in passing: it is an error unless `accept`ed.
pub fn refuse_moved(old: &Lock, new: &Lock, accept: bool) -> Result<(), Failure> {
    let moved: Vec<Diagnostic> = old.moved_tags(new).iter().map(MovedTag::to_diagnostic).collect();
    if accept {
        for problem in moved {
            tracing::warn!("{}; accepted", problem.message);
        }
        return Ok(());
    }
    Failure::check(moved)
}
