//! Reads objects. Each object is verified against its id when it leaves a pack, because a cache may
//! be damaged.
//!
//! Verified objects stay in memory as far as the capacity allows ([`ObjectCache`]), and are not
//! verified twice.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use compose_model::{CommitId, ObjectId};
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

/// The bytes that a reader keeps of the delta chains it has resolved.
const DELTA_CACHE: usize = 1 << 20;
/// A reader's buffer is freed if it has grown beyond this size.
const MAX_IDLE_BUFFER: usize = 1 << 20;

/// An open object store. Clones are cheap, and it can be shared between threads.
#[derive(Clone)]
pub(crate) struct Store {
    odb: Arc<gix::odb::Store>,
    cache: Arc<ObjectCache>,
    /// Readers that are not in use.
    idle: Arc<Mutex<Vec<ObjectReader>>>,
}

/// The state that is expensive to create for each object: the list of open packs, zlib's window,
/// and resolved delta chains.
struct ObjectReader {
    handle: gix::odb::HandleArc,
    buffer: Vec<u8>,
}

/// Why an object cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is not in the store.
    Missing,
    /// It is of another kind than requested.
    Kind(Kind),
    /// It is damaged, for this reason.
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

/// A commit, and how it was named.
pub(crate) struct Peeled {
    pub(crate) commit: CommitId,
    /// The commit's tree.
    pub(crate) root: ObjectId,
    /// The annotated tags that lead to the commit.
    pub(crate) tags: Vec<ObjectId>,
}

/// The object that cannot be read on the way to a commit.
pub(crate) struct PeelError {
    pub(crate) id: ObjectId,
    pub(crate) error: ReadError,
}

/// The most tags of tags that are followed.
const MAX_TAGS: usize = 16;

impl Store {
    /// Opens the store in the directory `objects`. No single allocation for an object exceeds
    /// `allocation` bytes.
    pub(crate) fn open(objects: &Path, allocation: u64, cache: &Arc<ObjectCache>) -> std::io::Result<Self> {
        let options = gix::odb::store::init::Options {
            // Slots for packs that other processes add during this run.
            slots: gix::odb::store::init::Slots::AsNeededByDiskState {
                multiplier: 1.5,
                minimum: 64,
            },
            use_multi_pack_index: false,
            alloc_limit_bytes: usize::try_from(allocation).ok(),
            // Only relative alternates would be resolved against it, and ours are absolute.
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
            // Otherwise each miss would list the packs again. Packs that arrive later are seen by a
            // store that is opened later.
            handle.refresh_never();
            handle.set_pack_cache(|| Box::new(MemoryCappedHashmap::new(DELTA_CACHE)));
            ObjectReader {
                handle,
                buffer: Vec::new(),
            }
        });
        let done = read(&mut reader);
        if reader.buffer.capacity() > MAX_IDLE_BUFFER {
            reader.buffer = Vec::new();
        }
        lock_unpoisoned(&self.idle).push(reader);
        done
    }

    /// Frees the memory of idle readers.
    pub(crate) fn drop_readers(&self) {
        lock_unpoisoned(&self.idle).clear();
    }

    /// Returns the object's kind and size, unverified, or `None` if it is missing.
    pub(crate) fn header(&self, id: &ObjectId) -> Result<Option<(Kind, u64)>, ReadError> {
        if let Some(object) = self.cache.get(id) {
            return Ok(Some((object.kind, object.bytes.len() as u64)));
        }
        let found = self.with_reader(|reader| reader.handle.try_header(&to_gix(id)));
        let header = found.map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(header.map(|header| (header.kind(), header.size())))
    }

    /// Returns the object's bytes, verified.
    pub(crate) fn read(&self, id: &ObjectId, kind: Kind) -> Result<Vec<u8>, ReadError> {
        self.with(id, kind, <[u8]>::to_vec)
    }

    /// Calls `look` with the object's verified bytes, without copying them.
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

    /// Returns the commit that an object stands for: the object itself, or the end of a chain of
    /// annotated tags.
    pub(crate) fn peel(&self, object: &ObjectId) -> Result<Peeled, PeelError> {
        let mut tags = Vec::new();
        let mut id = *object;
        loop {
            let at = |error| PeelError { id, error };
            match self.tree_of(&id) {
                Ok(root) => {
                    let commit = CommitId(id);
                    return Ok(Peeled { commit, root, tags });
                }
                Err(ReadError::Kind(Kind::Tag)) if tags.len() < MAX_TAGS => {
                    let bytes = self.read(&id, Kind::Tag).map_err(at)?;
                    let target = gix::objs::TagRefIter::from_bytes(&bytes, Hash::Sha1).target_id();
                    let target = target.map_err(|error| at(ReadError::Damaged(error.to_string())))?;
                    tags.push(id);
                    id = from_gix(&target)
                        .ok_or_else(|| at(ReadError::Damaged("its target has no SHA-1 id".to_owned())))?;
                }
                Err(error) => return Err(at(error)),
            }
        }
    }

    /// Returns the id of a commit's tree.
    pub(crate) fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, ReadError> {
        let bytes = self.read(commit, Kind::Commit)?;
        let tree = gix::objs::CommitRefIter::from_bytes(&bytes, Hash::Sha1)
            .tree_id()
            .map_err(|error| ReadError::Damaged(error.to_string()))?;
        from_gix(&tree).ok_or_else(|| ReadError::Damaged("its tree has no SHA-1 id".to_owned()))
    }
}
