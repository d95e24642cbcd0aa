//! TreeListering the trees of one commit: which files a directory holds once symlinks are followed, and which objects
//! are missing to tell.
//!
//! The same walk answers both questions, before the fetch (what must be asked for), after it (is it all there) and for
//! the composition (what is in it). So there is no index of complete commits that could lie: complete is what the walk finds complete.

#[cfg(test)]
mod fuzz;
mod links;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use compose_model::{
    BlobId, FileMode, FilterKey, LeftOut, ObjectId, TreeFile, TreePath, path::InvalidPath, settings::Budget,
};
use gix::{bstr::BStr, hashtable::HashMap, objs::Kind};

use crate::{
    error::TreeProblem,
    ids::to_gix,
    names::{self, Siblings, printable_name},
    store::{ReadError, Store},
    tree_object::{self, EntryKind, TreeEntry},
    want::Root,
};

use links::Problem;
pub(crate) use links::Target;

/// Deeper trees are refused: far beyond any real one, far below any stack's end.
const DEEPEST: usize = 512;
/// A Git LFS pointer is smaller, says its specification.
const LFS_LIMIT: u64 = 1024;
const LFS_START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Why a walk ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An entry that is not taken, with its path in the repo.
    Tree(String, TreeProblem),
    /// Over the budget.
    Budget(Over),
    /// The store is damaged at this object.
    Damaged(ObjectId, String),
}

/// Which budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Files,
    FileSize,
    TotalSize,
}

/// Objects that are not in the store.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Trees of which everything below is wanted.
    pub(crate) whole_trees: BTreeSet<ObjectId>,
    /// Trees of which only some files are wanted, or only the names.
    pub(crate) trees: BTreeSet<ObjectId>,
    pub(crate) blobs: BTreeSet<ObjectId>,
}

impl Missing {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole_trees.is_empty() && self.trees.is_empty() && self.blobs.is_empty()
    }

    pub(crate) fn add(&mut self, other: Missing) {
        self.whole_trees.extend(other.whole_trees);
        self.trees.extend(other.trees);
        self.blobs.extend(other.blobs);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.whole_trees
            .iter()
            .chain(&self.trees)
            .chain(&self.blobs)
            .copied()
    }
}

/// What a directory holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<TreeFile>,
    /// Files that the root's filter leaves out, relative to its directory.
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) missing: Missing,
}

/// A directory at its true place: the trees from the root (exclusive) down, with their names.
pub(crate) type Dir = Vec<(String, ObjectId)>;

/// A walk through one commit's tree.
pub(crate) struct TreeLister<'a> {
    store: &'a Store,
    root: ObjectId,
    budget: Budget,
    /// Verify blobs too, not only that they are there.
    verify: bool,
    /// Trees are met again and again while links are resolved.
    trees: RefCell<HashMap<gix::ObjectId, Rc<Vec<TreeEntry>>>>,
    /// So are blobs, in trees made to explode.
    blobs: RefCell<HashMap<gix::ObjectId, Option<Judged>>>,
}

/// What is known of a blob.
#[derive(Clone, Copy)]
struct Judged {
    size: u64,
    is_pointer: bool,
}

struct ListState<'r> {
    root: &'r Root,
    listing: Listing,
    entries: u64,
    total: u64,
    /// True places of the directories that are being listed, outermost first.
    active: Vec<String>,
}

impl<'a> TreeLister<'a> {
    pub(crate) fn new(store: &'a Store, root: ObjectId, budget: Budget, verify: bool) -> Self {
        Self {
            store,
            root,
            budget,
            verify,
            trees: RefCell::default(),
            blobs: RefCell::default(),
        }
    }

    /// The files of `root`, sorted by path, and what is missing to know them all. Nothing at all when there is no such directory.
    pub(crate) fn list(&self, root: &Root) -> Result<Listing, Stop> {
        let mut state = ListState {
            root,
            listing: Listing::default(),
            entries: 0,
            total: 0,
            active: Vec::new(),
        };
        if let Target::Tree(dir) = self.find(root, &mut state.listing.missing)? {
            self.list_dir(&dir, None, &mut state)?;
        }
        state.listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        state.listing.left_out.sort();
        Ok(state.listing)
    }

