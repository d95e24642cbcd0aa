//! A run of fetching, and the repos of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
};

use compose_model::RepoUrl;

use crate::{
    cache::{Cache, Tidying},
    error::Error,
    options::Options,
    repo::Repo,
    run::Run,
    sync::lock_unpoisoned,
};

/// The door to git. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Git(Arc<Inner>);

struct Inner {
    run: Arc<Run>,
    repos: Mutex<HashMap<String, Arc<Repo>>>,
}

impl Git {
    /// Starts the clock of [`Options::timeout`]. Touches neither disk nor network.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            run: Arc::new(Run::new(options)),
            repos: Mutex::default(),
        })))
    }

    /// The repo at an address; the same one for every spelling of it, so that whatever is asked of it in this run is asked once.
    pub fn repo(&self, url: &RepoUrl) -> Arc<Repo> {
        let mut repos = lock_unpoisoned(&self.0.repos);
        let repo = repos
            .entry(url.key().to_owned())
            .or_insert_with(|| Arc::new(Repo::new(Arc::clone(&self.0.run), url.clone())));
        Arc::clone(repo)
    }

    /// Brings the cache under [`Options::cache_limit`], where it has grown since this was last asked: a run that needed nothing new
    /// does not look. What this run used stays. `None`: there is nothing to do.
    pub fn tidy(&self) -> Option<Tidying> {
        let run = &self.0.run;
        let limit = run.options.cache_limit.filter(|_| !run.options.offline)?;
        if !run.fetched.swap(false, Ordering::Relaxed) {
            return None;
        }
        let used = lock_unpoisoned(&run.used).clone();
        Tidying::start(Cache::at(&run.options.cache_dir), limit, used)
    }

    /// What of this run must not outlast it.
    pub fn traces(&self) -> Traces {
        Traces(Arc::clone(&self.0.run))
    }

    /// Did this run need HTTP? A warm one with known commits does not, and then no client was ever made.
    pub fn used_http(&self) -> bool {
        self.0.run.net.is_used()
    }
}

/// What a run has on the disk that goes with it. Dropping the snapshots of the run removes it; a process that becomes another
/// program drops nothing.
pub struct Traces(Arc<Run>);

impl Traces {
    /// Removes it. Nothing of the run is read any more.
    pub fn remove(&self) {
        if let Some(Ok(private)) = self.0.private.get() {
            // A failure is as silent as that of dropping it.
            _ = std::fs::remove_dir_all(private.path());
        }
    }
}
