//! What the steps of one repo share: its address, its objects in memory, its place in the cache, its connection.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use compose_model::{RefEntry, Refs, RepoUrl};
use tokio::runtime::Handle;

use crate::{
    cache::OpenEntry,
    error::{At, Error},
    object_cache::ObjectCache,
    run::Run,
    session::Session,
    store::Store,
    strategy::Strategy,
    sync::lock_unpoisoned,
    wire::Traffic,
};

/// What does not change.
pub(crate) struct Shared {
    pub(crate) run: Arc<Run>,
    pub(crate) url: RepoUrl,
    pub(crate) traffic: Arc<Traffic>,
    /// Its objects in memory.
    pub(crate) objects: Arc<ObjectCache>,
    /// Its place in the cache, once that was opened.
    place: Mutex<Option<Arc<OpenEntry>>>,
}

/// What one step leaves for the next.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) session: Option<Session>,
    pub(crate) strategy: Strategy,
    /// Was anything handed out that reads the store? Then nothing of it may go.
    pub(crate) has_readers: bool,
    /// Prefixes of refs that were asked for.
    pub(crate) asked: Vec<String>,
    pub(crate) refs: Vec<RefEntry>,
    /// What the cache remembered when this run first looked.
    pub(crate) before: Option<Arc<Refs>>,
}

impl Shared {
    pub(crate) fn new(run: Arc<Run>, url: RepoUrl) -> Self {
        Self {
            objects: Arc::new(ObjectCache::new(&run.room)),
            run,
            url,
            traffic: Arc::default(),
            place: Mutex::default(),
        }
    }

    /// The repo's place in the cache, opened when it is first needed.
    pub(crate) fn entry(&self) -> Result<Arc<OpenEntry>, Error> {
        let mut place = lock_unpoisoned(&self.place);
        if let Some(entry) = &*place {
            return Ok(Arc::clone(entry));
        }
        let entry = Arc::new(OpenEntry::open(&self.run, &self.url)?);
        *place = Some(Arc::clone(&entry));
        Ok(entry)
    }

    /// The same for fetching into: where the cache cannot be written, a private place that reads from the cache.
    pub(crate) fn entry_to_fetch(&self) -> Result<Arc<OpenEntry>, Error> {
        let entry = self.entry()?;
        if entry.is_writable() {
            return Ok(entry);
        }
        let private = Arc::new(OpenEntry::private(&self.run, &self.url, Some(&entry))?);
        *lock_unpoisoned(&self.place) = Some(Arc::clone(&private));
        Ok(private)
    }

    /// The entry was removed: the next one to need it makes another.
    pub(crate) fn forget_entry(&self) {
        *lock_unpoisoned(&self.place) = None;
    }

    /// The objects that the cache holds now.
    pub(crate) fn store(&self, entry: &OpenEntry) -> Result<Store, Error> {
        entry.store(&self.run, &self.objects)
    }

    /// The connection, opened when it is first needed. The cache's entry is opened while the server is awaited.
    pub(crate) fn session<'w>(
        self: &Arc<Self>,
        work: &'w mut Work,
        runtime: &Handle,
    ) -> Result<&'w mut Session, Error> {
        if work.session.is_none() {
            let shared = Arc::clone(self);
            // Whoever needs the entry is told why there is none.
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

    /// Where an error of now happened.
    pub(crate) fn failed_at(&self) -> At {
        At {
            repo: self.url.clone(),
            stage: self.traffic.stage(),
        }
    }

    /// The clock, which is the run's, does not know how far a repo came.
    pub(crate) fn placed(&self, error: Error) -> Error {
        match error {
            Error::TimedOut { timeout, .. } => Error::TimedOut {
                at: self.failed_at(),
                timeout,
            },
            error => error,
        }
    }

    /// Must the cache do? A repo on this machine's disk needs no network; one that is gone from there is known from the cache
    /// alone, too.
    pub(crate) fn is_offline(&self) -> bool {
        let at_hand = || self.url.is_local() && Path::new(self.url.path()).exists();
        self.run.options.offline && !at_hand()
    }
}