    /// Is the commit's top directory there?
    pub(crate) fn is_present(&self, missing: &mut Missing) -> bool {
        let absent = matches!(self.tree(&self.root, ""), Err(Absent::Missing));
        if absent {
            missing.trees.insert(self.root);
        }
        !absent
    }

    /// The directory of a root.
    pub(crate) fn find(&self, root: &Root, missing: &mut Missing) -> Result<Target, Stop> {
        self.find_any(&root.dir, missing).map(|target| match target {
            Target::Blob { .. } => Target::Nothing,
            other => other,
        })
    }

    /// What stands at a path of the commit, links followed.
    pub(crate) fn find_any(&self, path: &TreePath, missing: &mut Missing) -> Result<Target, Stop> {
        let path = path.as_str();
        self.resolve(&Vec::new(), path, missing)
            .or_else(|problem| match problem {
                Problem::Stop(stop) => Err(stop),
                // A link at the end of the wanted path that leads nowhere.
                Problem::Dangling => Ok(Target::Nothing),
                other => Err(other.into_stop(path.to_owned(), path.as_bytes())),
            })
    }

    fn list_dir(&self, dir: &Dir, logical: Option<&TreePath>, state: &mut ListState<'_>) -> Result<(), Stop> {
        let place = place_of(dir);
        let id = dir.last().map_or(self.root, |(_, id)| *id);
        let entries = match self.tree(&id, &place) {
            Ok(entries) => entries,
            Err(Absent::Missing) => {
                let missing = &mut state.listing.missing;
                if state.root.filter.keeps_all() {
                    &mut missing.whole_trees
                } else {
                    &mut missing.trees
                }
                .insert(id);
                return Ok(());
            }
            Err(Absent::Stop(stop)) => return Err(stop),
        };
        if state.active.len() >= DEEPEST {
            return Err(Stop::Tree(printable_name(place.as_bytes()), TreeProblem::TooDeep));
        }
        let true_path = match place.as_str() {
            "" => None,
            text => match TreePath::new(text) {
                Ok(path) => Some(path),
                Err(_) => return Err(Stop::Tree(printable_name(text.as_bytes()), TreeProblem::TooDeep)),
            },
        };
        state.active.push(place);
        let mut siblings = Siblings::default();
        let paths = Paths::new(true_path, logical);
        for entry in entries.iter() {
            self.list_entry((dir, &paths), entry, &mut siblings, state)?;
        }
        state.active.pop();
        Ok(())
    }

    fn list_entry<'e>(
        &self,
        (dir, paths): (&Dir, &Paths<'_>),
        entry: &'e TreeEntry,
        siblings: &mut Siblings<'e>,
        state: &mut ListState<'_>,
    ) -> Result<(), Stop> {
        // Directories count too, else trees without files could be nested into eternity.
        state.entries += 1;
        if state.entries > self.budget.files.saturating_mul(2) {
            return Err(Stop::Budget(Over::Files));
        }
        let checked = names::check(BStr::new(&entry.name), entry.kind == EntryKind::Link)
            .and_then(|name| siblings.add(name).map(|()| name));
        let name = match checked {
            Ok(name) => name,
            Err(problem) if is_excluded(entry, paths.logical, state.root) => {
                tracing::debug!(%problem, "an excluded name is skipped");
                return Ok(());
            }
            Err(problem) => return Err(Stop::Tree(entry_place(dir, &entry.name), problem)),
        };
        let refuse = |problem| Err(Stop::Tree(entry_place(dir, &entry.name), problem));
        let (Ok(path), repo_path) = paths.child(name) else {
            return refuse(TreeProblem::TooDeep);
        };
        if entry.id.is_null() {
            return refuse(TreeProblem::Kind("its object id is null".to_owned()));
        }
        let left_out = match entry.kind {
            EntryKind::Tree => None,
            _ => state.root.filter.left_out_by(&path),
        };
        match (entry.kind, left_out) {
            (EntryKind::Tree, _) => self.list_dir(&child(dir, name, entry.id), Some(&path), state),
            (EntryKind::Link, left_out) => self.list_link(dir, entry, &path, left_out, state),
            (EntryKind::File(_) | EntryKind::Submodule | EntryKind::Unknown(_), Some(by)) => {
                state.listing.left_out.push(LeftOut { path, by });
                Ok(())
            }
            (EntryKind::File(mode), None) => match repo_path {
                Ok(repo_path) => self.add(path, repo_path, entry.id, mode, state),
                Err(_) => refuse(TreeProblem::TooDeep),
            },
            (EntryKind::Submodule, None) => refuse(TreeProblem::Submodule),
            (EntryKind::Unknown(mode), None) => {
                refuse(TreeProblem::Kind(format!("its mode {mode:o} is unknown")))
            }
        }
    }

