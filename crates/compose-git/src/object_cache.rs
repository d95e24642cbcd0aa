//! Verified objects in memory.
//!
//! A file's bytes are needed when it is looked whether all is there and sound, and once more when it is merged or written.
//! ObjectCache in between, they are inflated and hashed once in a process. What finds no room is read and verified again.
//!
//! They stand side by side in large blocks: thousands of small allocations cost more than all that is copied into them, the more
//! so as many threads make them and one gives them back.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::{Bytes, BytesMut};
use compose_model::ObjectId;
use gix::{hashtable::HashMap, objs::Kind};

use crate::{ids::to_gix, sync::lock_unpoisoned};

/// What all repos of a run may keep together: some thousand files of the usual size.
const MOST: usize = 16 << 20;
/// A larger object is not kept: it would push out what is read often, and reading it costs little for its size.
const LARGEST: usize = 64 << 10;
/// What an object takes besides its bytes: its place in the map.
const OVERHEAD: usize = 96;
/// Objects share blocks of this size. What of a block is not used is never touched.
const BLOCK: usize = LARGEST;

/// Room for objects, shared by the repos of a run.
pub(crate) struct Room {
    left: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(MOST),
        }
    }
}

impl Room {
    fn take(&self, bytes: usize) -> bool {
        self.left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes))
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Relaxed);
    }
}

/// The objects of one repo. Only what was verified gets in, so that what comes out needs no verification.
pub(crate) struct ObjectCache {
    room: Arc<Room>,
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    known: HashMap<gix::ObjectId, Object>,
    /// What is left of the last block.
    free: BytesMut,
}

/// An object, verified.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
}

impl ObjectCache {
    pub(crate) fn new(room: &Arc<Room>) -> Self {
        Self {
            room: Arc::clone(room),
            objects: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, id: &ObjectId) -> Option<Object> {
        lock_unpoisoned(&self.objects).known.get(&to_gix(id)).cloned()
    }

    /// Keeps an object that was verified, if there is room.
    pub(crate) fn add(&self, id: &ObjectId, kind: Kind, bytes: &[u8]) {
        if bytes.len() > LARGEST || !self.room.take(bytes.len() + OVERHEAD) {
            return;
        }
        let mut objects = lock_unpoisoned(&self.objects);
        let bytes = objects.copy(bytes);
        let before = objects.known.insert(to_gix(id), Object { kind, bytes });
        if let Some(before) = before {
            self.room.give_back(before.bytes.len() + OVERHEAD);
        }
    }

    /// Forgets everything: the store behind it is emptied, and must not seem to hold what it does not.
    pub(crate) fn clear(&self) {
        let objects = std::mem::take(&mut *lock_unpoisoned(&self.objects));
        let bytes = objects.known.values().map(|object| object.bytes.len() + OVERHEAD);
        self.room.give_back(bytes.sum());
    }
}

impl Objects {
    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > self.free.capacity() {
            self.free = BytesMut::with_capacity(BLOCK);
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
    fn repos_share_the_room_and_give_it_back() {
        let room = Arc::new(Room::default());
        let (one, other) = (ObjectCache::new(&room), ObjectCache::new(&room));
        let full = vec![0; LARGEST];
        let fits = MOST / (LARGEST + OVERHEAD);
        for number in 0..fits {
            one.add(&id(u8::try_from(number).unwrap()), Kind::Blob, &full);
        }
        other.add(&id(0), Kind::Blob, &full);
        assert!(other.get(&id(0)).is_none(), "there is no room left");
        one.clear();
        assert!(one.get(&id(0)).is_none());
        other.add(&id(0), Kind::Blob, &full);
        assert!(other.get(&id(0)).is_some());
        drop(other);
        assert_eq!(room.left.load(Relaxed), MOST);
    }

    #[test]
    fn every_object_has_its_own_bytes_wherever_they_stand() {
        let cache = ObjectCache::new(&Arc::default());
        // Enough for several blocks, and some that fill one to its end.
        let text =
            |number: u8| vec![number; usize::from(number) * 300 + LARGEST * usize::from(number % 50 == 9)];
        let fits = |number: &u8| text(*number).len() <= LARGEST;
        for number in 0..=255 {
            cache.add(&id(number), Kind::Blob, &text(number));
        }
        cache.add(&id(7), Kind::Tree, &[7; LARGEST]);
        for number in (0..=255).filter(fits).filter(|number| *number != 7) {
            let object = cache.get(&id(number)).unwrap();
            assert_eq!(
                (object.kind, &*object.bytes),
                (Kind::Blob, &*text(number)),
                "{number}"
            );
        }
        let replaced = cache.get(&id(7)).unwrap();
        assert_eq!((replaced.kind, &*replaced.bytes), (Kind::Tree, &[7; LARGEST][..]));
    }

    #[test]
    fn an_object_takes_its_room_once_and_a_large_one_none() {
        let room = Arc::new(Room::default());
        let cache = ObjectCache::new(&room);
        for _ in 0..3 {
            cache.add(&id(1), Kind::Blob, b"text");
        }
        cache.add(&id(2), Kind::Blob, &vec![0; LARGEST + 1]);
        assert!(cache.get(&id(2)).is_none());
        assert_eq!(room.left.load(Relaxed), MOST - 4 - OVERHEAD);
        let object = cache.get(&id(1)).unwrap();
        assert_eq!((object.kind, &*object.bytes), (Kind::Blob, &b"text"[..]));
    }
}
