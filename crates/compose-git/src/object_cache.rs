//! Keeps verified objects in memory.
//!
//! A file's bytes are needed when a fetch is checked for completeness, and again when the file is
//! merged or written. With this cache they are inflated and hashed only once per process. Objects
//! that do not fit are read and verified again.
//!
//! The bytes are stored in large blocks. Thousands of small allocations would cost more than the
//! copying, especially as many threads make them and one frees them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::{Bytes, BytesMut};
use compose_model::ObjectId;
use gix::{hashtable::HashMap, objs::Kind};

use crate::{ids::to_gix, sync::lock_unpoisoned};

/// The bytes that all repos of a run may keep together: some thousand files of the usual size.
const CAPACITY: usize = 16 << 20;
/// The largest object that is kept. A larger one would displace objects that are read often, and is
/// cheap to read for its size.
const LARGEST_OBJECT: usize = 64 << 10;
/// The bytes that an object takes besides its content: its slot in the map.
const OVERHEAD: usize = 96;
/// The size of the blocks. The unused end of a block is never touched.
const BLOCK_SIZE: usize = LARGEST_OBJECT;

/// The capacity in bytes that the repos of a run share.
pub(crate) struct ObjectCapacity {
    left: AtomicUsize,
}

impl Default for ObjectCapacity {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(CAPACITY),
        }
    }
}

impl ObjectCapacity {
    fn reserve(&self, bytes: usize) -> bool {
        self.left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes))
            .is_ok()
    }

    fn release(&self, bytes: usize) {
        self.left.fetch_add(bytes, Relaxed);
    }
}

/// The objects of one repo. Only verified objects are added, so that reads need no verification.
pub(crate) struct ObjectCache {
    capacity: Arc<ObjectCapacity>,
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    by_id: HashMap<gix::ObjectId, Object>,
    /// The unused end of the last block.
    free: BytesMut,
}

/// A verified object.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
}

impl ObjectCache {
    pub(crate) fn new(capacity: &Arc<ObjectCapacity>) -> Self {
        Self {
            capacity: Arc::clone(capacity),
            objects: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, id: &ObjectId) -> Option<Object> {
        lock_unpoisoned(&self.objects).by_id.get(&to_gix(id)).cloned()
    }

    /// Keeps a verified object if the capacity allows it.
    pub(crate) fn add(&self, id: &ObjectId, kind: Kind, bytes: &[u8]) {
        if bytes.len() > LARGEST_OBJECT || !self.capacity.reserve(bytes.len() + OVERHEAD) {
            return;
        }
        let mut objects = lock_unpoisoned(&self.objects);
        let bytes = objects.copy(bytes);
        let before = objects.by_id.insert(to_gix(id), Object { kind, bytes });
        if let Some(before) = before {
            self.capacity.release(before.bytes.len() + OVERHEAD);
        }
    }

    /// Forgets all objects, because the store behind the cache has been emptied.
    pub(crate) fn clear(&self) {
        let objects = std::mem::take(&mut *lock_unpoisoned(&self.objects));
        let bytes = objects.by_id.values().map(|object| object.bytes.len() + OVERHEAD);
        self.capacity.release(bytes.sum());
    }
}

impl Objects {
    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > self.free.capacity() {
            self.free = BytesMut::with_capacity(BLOCK_SIZE);
        }
        self.free.extend_from_slice(bytes);
        self.free.split().freeze()
    }
}

impl Drop for ObjectCache {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ObjectId {
        ObjectId::from_bytes([number; 20])
    }

    #[test]
    fn repos_share_the_capacity_and_release_it() {
        let capacity = Arc::new(ObjectCapacity::default());
        let (one, other) = (ObjectCache::new(&capacity), ObjectCache::new(&capacity));
        let full = vec![0; LARGEST_OBJECT];
        let fits = CAPACITY / (LARGEST_OBJECT + OVERHEAD);
        for number in 0..fits {
            one.add(&id(u8::try_from(number).unwrap()), Kind::Blob, &full);
        }
        other.add(&id(0), Kind::Blob, &full);
        assert!(other.get(&id(0)).is_none(), "there is no capacity left");
        one.clear();
        assert!(one.get(&id(0)).is_none());
        other.add(&id(0), Kind::Blob, &full);
        assert!(other.get(&id(0)).is_some());
        drop(other);
        assert_eq!(capacity.left.load(Relaxed), CAPACITY);
    }

    #[test]
    fn objects_in_shared_blocks_keep_their_own_bytes() {
        let cache = ObjectCache::new(&Arc::default());
        // The sizes fill several blocks, and some objects fill a block completely.
        let content_of = |number: u8| {
            vec![number; usize::from(number) * 300 + LARGEST_OBJECT * usize::from(number % 50 == 9)]
        };
        let fits = |number: &u8| content_of(*number).len() <= LARGEST_OBJECT;
        for number in 0..=255 {
            cache.add(&id(number), Kind::Blob, &content_of(number));
        }
        cache.add(&id(7), Kind::Tree, &[7; LARGEST_OBJECT]);
        for number in (0..=255).filter(fits).filter(|number| *number != 7) {
            let object = cache.get(&id(number)).unwrap();
            assert_eq!(
                (object.kind, &*object.bytes),
                (Kind::Blob, &*content_of(number)),
                "{number}"
            );
        }
        let replaced = cache.get(&id(7)).unwrap();
        assert_eq!(
            (replaced.kind, &*replaced.bytes),
            (Kind::Tree, &[7; LARGEST_OBJECT][..])
        );
    }

    #[test]
    fn an_object_takes_capacity_once_and_a_large_one_takes_none() {
        let capacity = Arc::new(ObjectCapacity::default());
        let cache = ObjectCache::new(&capacity);
        for _ in 0..3 {
            cache.add(&id(1), Kind::Blob, b"text");
        }
        cache.add(&id(2), Kind::Blob, &vec![0; LARGEST_OBJECT + 1]);
        assert!(cache.get(&id(2)).is_none());
        assert_eq!(capacity.left.load(Relaxed), CAPACITY - 4 - OVERHEAD);
        let object = cache.get(&id(1)).unwrap();
        assert_eq!((object.kind, &*object.bytes), (Kind::Blob, &b"text"[..]));
    }
}