    fn list_link(
        &self,
        dir: &Dir,
        entry: &TreeEntry,
        path: &TreePath,
        left_out: Option<FilterKey>,
        state: &mut ListState<'_>,
    ) -> Result<(), Stop> {
        let place = entry_place(dir, &entry.name);
        let target = match self.link_target(&entry.id, &place) {
            Ok(target) => Ok(target),
            Err(Absent::Missing) => {
                state.listing.missing.blobs.insert(entry.id);
                return Ok(());
            }
            Err(Absent::Stop(stop)) => Err(stop),
        };
        let refused =
            match target.map(|target| (self.resolve(dir, &target, &mut state.listing.missing), target)) {
                Ok((Ok(Target::Tree(found)), target)) => {
                    let into = place_of(&found);
                    if !state
                        .active
                        .iter()
                        .any(|active| *active == into || is_below(active, &into))
                    {
                        return self.list_dir(&found, Some(path), state);
                    }
                    Problem::Looping.into_stop(place, target.as_bytes())
                }
                Ok((Ok(Target::Blob { path: at, blob, mode }), _)) => {
                    if let Some(by) = left_out {
                        let path = path.clone();
                        state.listing.left_out.push(LeftOut { path, by });
                        return Ok(());
                    }
                    return match TreePath::new(at.as_str()) {
                        Ok(at) => self.add(path.clone(), at, blob, mode, state),
                        Err(_) => Err(Stop::Tree(printable_name(at.as_bytes()), TreeProblem::TooDeep)),
                    };
                }
                Ok((Ok(Target::Unknown), _)) => return Ok(()),
                Ok((Ok(Target::Nothing), target)) => Problem::Dangling.into_stop(place, target.as_bytes()),
                Ok((Err(problem), target)) => problem.into_stop(place, target.as_bytes()),
                Err(stop) => stop,
            };
        // What leads nowhere is no matter where it is excluded; a damaged store always is.
        if left_out.is_none() || matches!(refused, Stop::Damaged(..)) {
            Err(refused)
        } else {
            Ok(())
        }
    }

    fn add(
        &self,
        path: TreePath,
        repo_path: TreePath,
        blob: ObjectId,
        mode: FileMode,
        state: &mut ListState<'_>,
    ) -> Result<(), Stop> {
        if state.listing.files.len() as u64 >= self.budget.files {
            return Err(Stop::Budget(Over::Files));
        }
        match self.judge(&blob, &repo_path)? {
            None => _ = state.listing.missing.blobs.insert(blob),
            Some(Judged { is_pointer: true, .. }) => {
                return Err(Stop::Tree(repo_path.to_string(), TreeProblem::Lfs));
            }
            Some(Judged { size, .. }) => {
                state.total = state.total.saturating_add(size);
                if state.total > self.budget.total_size {
                    return Err(Stop::Budget(Over::TotalSize));
                }
            }
        }
        state.listing.files.push(TreeFile {
            path,
            repo_path,
            mode,
            blob: BlobId(blob),
        });
        Ok(())
    }

