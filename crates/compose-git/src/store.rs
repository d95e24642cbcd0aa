//! Reading objects. Everything that leaves a pack is verified against its id: the store is a cache, and caches rot.
//!
//! What was verified stays in memory as far as there is room ([`ObjectCache`]), and is not verified again when it is asked for again.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use compose_model::ObjectId;
use gix::{
    hash::Kind as Hash,
    objs::{Find as _, Kind},
    odb::{Header as _, pack::cache::lru::MemoryCappedHashmap},
};

use crate::{
    ids::{from_gix, to_gix},
    object_cache::ObjectCache,
    sync::lock_unpoisoned,
};

/// What a reader remembers of the chains of deltas that it has gone along.
const CHAINS: usize = 1 << 20;
/// A reader whose buffer has grown over this gives it back.
const BUFFER: usize = 1 << 20;

/// An open object store; cheap to clone, safe to share between threads.
#[derive(Clone)]
pub(crate) struct Store {
    odb: Arc<gix::odb::Store>,
    cache: Arc<ObjectCache>,
    /// Readers that nobody reads with at the moment.
    idle: Arc<Mutex<Vec<ObjectReader>>>,
}

/// What is dear to make anew for each object: the list of open packs, zlib's window, and what it takes to go along a chain of
/// deltas once instead of once for each object in it.
struct ObjectReader {
    handle: gix::odb::HandleArc,
    buffer: Vec<u8>,
}

/// Why an object that should be there is not usable.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Not in the store.
    Missing,
    /// Another kind of object than its place asks for.
    Kind(Kind),
    /// The store is damaged.
    Damaged(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Missing => f.write_str("it is missing"),
            ReadError::Kind(kind) => write!(f, "it is a {kind}"),
            ReadError::Damaged(why) => write!(f, "it is damaged: {why}"),
        }
    }
}

impl Store {
    /// Opens the store in `objects`. No single allocation for an object goes over `allocation` bytes.
    pub(crate) fn open(objects: &Path, allocation: u64, cache: &Arc<ObjectCache>) -> std::io::Result<Self> {
        let options = gix::odb::store::init::Options {
            // Room for packs that other processes add while we run.
            slots: gix::odb::store::init::Slots::AsNeededByDiskState {
                multiplier: 1.5,
                minimum: 64,
            },
            use_multi_pack_index: false,
            alloc_limit_bytes: usize::try_from(allocation).ok(),
            // Only alternates would be resolved against it, and ours are absolute.
            current_dir: Some(objects.to_owned()),
            ..Default::default()
        };
        let odb = gix::odb::Store::at_opts(objects.to_owned(), Hash::Sha1, &mut std::iter::empty(), options)?;
        Ok(Self {
            odb: Arc::new(odb),
            cache: Arc::clone(cache),
            idle: Arc::default(),
        })
    }

    fn with_reader<T>(&self, read: impl FnOnce(&mut ObjectReader) -> T) -> T {
        let idle = lock_unpoisoned(&self.idle).pop();
        let mut reader = idle.unwrap_or_else(|| {
            let mut handle = self.odb.to_cache_arc();
            // A miss would list the packs again. What comes later is seen by a store that is opened later.
            handle.refresh_never();
            handle.set_pack_cache(|| Box::new(MemoryCappedHashmap::new(CHAINS)));
            ObjectReader {
                handle,
                buffer: Vec::new(),
            }
        });
        let done = read(&mut reader);
        if reader.buffer.capacity() > BUFFER {
            reader.buffer = Vec::new();
        }
        lock_unpoisoned(&self.idle).push(reader);
        done
    }

    /// Gives back the memory of readers: for a while nobody will read.
    pub(crate) fn rest(&self) {
        lock_unpoisoned(&self.idle).clear();
    }

    /// The object's kind and size, when it is there. Not verified.
    pub(crate) fn header(&self, id: &ObjectId) -> Result<Option<(Kind, u64)>, ReadError> {
        if let Some(object) = self.cache.get(id) {
            return Ok(Some((object.kind, object.bytes.len() as u64)));
        }
        let found = self.with_reader(|reader| reader.handle.try_header(&to_gix(id)));
        let header = found.map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(header.map(|header| (header.kind(), header.size())))
    }

    /// The object's bytes, verified.
    pub(crate) fn read(&self, id: &ObjectId, kind: Kind) -> Result<Vec<u8>, ReadError> {
        self.with(id, kind, <[u8]>::to_vec)
    }

    /// Lends the object's bytes, verified, to `look`: nothing is copied, however large they are.
    pub(crate) fn with<T>(
        &self,
        id: &ObjectId,
        kind: Kind,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ReadError> {
        if let Some(object) = self.cache.get(id) {
            return match object.kind {
                same if same == kind => Ok(look(&object.bytes)),
                other => Err(ReadError::Kind(other)),
            };
        }
        self.with_reader(|reader| {
            let wanted = to_gix(id);
            let found = reader
                .handle
                .try_find(&wanted, &mut reader.buffer)
                .map_err(|error| ReadError::Damaged(error.to_string()))?
                .ok_or(ReadError::Missing)?;
            let actual = gix::objs::compute_hash(Hash::Sha1, found.kind, found.data)
                .map_err(|error| ReadError::Damaged(error.to_string()))?;
            if actual != wanted {
                return Err(ReadError::Damaged(format!("its bytes hash to {actual}")));
            }
            self.cache.add(id, found.kind, found.data);
            if found.kind != kind {
                return Err(ReadError::Kind(found.kind));
            }
            Ok(look(found.data))
        })
    }

    /// The tree of a commit.
    pub(crate) fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, ReadError> {
        let bytes = self.read(commit, Kind::Commit)?;
        let tree = gix::objs::CommitRefIter::from_bytes(&bytes, Hash::Sha1)
            .tree_id()
            .map_err(|error| ReadError::Damaged(error.to_string()))?;
        from_gix(&tree).ok_or_else(|| ReadError::Damaged("its tree has no SHA-1 id".to_owned()))
    }
}
