//! A pack is indexed as by a fetch. Its commits are then listed and read as by a composition.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use compose_model::{
    ObjectId, RepoUrl, TreeFile, TreePath, fold::fold_name, settings::Budget, text::is_unprintable,
};
pub use gix::objs::Kind;
use gix::{hash::Kind as Hash, objs::Find as _};

use crate::{
    error::Error,
    ids::from_gix,
    object_cache::{ObjectCache, ObjectCapacity},
    session::CheckedPack,
    snapshot::Snapshot,
    store::Store,
    want::Root,
};

/// Small, so that small packs exceed it.
const BUDGET: Budget = Budget {
    files: 40,
    file_size: 4 << 10,
    total_size: 16 << 10,
};
/// What gix may allocate for one object of the pack.
const ALLOCATION: u64 = 1 << 20;
const MAX_OBJECTS: u32 = 1 << 16;
/// The directories that are listed.
const ROOTS: [&str; 3] = ["env", "a", "a/env"];

/// Returns the id of an object with these bytes.
pub fn object_id(kind: Kind, bytes: &[u8]) -> [u8; 20] {
    let id = gix::objs::compute_hash(Hash::Sha1, kind, bytes).expect("no collision");
    id.as_slice().try_into().expect("20 bytes")
}

/// Appends the checksum of a pack.
pub fn sealed(mut pack: Vec<u8>) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(Hash::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().expect("no collision").as_slice());
    pack
}

/// Indexes a pack in a new store, and uses each of its commits as a source. Returns how many files
/// were listed, or `None` if the pack is refused.
///
/// # Panics
///
/// Panics if an object does not match its id, a file is listed but cannot be read, or a listing is
/// not valid on every disk or exceeds a budget.
pub fn pack(bytes: &[u8]) -> Option<usize> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let objects = dir.path().join("objects");
    let into = objects.join("pack");
    fs::create_dir_all(&into).expect("a directory");
    let mut reader = bytes;
    let checked = CheckedPack::read(&mut reader, MAX_OBJECTS).ok()?;
    let interrupt = AtomicBool::new(false);
    let done = checked.index(&into, ALLOCATION, &mut gix::progress::Discard, &interrupt);
    done.ok()?.index_path?;

    let (commits, is_readable) = commits_of_verified(&objects);
    let cache = Arc::new(ObjectCache::new(&Arc::new(ObjectCapacity::default())));
    let store = Store::open(&objects, ALLOCATION, &cache).expect("the store opens");
    let listed = commits.iter().map(|id| use_commit(&store, id, is_readable));
    Some(listed.sum())
}

/// Checks that each object in the store has the content of its id. Returns those that a version may name,
/// and whether all objects can be read.
///
/// A pack may hold an object twice, once as a delta of itself. It is indexed, but that object counts as
/// damaged.
fn commits_of_verified(objects: &Path) -> (Vec<ObjectId>, bool) {
    let odb = gix::odb::at(objects, Hash::Sha1).expect("the store opens");
    let mut buffer = Vec::new();
    let mut commits = Vec::new();
    let mut is_readable = true;
    for id in odb.iter().expect("the index is readable") {
        let id = id.expect("the index is readable");
        let Ok(found) = odb.try_find(&id, &mut buffer) else {
            is_readable = false;
            continue;
        };
        let object = found.expect("an indexed object is there");
        let actual = gix::objs::compute_hash(Hash::Sha1, object.kind, object.data).expect("no collision");
        assert_eq!(actual, id);
        if matches!(object.kind, Kind::Commit | Kind::Tag) {
            commits.push(from_gix(&id).expect("a SHA-1 id"));
        }
    }
    (commits, is_readable)
}

fn use_commit(store: &Store, id: &ObjectId, is_readable: bool) -> usize {
    let Ok(peeled) = store.peel(id) else { return 0 };
    let root = peeled.root;
    let snapshot = Snapshot::new(
        RepoUrl::parse("https://example.com/repo").expect("an address"),
        "1.0.0".to_owned(),
        (peeled.commit, peeled.root),
        BUDGET,
        (store.clone(), "cache".into(), Arc::new(())),
        (Vec::new(), Vec::new()),
    );
    snapshot.raw_commit().expect("the commit was read");
    for name in snapshot.directories() {
        assert_valid_name(&name);
    }
    for place in printable(snapshot.environments()).unwrap_or_default() {
        place.split('/').for_each(assert_valid_name);
    }
    let mut listed = 0;
    for dir in ROOTS {
        let dir = TreePath::new(dir).expect("a path");
        printable(snapshot.tree(&dir));
        printable(snapshot.file(&dir));
        // As a fetch lists it, with every blob verified.
        let lister = crate::list_tree::TreeLister::new(store, root, BUDGET, true);
        let verified = lister.list(&Root::whole(dir.clone())).ok();
        let files = printable(snapshot.files(&Root::whole(dir)));
        if let (Some(verified), Some(files)) = (&verified, &files) {
            assert!(verified.missing.is_empty());
            assert_eq!(verified.files[..], files[..]);
        }
        let is_complete = verified.is_some_and(|listing| listing.missing.is_empty());
        assert!(
            is_complete == files.is_some() || !is_readable,
            "a fetch and a composition list the same"
        );
        if let Some(files) = files.filter(|_| is_complete) {
            check(&snapshot, &files);
            listed += files.len();
        }
    }
    listed
}

/// Checks that the files can be read, fit the budgets, and are distinct and valid on every disk.
fn check(snapshot: &Snapshot, files: &[TreeFile]) {
    assert!(files.len() as u64 <= BUDGET.files);
    assert!(files.is_sorted_by(|one, two| one.path < two.path));
    let folded = |path: &TreePath| fold_name(path.as_str()).into_owned();
    let paths: HashSet<String> = files.iter().map(|file| folded(&file.path)).collect();
    assert_eq!(paths.len(), files.len(), "two files are one on some disk");
    let mut total = 0;
    for file in files {
        file.path.components().for_each(assert_valid_name);
        file.repo_path.components().for_each(assert_valid_name);
        let path = folded(&file.path);
        for (slash, _) in path.match_indices('/') {
            assert!(!paths.contains(&path[..slash]), "a file and a directory");
        }
        let size = snapshot.with(&file.blob, |bytes| {
            assert_eq!(object_id(Kind::Blob, bytes), *file.blob.0.as_bytes());
            bytes.len() as u64
        });
        let size = size.expect("what is listed is readable");
        assert!(size <= BUDGET.file_size);
        total += size;
    }
    assert!(total <= BUDGET.total_size);
}

fn assert_valid_name(name: &str) {
    assert!(!name.is_empty() && name != "." && name != ".." && name.len() < 256);
    assert!(!name.eq_ignore_ascii_case(".git"));
    assert!(!name.contains(['/', '\\']) && !name.chars().any(is_unprintable));
}

/// Returns what was found. The text of an error is printable.
fn printable<T>(done: Result<T, Error>) -> Option<T> {
    done.inspect_err(|error| assert!(!error.to_string().chars().any(is_unprintable), "{error:?}"))
        .ok()
}
