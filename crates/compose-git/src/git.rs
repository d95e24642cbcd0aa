//! The entry point of the crate: one run of fetching, and its repos.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
};

use compose_model::RepoUrl;

use crate::{
    cache::Tidying, error::Error, options::Options, repo::Repo, run::Run, session, sync::lock_unpoisoned,
};

/// One run of fetching. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Git(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) run: Arc<Run>,
    repos: Mutex<HashMap<String, Arc<Repo>>>,
}

impl Git {
    /// Starts the run and the clock of [`Options::timeout`]. Touches neither disk nor network.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            run: Arc::new(Run::new(options)),
            repos: Mutex::default(),
        })))
    }

    /// Returns the repo at an address. All spellings of one address give the same repo, so that
    /// nothing is requested twice in a run.
    pub fn repo(&self, url: &RepoUrl) -> Arc<Repo> {
        let mut repos = lock_unpoisoned(&self.0.repos);
        let repo = repos
            .entry(url.key().to_owned())
            .or_insert_with(|| Arc::new(Repo::new(Arc::clone(&self.0.run), url.clone())));
        Arc::clone(repo)
    }

    /// Returns the address that `url.*.insteadOf` of git's configuration rewrites a repo's address
    /// to, without a login. Returns `None` if the repo's own address is contacted, and if the other
    /// one is invalid, which is an error of the repo's requests.
    pub fn rewritten(&self, url: &RepoUrl) -> Option<RepoUrl> {
        let rewritten = session::rewritten(&self.0.run, url).ok()?;
        rewritten.map(|(address, _)| address)
    }

    /// Starts to bring the cache under [`Options::cache_limit`] if this run has added to it since
    /// the last call. Entries that this run used are kept. Returns `None` if there is nothing to
    /// do.
    pub fn tidy(&self) -> Option<Tidying> {
        let run = &self.0.run;
        let limit = run.options.cache_limit.filter(|_| !run.options.offline)?;
        if !run.fetched.swap(false, Ordering::Relaxed) {
            return None;
        }
        let used = lock_unpoisoned(&run.used).clone();
        Tidying::start(run.cache(), limit, used, &run.options)
    }

    /// Returns a handle to the files of this run that must not outlive it.
    pub fn traces(&self) -> Traces {
        Traces(Arc::clone(&self.0.run))
    }

    /// Returns whether this run needed HTTP. A warm run with known commits does not, and then never
    /// creates a client.
    pub fn used_http(&self) -> bool {
        self.0.run.net.is_used()
    }
}

/// A run's temporary files. They are removed when the run's snapshots are dropped; a process that
/// execs another program drops nothing and has to call [`Traces::remove`].
pub struct Traces(Arc<Run>);

impl Traces {
    /// Removes the files. No snapshot of the run may be read afterwards.
    pub fn remove(&self) {
        if let Some(Ok(private)) = self.0.private.get() {
            private.remove();
        }
    }
}
