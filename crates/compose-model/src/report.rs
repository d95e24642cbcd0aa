//! Progress, injected: only the binary knows of terminals.

use std::fmt;

use crate::RepoUrl;

/// What is going on with a repo. `Display` gives the words of messages and of the progress bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its turn, or for the lock of another process.
    #[default]
    Waiting,
    /// The connection is made, up to the server's first answer.
    Connecting,
    /// The refs are listed.
    ListingRefs,
    /// Commits are fetched.
    Fetching,
    /// Contents of known commits are fetched.
    FetchingFiles,
    /// An attempt failed, and the next one is awaited.
    Retrying,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Waiting => "waiting",
            Stage::Connecting => "connecting",
            Stage::ListingRefs => "listing refs",
            Stage::Fetching => "fetching",
            Stage::FetchingFiles => "fetching files",
            Stage::Retrying => "retrying",
        })
    }
}

/// What a fetch is doing. Calls come from worker threads, as often as there is something to say.
pub trait Reporter: Send + Sync {
    /// A repo reached a stage.
    fn stage(&self, _repo: &RepoUrl, _stage: Stage) {}
    /// So many bytes were received from the repo in all.
    fn bytes(&self, _repo: &RepoUrl, _received: u64) {}
    /// The repo is done, successfully or not.
    fn done(&self, _repo: &RepoUrl) {}
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
