//! Lists commits whose trees are wrong in ways that git can and cannot write: every listing is
//! valid on any disk and agrees with the trees.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use compose_model::{Filter, Globs, ObjectId, TreePath, settings::Budget};
use compose_testkit::fuzz::{Random, rounds};
use gix::objs::Kind;
use unicode_normalization::UnicodeNormalization as _;

use super::{ListError, Listing, Root, TreeLister, TreeProblem};
use crate::{
    ids::from_gix,
    object_cache::{ObjectCache, ObjectCapacity},
    store::Store,
    tree_object::{self, EntryKind},
};

const MODES: [&str; 15] = [
    "100644", "100644", "100644", "100755", "40000", "40000", "40000", "120000", "160000", "040000",
    "100664", "140000", "60000", "777777", "0",
];
const NAMES: [&[u8]; 24] = [
    b"a",
    b"A",
    b"a.b",
    b"a0",
    b"env",
    b"main.tf",
    b"link",
    b"README",
    b".git",
    b".GIT",
    b"git~1",
    b".g\xe2\x80\x8cit",
    b".gitmodules",
    b"..",
    b".",
    b"",
    b"a/b",
    b"a\\b",
    b"con",
    b"\xff",
    b"e\xcc\x81",
    b"\xc3\xa9",
    b"x\ny",
    b"nul.txt",
];
const TARGETS: [&str; 16] = [
    "main.tf",
    "a",
    "../a",
    "..",
    ".",
    "./env/..",
    "../../..",
    "/etc/passwd",
    "a/../a",
    "link",
    "../link",
    "nowhere",
    "",
    "env/main.tf",
    ".git/config",
    "a//b/",
];
const CONTENTS: [&[u8]; 3] = [
    b"",
    b"one",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
];

/// Objects in memory, each under its true id. Only objects that no tree of a commit can refer to
/// are missing.
struct Objects {
    store: Store,
    cache: Arc<ObjectCache>,
    all: HashMap<ObjectId, (Kind, Vec<u8>)>,
}

impl Objects {
    fn add(&mut self, kind: Kind, bytes: &[u8]) -> ObjectId {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, bytes).unwrap();
        let id = from_gix(&id).unwrap();
        self.cache.add(&id, kind, bytes);
        self.all.insert(id, (kind, bytes.to_vec()));
        id
    }

    /// Adds a tree with up to six entries, at most `depth` levels deep. Its entries are usually in
    /// order, and its bytes are sometimes damaged.
    fn tree(&mut self, random: &mut Random, depth: usize) -> ObjectId {
        let mut entries = Vec::new();
        for _ in 0..=random.below(6) {
            let names = if random.below(60) == 0 { NAMES.len() } else { 8 };
            let modes = if random.below(60) == 0 { MODES.len() } else { 8 };
            let (name, mode) = (random.pick(&NAMES[..names]), random.pick(&MODES[..modes]));
            let id = match (*mode, random.below(400)) {
                (_, 0) => ObjectId::from_bytes([0; 20]),
                (_, 1) => ObjectId::from_bytes([7; 20]),
                ("40000", 2..) | (_, 2) if depth > 0 => self.tree(random, depth - 1),
                ("120000", _) => self.add(Kind::Blob, random.pick(&TARGETS).as_bytes()),
                (_, draw) => self.add(Kind::Blob, CONTENTS[if draw < 398 { draw % 2 } else { 2 }]),
            };
            entries.push((name.to_vec(), *mode, id));
        }
        if random.below(100) != 0 {
            let key =
                |name: &[u8], mode: &str| [name, if mode.ends_with("40000") { b"/" } else { b"" }].concat();
            entries.sort_by_key(|(name, mode, _)| key(name, mode));
            entries.dedup_by(|one, two| one.0 == two.0);
        }
        let mut bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(name, mode, id)| [mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat())
            .collect();
        if random.below(100) == 0 {
            bytes = random.damaged(
                &bytes,
                b"40000 a\0",
                &["100644 ", "40000 ", "\0", " ", "/", ".git\0"],
            );
        }
        self.add(Kind::Tree, &bytes)
    }

    /// Returns the kind and id of the entry at a path. Symlinks are not followed.
    fn entry_at_path(&self, root: ObjectId, path: &TreePath) -> Option<(EntryKind, ObjectId)> {
        let mut found = (EntryKind::Tree, root);
        for part in path.components() {
            let (kind, bytes) = &self.all[&found.1];
            assert_eq!((*kind, found.0), (Kind::Tree, EntryKind::Tree));
            let entries = tree_object::parse(bytes).ok()?;
            let entry = entries.into_iter().find(|entry| entry.name == part.as_bytes())?;
            found = (entry.kind, entry.id);
        }
        Some(found)
    }

    fn check_listing(&self, root: ObjectId, listing: &Listing, budget: &Budget) {
        let files = &listing.files;
        assert!(files.len() as u64 <= budget.files);
        assert!(files.is_sorted_by(|a, b| a.path < b.path), "{files:?}");
        let folded = |path: &str| path.nfc().flat_map(char::to_lowercase).nfc().collect::<String>();
        let paths: HashSet<String> = files.iter().map(|file| folded(file.path.as_str())).collect();
        assert_eq!(paths.len(), files.len(), "two are one on some disk: {files:?}");
        for file in files {
            for path in [&file.path, &file.repo_path] {
                for part in path.components() {
                    assert!(!part.is_empty() && part != "." && part != ".." && part.len() < 256);
                    assert!(!part.eq_ignore_ascii_case(".git") && !part.contains(['\\', '\n', '\0']));
                }
            }
            for (slash, _) in folded(file.path.as_str()).match_indices('/') {
                let above = &folded(file.path.as_str())[..slash];
                assert!(!paths.contains(above), "a file and a directory: {above}");
            }
            let (kind, id) = self
                .entry_at_path(root, &file.repo_path)
                .expect("what is listed is there");
            assert_eq!((kind, id), (EntryKind::File(file.mode), file.blob.0));
            let known = self.all.get(&id);
            assert!(known.is_none_or(|(kind, _)| *kind == Kind::Blob));
            assert!(known.is_some() || listing.missing.all().any(|missing| missing == id));
        }
    }
}

