//! Reading objects. Everything read is verified against its id: the store is a cache, and caches rot.

use std::{fmt, path::Path, sync::Arc};

use compose_model::ObjectId;
use gix::{
    hash::Kind as Hash,
    objs::{Find, Kind},
    odb::HeaderExt as _,
};

/// An open object store; cheap to clone, safe to share between threads.
#[derive(Clone)]
pub(crate) struct Store {
    odb: Arc<gix::odb::Store>,
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

/// Our id as gix's.
pub(crate) fn to_gix(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// gix's id as ours; `None` for a hash that is not SHA-1.
pub(crate) fn from_gix(id: &gix::oid) -> Option<ObjectId> {
    <[u8; 20]>::try_from(id.as_bytes()).ok().map(ObjectId::from_bytes)
}

impl Store {
    /// Opens the store in `objects`. No single allocation for an object goes over `allocation` bytes.
    pub(crate) fn open(objects: &Path, allocation: u64) -> std::io::Result<Self> {
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
        Ok(Self { odb: Arc::new(odb) })
    }

    /// The object's kind and size, when it is there. Not verified.
    pub(crate) fn header(&self, id: &ObjectId) -> Result<Option<(Kind, u64)>, ReadError> {
        let handle = self.odb.to_cache_arc();
        let id = to_gix(id);
        if !gix::objs::Exists::exists(&handle, &id) {
            return Ok(None);
        }
        let header = handle
            .header(id)
            .map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(Some((header.kind(), header.size())))
    }

    /// The object's bytes, verified.
    pub(crate) fn read(&self, id: &ObjectId, kind: Kind) -> Result<Vec<u8>, ReadError> {
        let handle = self.odb.to_cache_arc();
        let id = to_gix(id);
        let mut bytes = Vec::new();
        let found = handle
            .try_find(&id, &mut bytes)
            .map_err(|error| ReadError::Damaged(error.to_string()))?
            .ok_or(ReadError::Missing)?;
        let actual = gix::objs::compute_hash(Hash::Sha1, found.kind, found.data)
            .map_err(|error| ReadError::Damaged(error.to_string()))?;
        if actual != id {
            return Err(ReadError::Damaged(format!("its bytes hash to {actual}")));
        }
        if found.kind != kind {
            return Err(ReadError::Kind(found.kind));
        }
        Ok(bytes)
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
