//! The interface through which progress is reported; only the binary knows of terminals.

use std::fmt;

use crate::RepoUrl;

/// The stage of work on a repo. `Display` gives the words for messages and the progress bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for its turn, or for another process's lock.
    #[default]
    Waiting,
    /// Connecting, up to the server's first answer.
    Connecting,
    /// Listing the refs.
    ListingRefs,
    /// Fetching commits.
    Fetching,
    /// Fetching the content of known commits.
    FetchingFiles,
    /// Waiting for the next attempt after a failure.
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

/// Receives the progress of fetching. The methods are called from worker threads.
pub trait Reporter: Send + Sync {
    /// Called when a repo reaches a stage.
    fn stage(&self, _repo: &RepoUrl, _stage: Stage) {}
    /// Called with the bytes received from the repo so far.
    fn bytes(&self, _repo: &RepoUrl, _received: u64) {}
    /// Called when work on the repo has ended, successfully or not.
    fn done(&self, _repo: &RepoUrl) {}
}

/// A reporter that ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
