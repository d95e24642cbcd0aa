//! Drops packs that newer ones supersede.
//!
//! Each new version of a catalog brings a pack or two, and nothing asks for the objects of an old
//! version again. Without upkeep, a long-lived cache would hold thousands of packs, and a lookup
//! that finds nothing would open each of them. When a fetch finds more packs than
//! [`Tuning::most_packs`](crate::Tuning::most_packs), or an entry that takes more than half of the
//! cache's limit, it drops packs. It keeps the newest ones and those that hold objects of its own
//! wants. Objects that other runs needed are fetched again on demand. That costs a request or two
//! in thirty versions, which is cheaper than tracking what every commit needs.
//!
//! Packs are dropped under the fetch lock, and only while no other process reads the entry. An
//! index is removed before its pack, so a killed run leaves packs that are never looked at; the
//! next compaction removes them.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs,
    path::PathBuf,
    time::SystemTime,
};

use compose_model::{CommitId, ObjectId};
use gix::{hash::Kind as Hash, objs::Kind, odb::pack::index};
use rustix::fs::FlockOperation;

use super::{
    entry::{FetchLock, OpenEntry, remove_file},
    files::{Locked, failed, is_same_file, try_flock},
};
use crate::{
    error::Error,
    ids::to_gix,
    run::Run,
    store::Store,
    tree_object::{self, EntryKind},
};

/// The outcome of a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compacted {
    /// The packs are unchanged.
    No,
    /// Some packs are gone: the store has to be opened again.
    Yes,
    /// Another process removed the entry while its lock was released: the fetch has to start again.
    Gone,
}

/// The files of one pack. A pack that was only partly written or removed has no index.
#[derive(Debug, Default)]
struct Pack {
    files: Vec<PathBuf>,
    index: Option<PathBuf>,
    bytes: u64,
    received: Option<SystemTime>,
}

impl OpenEntry {
    /// Drops superseded packs if there are too many. `wanted` lists the commits that this run
    /// needs; the store must hold all of them.
    pub(crate) fn compact(
        &self,
        run: &Run,
        _guard: &FetchLock,
        store: &Store,
        wanted: &[CommitId],
    ) -> Result<Compacted, Error> {
        if !self.is_shared() {
            return Ok(Compacted::No);
        }
        let mut packs = self.packs()?;
        let most = run.options.tuning.most_packs;
        let bytes: u64 = packs.iter().map(|pack| pack.bytes).sum();
        let is_large = run.options.cache_limit.is_some_and(|limit| bytes > limit / 2);
        if packs.len() <= most && !is_large {
            return Ok(Compacted::No);
        }
        // Converting a shared lock into an exclusive one releases it first, and leaves no lock if
        // the conversion fails.
        if try_flock(&self.in_use, FlockOperation::NonBlockingLockExclusive) != Locked::Held {
            return self.lock_shared_again(Compacted::No);
        }
        if !is_same_file(&self.in_use, &self.dir.join("in-use")) {
            return Ok(Compacted::Gone);
        }
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.received));
        let newest = if is_large { 0 } else { most / 2 };
        let mut needed = needed(store, wanted);
        let mut dropped = 0;
        for (position, pack) in packs.iter().enumerate() {
            let before = needed.len();
            if let Some(path) = &pack.index
                && let Ok(index) = index::File::at(path, Hash::Sha1)
            {
                needed.retain(|id| index.lookup(to_gix(id)).is_none());
            }
            if needed.len() == before && position >= newest {
                for path in &pack.files {
                    remove_file(path)?;
                }
                dropped += 1;
            }
        }
        tracing::debug!(path = %self.dir.display(), packs = packs.len(), dropped, bytes, "superseded packs are dropped");
        self.lock_shared_again(Compacted::Yes)
    }

    /// Takes the shared lock again and returns `done`, or [`Compacted::Gone`] if the entry was
    /// removed meanwhile.
    fn lock_shared_again(&self, done: Compacted) -> Result<Compacted, Error> {
        try_flock(&self.in_use, FlockOperation::LockShared);
        if is_same_file(&self.in_use, &self.dir.join("in-use")) {
            Ok(done)
        } else {
            Ok(Compacted::Gone)
        }
    }

    /// Returns all packs, each with its files, the index first.
    fn packs(&self) -> Result<Vec<Pack>, Error> {
        let dir = self.dir.join("objects/pack");
        let read = |error| failed("read", &dir, error);
        let mut packs: BTreeMap<PathBuf, Pack> = BTreeMap::new();
        for found in fs::read_dir(&dir).map_err(read)? {
            let path = found.map_err(read)?.path();
            let pack = packs.entry(path.with_extension("")).or_default();
            if let Ok(metadata) = fs::metadata(&path) {
                pack.bytes += metadata.len();
                pack.received = pack.received.max(metadata.modified().ok());
            }
            if path.extension() == Some(OsStr::new("idx")) {
                pack.index = Some(path.clone());
                pack.files.insert(0, path);
            } else {
                pack.files.push(path);
            }
        }
        Ok(packs.into_values().collect())
    }
}

/// Returns the ids of the commits and of everything below them that the store holds. Missing
/// objects are skipped: no pack holds them.
fn needed(store: &Store, commits: &[CommitId]) -> HashSet<ObjectId> {
    let mut needed = HashSet::new();
    let mut trees = Vec::new();
    for commit in commits {
        needed.insert(commit.0);
        if let Ok(peeled) = store.peel(&commit.0) {
            needed.insert(peeled.commit.0);
            needed.extend(peeled.tags);
            trees.push(peeled.root);
        }
    }
    while let Some(id) = trees.pop() {
        if !needed.insert(id) {
            continue;
        }
        let Ok(bytes) = store.read(&id, Kind::Tree) else {
            continue;
        };
        for entry in tree_object::parse(&bytes).unwrap_or_default() {
            match entry.kind {
                EntryKind::Tree => trees.push(entry.id),
                _ => _ = needed.insert(entry.id),
            }
        }
    }
    needed
}