#[test]
fn listings_of_invalid_trees_are_valid_on_every_disk() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pack")).unwrap();
    let cache = Arc::new(ObjectCache::new(&Arc::new(ObjectCapacity::default())));
    let mut objects = Objects {
        store: Store::open(dir.path(), 1 << 20, &cache).unwrap(),
        cache,
        all: HashMap::new(),
    };
    let budget = Budget {
        files: 200,
        ..Budget::default()
    };
    let mut random = Random::seeded();
    let (mut listed, mut refused) = (0, 0);
    for _ in 0..rounds(1000) {
        objects.cache.clear();
        objects.all.clear();
        let root = objects.tree(&mut random, 4);
        let main = Globs::new(vec!["*main*".to_owned()]).unwrap();
        let roots =
            [("env", false), ("a/env", false), ("a", true), ("link", false)].map(|(dir, filtered)| Root {
                dir: TreePath::new(dir).unwrap(),
                filter: if filtered {
                    Filter::new(Globs::default(), main.clone(), true)
                } else {
                    Filter::all()
                },
            });
        for wanted in &roots {
            match TreeLister::new(&objects.store, root, budget, random.below(2) == 0).list(wanted) {
                Ok(listing) => {
                    listed += listing.files.len();
                    objects.check_listing(root, &listing, &budget);
                }
                Err(ListError::Tree(place, problem)) => {
                    refused += 1;
                    assert_printable(&place, &problem);
                }
                Err(ListError::Refused(all)) => {
                    refused += 1;
                    for entry in std::iter::once(&all.first).chain(&all.others) {
                        assert_printable(&entry.path, &entry.why);
                    }
                }
                Err(ListError::Budget(_)) => {}
                Err(ListError::Damaged(id, why)) => panic!("{id}: {why}"),
            }
        }
    }
    assert!(listed > 50 && refused > 50, "{listed} listed, {refused} refused");
}

fn assert_printable(place: &str, problem: &TreeProblem) {
    let message = format!("{place}: {problem}");
    assert!(
        !message.chars().any(compose_model::text::is_unprintable),
        "{message:?}"
    );
}