    /// Looks at a blob once; `None`: it is missing.
    fn judge(&self, blob: &ObjectId, repo_path: &TreePath) -> Result<Option<Judged>, Stop> {
        if let Some(known) = self.blobs.borrow().get(&to_gix(blob)) {
            return Ok(*known);
        }
        let judged = if self.verify {
            self.verified(blob, repo_path)?
        } else {
            self.present(blob, repo_path)?
        };
        self.blobs.borrow_mut().insert(to_gix(blob), judged);
        Ok(judged)
    }

    /// Reads a blob to the end.
    fn verified(&self, blob: &ObjectId, repo_path: &TreePath) -> Result<Option<Judged>, Stop> {
        let read = self.store.with(blob, Kind::Blob, |bytes| Judged {
            size: bytes.len() as u64,
            is_pointer: is_pointer(bytes),
        });
        match read {
            Ok(judged) if judged.size > self.budget.file_size => Err(Stop::Budget(Over::FileSize)),
            Ok(judged) => Ok(Some(judged)),
            Err(ReadError::Missing) => Ok(None),
            Err(ReadError::Kind(kind)) => Err(no_file(kind, repo_path)),
            Err(error @ ReadError::Damaged(_)) => match self.store.header(blob) {
                // Too large even to be read.
                Ok(Some((_, size))) if size > self.budget.file_size => Err(Stop::Budget(Over::FileSize)),
                _ => Err(damaged(*blob, &error)),
            },
        }
    }

    /// Believes what a blob's header says, and looks into it only where it is small enough to be a pointer.
    fn present(&self, blob: &ObjectId, repo_path: &TreePath) -> Result<Option<Judged>, Stop> {
        let unreadable = |error| damaged(*blob, &error);
        match self.store.header(blob).map_err(unreadable)? {
            None => Ok(None),
            Some((Kind::Blob, size)) if size > self.budget.file_size => Err(Stop::Budget(Over::FileSize)),
            Some((Kind::Blob, size)) => {
                let is_pointer = size < LFS_LIMIT
                    && self
                        .store
                        .with(blob, Kind::Blob, is_pointer)
                        .map_err(unreadable)?;
                Ok(Some(Judged { size, is_pointer }))
            }
            Some((kind, _)) => Err(no_file(kind, repo_path)),
        }
    }

    fn tree(&self, id: &ObjectId, place: &str) -> Result<Rc<Vec<TreeEntry>>, Absent> {
        if let Some(known) = self.trees.borrow().get(&to_gix(id)) {
            return Ok(Rc::clone(known));
        }
        let place = || printable_name(place.as_bytes());
        let entries = match self.store.with(id, Kind::Tree, tree_object::parse) {
            Ok(entries) => entries,
            Err(ReadError::Missing) => return Err(Absent::Missing),
            Err(ReadError::Kind(kind)) => {
                let problem =
                    TreeProblem::Kind(format!("its mode says directory, but its object is a {kind}"));
                return Err(Absent::Stop(Stop::Tree(place(), problem)));
            }
            Err(error @ ReadError::Damaged(_)) => return Err(Absent::Stop(damaged(*id, &error))),
        };
        let entries = entries.map_err(|problem| Absent::Stop(Stop::Tree(place(), problem)))?;
        let entries = Rc::new(entries);
        self.trees.borrow_mut().insert(to_gix(id), Rc::clone(&entries));
        Ok(entries)
    }

    /// Names of directories in a directory; nothing for trees that are not in the store. Odd names are left out.
    pub(crate) fn directories(&self, dir: &Dir) -> Vec<(String, ObjectId)> {
        let id = dir.last().map_or(self.root, |(_, id)| *id);
        let Ok(entries) = self.tree(&id, "") else {
            return Vec::new();
        };
        entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Tree)
            .filter_map(|entry| {
                Some((
                    names::check(BStr::new(&entry.name), false).ok()?.to_owned(),
                    entry.id,
                ))
            })
            .collect()
    }

    /// Does a directory, if it is in the store, hold a file of this name?
    pub(crate) fn has_file(&self, dir: &Dir, name: &str) -> bool {
        let id = dir.last().map_or(self.root, |(_, id)| *id);
        self.tree(&id, "").is_ok_and(|entries| {
            entries
                .iter()
                .any(|entry| entry.name == name.as_bytes() && matches!(entry.kind, EntryKind::File(_)))
        })
    }
}

