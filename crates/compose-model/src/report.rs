//! Progress, injected: only the binary knows of terminals.

use crate::RepoUrl;

/// What a fetch is doing. Calls come from worker threads, as often as there is something to say.
pub trait Reporter: Send + Sync {
    /// A repo's state changed to this word (`connecting`, `refs`, `fetching`, `blobs`, `retrying`).
    fn stage(&self, _repo: &RepoUrl, _stage: &str) {}
    /// So many bytes were received from the repo in all.
    fn bytes(&self, _repo: &RepoUrl, _received: u64) {}
    /// The repo is done, successfully or not.
    fn done(&self, _repo: &RepoUrl) {}
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
