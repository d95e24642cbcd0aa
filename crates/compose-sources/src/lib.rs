//! What decides about the sources of an environment: which there are, at which commits, and whether they may be used.
//!
//! | module | holds |
//! |---|---|
//! | `gather` | [`Gatherer`]: resolve and fetch, repo by repo, sources of sources included |
//! | `repo` | one repo's part: refs, commits, signatures |
//! | `layers` | what the sources of a composition contribute, in its order |
//! | `gathered` | [`Gathered`]: all of that, with access to the bytes |
//! | `lock_file`, `pins` | [`LockFile`] on disk; [`Pins`]: what the lock answers |
//! | `refs`, `moved` | what the repos of a lock have now; tags that were moved |
//! | `verify` | [`Verifier`]: which signatures a source needs, and whether it has them |
//! | `blocking` | work that never waits for the network |

mod blocking;
mod gather;
mod gathered;
mod layers;
mod lock_file;
mod moved;
mod pins;
mod refs;
mod repo;
mod verify;

pub use blocking::blocking;
pub use gather::Gatherer;
pub use gathered::Gathered;
pub use lock_file::LockFile;
pub use moved::refuse_moved;
pub use pins::{Pins, check_lock};
pub use refs::LockedRefs;
pub use verify::Verifier;
