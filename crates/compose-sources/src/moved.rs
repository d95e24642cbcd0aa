//! Tags that moved since they were locked.

use compose_model::{Diagnostic, Failure};
use compose_plan::lock::{Lock, MovedTag};

/// Fails if a tag of the old lock points to another commit in the new one, unless `accept` is set. Then the
/// moved tags are logged.
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
