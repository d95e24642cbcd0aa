//! Dropping packs that newer ones supersede.
//!
//! Each new version of a catalog brings a pack or two, and nothing of an old one is asked for again: a cache that lives long would
//! hold thousands, each of them opened to look for an object that is in none. So when a fetch finds more than
//! [`Tuning::most_packs`](crate::Tuning::most_packs), or an entry that takes half of the cache's limit, the fetching run drops
//! packs, all but the newest and those that hold what it needs itself. What others needed of them is fetched again when they need it: a
//! request or two in thirty versions, instead of the upkeep of what every commit needs.
//!
//! It happens under the fetch's lock, and only while nobody else reads the entry. An index goes before its pack, so a killed run
//! leaves packs that are not looked at; they go the next time.

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
    entry::{Guard, OpenEntry, remove_file},
    files::{Locked, failed, is_at, try_flock},
};
use crate::{
    error::Error,
    ids::to_gix,
    run::Run,
    store::Store,
    tree_object::{self, EntryKind},
};

/// What became of the packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compacted {
    /// They are as they were.
    No,
    /// Some are gone: the store is to be opened anew.
    Yes,
    /// While nobody held it the entry was removed: everything is to be done anew.
    Gone,
}

/// One pack, as far as the disk has it.
#[derive(Debug, Default)]
struct Pack {
    files: Vec<PathBuf>,
    index: Option<PathBuf>,
    bytes: u64,
    received: Option<SystemTime>,
}

impl OpenEntry {
    /// Drops superseded packs where there are too many. `wanted` is what this run needs of the repo, all of it there.
    pub(crate) fn compact(
        &self,
        run: &Run,
        _guard: &Guard,
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
        // Turning a shared lock into an exclusive one gives it back first, and keeps none where it fails.
        if try_flock(&self.in_use, FlockOperation::NonBlockingLockExclusive) != Locked::Held {
            return self.hold_again(Compacted::No);
        }
        if !is_at(&self.in_use, &self.dir.join("in-use")) {
            return Ok(Compacted::Gone);
        }
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.received));
        let newest = if is_large { 0 } else { most / 2 };
        let mut needed = needed(store, wanted);
        let mut dropped = 0;
        for (at, pack) in packs.iter().enumerate() {
            let before = needed.len();
            if let Some(path) = &pack.index
                && let Ok(index) = index::File::at(path, Hash::Sha1)
            {
                needed.retain(|id| index.lookup(to_gix(id)).is_none());
            }
            if needed.len() == before && at >= newest {
                for path in &pack.files {
                    remove_file(path)?;
                }
                dropped += 1;
            }
        }
        tracing::debug!(path = %self.dir.display(), packs = packs.len(), dropped, bytes, "superseded packs are dropped");
        self.hold_again(Compacted::Yes)
    }

    /// Back to the lock of a reader.
    fn hold_again(&self, done: Compacted) -> Result<Compacted, Error> {
        try_flock(&self.in_use, FlockOperation::LockShared);
        if is_at(&self.in_use, &self.dir.join("in-use")) {
            Ok(done)
        } else {
            Ok(Compacted::Gone)
        }
    }

    /// All packs, each with its files, the index first.
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

/// The commits and everything below them that the store has. What it lacks no pack has, which does no harm.
fn needed(store: &Store, commits: &[CommitId]) -> HashSet<ObjectId> {
    let mut needed = HashSet::new();
    let mut trees = Vec::new();
    for commit in commits {
        needed.insert(commit.0);
        trees.extend(store.tree_of(&commit.0));
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
