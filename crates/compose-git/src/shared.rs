//! The state that the steps of one repo share: its address, objects in memory, cache entry and
//! connection.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use compose_model::{RefEntry, Refs, RepoUrl};
use tokio::runtime::Handle;

use crate::{
    cache::{OpenEntry, Unusable},
    error::{Error, FailedAt},
    object_cache::ObjectCache,
    run::Run,
    session::Session,
    store::Store,
    strategy::Strategy,
    sync::lock_unpoisoned,
    wire::{Traffic, process::local},
};

/// The part that all steps may use at once.
pub(crate) struct Shared {
    pub(crate) run: Arc<Run>,
    pub(crate) url: RepoUrl,
    pub(crate) traffic: Arc<Traffic>,
    /// Verified objects in memory.
    pub(crate) objects: Arc<ObjectCache>,
    /// The repo's cache entry, once it was opened.
    place: Mutex<Option<Arc<OpenEntry>>>,
}

/// The state that one step hands over to the next.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) session: Option<Session>,
    pub(crate) strategy: Strategy,
    /// Whether a snapshot that reads the store was handed out; then no pack may be dropped.
    pub(crate) has_readers: bool,
    /// The prefixes of refs that were requested.
    pub(crate) asked: Vec<String>,
    pub(crate) refs: Vec<RefEntry>,
    /// The refs that the cache held when this run first looked.
    pub(crate) before: Option<Arc<Refs>>,
}

impl Shared {
    pub(crate) fn new(run: Arc<Run>, url: RepoUrl) -> Self {
        Self {
            objects: Arc::new(ObjectCache::new(&run.object_capacity)),
            run,
            url,
            traffic: Arc::default(),
            place: Mutex::default(),
        }
    }

    /// Returns the repo's cache entry, opening it on first use.
    pub(crate) fn entry(&self) -> Result<Arc<OpenEntry>, Error> {
        let mut place = lock_unpoisoned(&self.place);
        if let Some(entry) = &*place {
            return Ok(Arc::clone(entry));
        }
        let entry = Arc::new(OpenEntry::open(&self.run, &self.url)?);
        *place = Some(Arc::clone(&entry));
        Ok(entry)
    }

    /// Returns an entry to fetch into: the cache's, or if it cannot be written a private one that
    /// also reads from the cache.
    pub(crate) fn entry_to_fetch(&self) -> Result<Arc<OpenEntry>, Error> {
        let entry = self.entry()?;
        if entry.is_writable() {
            return Ok(entry);
        }
        let private = Arc::new(OpenEntry::private(
            &self.run,
            &self.url,
            Some(&entry),
            Unusable::NotWritable,
        )?);
        *lock_unpoisoned(&self.place) = Some(Arc::clone(&private));
        Ok(private)
    }

    /// Returns the repo's cache entry if it is open.
    pub(crate) fn opened_entry(&self) -> Option<Arc<OpenEntry>> {
        lock_unpoisoned(&self.place).clone()
    }

    /// Uses another entry from here on.
    pub(crate) fn use_entry(&self, entry: OpenEntry) {
        *lock_unpoisoned(&self.place) = Some(Arc::new(entry));
    }

    /// Forgets a removed entry; the next use opens a new one.
    pub(crate) fn forget_entry(&self) {
        *lock_unpoisoned(&self.place) = None;
    }

    /// Opens the store of the objects that the cache holds now.
    pub(crate) fn store(&self, entry: &OpenEntry) -> Result<Store, Error> {
        entry.store(&self.run, &self.objects)
    }

    /// Returns the connection, opening it on first use. The cache entry is opened while the
    /// server's answer is awaited.
    pub(crate) fn session<'w>(
        self: &Arc<Self>,
        work: &'w mut Work,
        runtime: &Handle,
    ) -> Result<&'w mut Session, Error> {
        if work.session.is_none() {
            let shared = Arc::clone(self);
            // The error is reported by the step that needs the entry.
            let meanwhile = move || drop(shared.entry());
            work.session = Some(Session::open(
                &self.run,
                &self.url,
                &self.traffic,
                runtime,
                meanwhile,
            )?);
        }
        work.session.as_mut().ok_or_else(|| Error::Bug {
            repo: self.url.clone(),
            what: "the connection is gone".to_owned(),
        })
    }

    /// Returns the repo and its current stage, for an error.
    pub(crate) fn failed_at(&self) -> FailedAt {
        FailedAt {
            repo: self.url.clone(),
            stage: self.traffic.stage(),
        }
    }

    /// Adds the repo's stage to a timeout, which the run's clock does not know, and finds what this
    /// machine denies behind an error of a repo on its disk.
    pub(crate) fn placed(&self, error: Error) -> Error {
        match error {
            Error::Remote { .. } | Error::Network { .. } | Error::Nonsense { .. } if self.url.is_local() => {
                let path = local::path_of(&self.url);
                match local::check_all_readable(Path::new(&path)) {
                    Ok(()) => error,
                    Err(source) => Error::Local {
                        at: self.failed_at(),
                        source,
                    },
                }
            }
            Error::TimedOut { timeout, .. } => Error::TimedOut {
                at: self.failed_at(),
                timeout,
            },
            error => error,
        }
    }

    /// Returns whether only the cache may be used. A repo on this machine's disk needs no network;
    /// if it has been removed, only the cache knows it.
    pub(crate) fn is_offline(&self) -> bool {
        let at_hand = || self.url.is_local() && Path::new(self.url.path()).exists();
        self.run.options.offline && !at_hand()
    }
}