enum Absent {
    Missing,
    Stop(Stop),
}

fn is_pointer(bytes: &[u8]) -> bool {
    (bytes.len() as u64) < LFS_LIMIT && bytes.starts_with(LFS_START)
}

fn no_file(kind: Kind, repo_path: &TreePath) -> Stop {
    let problem = TreeProblem::Kind(format!("its mode says file, but its object is a {kind}"));
    Stop::Tree(repo_path.to_string(), problem)
}

fn damaged(id: ObjectId, error: &ReadError) -> Stop {
    Stop::Damaged(id, error.to_string())
}

/// A name that cannot be a path may still be one that the user excluded, by a glob over what is printable of it.
fn is_excluded(entry: &TreeEntry, logical: Option<&TreePath>, root: &Root) -> bool {
    let printable: String = String::from_utf8_lossy(&entry.name)
        .chars()
        .map(|c| {
            if compose_model::text::is_unprintable(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    let path = logical.map_or_else(|| printable.clone(), |dir| format!("{dir}/{printable}"));
    entry.kind != EntryKind::Tree && TreePath::new(path).is_ok_and(|path| !root.filter.keeps(&path))
}

fn child(dir: &Dir, name: &str, id: ObjectId) -> Dir {
    let mut dir = dir.clone();
    dir.push((name.to_owned(), id));
    dir
}

fn place_of(dir: &Dir) -> String {
    dir.iter()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join("/")
}

fn join_place(dir: &Dir, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{}/{name}", place_of(dir))
    }
}

/// The escaped path of an entry.
fn entry_place(dir: &Dir, name: &[u8]) -> String {
    join_place(dir, &printable_name(name))
}

fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// Where a directory appears and where it stands.
struct Paths<'a> {
    /// Relative to the directory that is listed; `None`: it is that directory.
    logical: Option<&'a TreePath>,
    /// In the repo; `None`: its top.
    true_path: Option<TreePath>,
    common: Common,
}

/// How the two paths of a file go together: mostly one is the end of the other, and then they share a text.
enum Common {
    /// They are one.
    Whole,
    /// The one that appears is what the other one has below this directory.
    Below(TreePath),
    /// A symlink led here.
    Nothing,
}

impl<'a> Paths<'a> {
    fn new(true_path: Option<TreePath>, logical: Option<&'a TreePath>) -> Self {
        let common = match (&true_path, logical) {
            (None, None) => Common::Whole,
            (Some(path), None) => Common::Below(path.clone()),
            (Some(path), Some(logical)) if path == logical => Common::Whole,
            (Some(path), Some(logical)) => path.strip_suffix(logical).map_or(Common::Nothing, Common::Below),
            (None, Some(_)) => Common::Nothing,
        };
        Self {
            logical,
            true_path,
            common,
        }
    }

    /// Where an entry of the directory appears, and where it stands.
    fn child(&self, name: &str) -> (Result<TreePath, InvalidPath>, Result<TreePath, InvalidPath>) {
        let repo_path = join(self.true_path.as_ref(), name);
        let shared = repo_path.as_ref().ok().and_then(|path| match &self.common {
            Common::Whole => Some(path.clone()),
            Common::Below(dir) => path.strip_prefix(dir),
            Common::Nothing => None,
        });
        let path = shared.map_or_else(|| join(self.logical, name), Ok);
        (path, repo_path)
    }
}

fn join(dir: Option<&TreePath>, name: &str) -> Result<TreePath, InvalidPath> {
    match dir {
        None => TreePath::new(name),
        Some(dir) => dir.child(name),
    }
}
