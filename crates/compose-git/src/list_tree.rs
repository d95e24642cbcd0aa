//! Lists the files that a directory of a commit holds once symlinks are followed, and the objects
//! that are missing to do so.
//!
//! The same walk serves three purposes: before a fetch it finds what to request, after a fetch it
//! checks that nothing is missing, and for the composition it lists the files. No index of complete
//! commits is stored, so none can be wrong.

mod blobs;
#[cfg(test)]
mod fuzz;
mod links;
mod places;
mod refused;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use compose_model::{BlobId, FileMode, FilterKey, LeftOut, ObjectId, TreeFile, TreePath, settings::Budget};
use gix::{bstr::BStr, hashtable::HashMap, objs::Kind};

use crate::{
    error::{RefusedEntry, TreeProblem},
    ids::to_gix,
    names::{self, Siblings, printable_name},
    store::{ReadError, Store},
    tree_object::{self, EntryKind, TreeEntry},
    want::Root,
};

use blobs::BlobFacts;
use links::LinkProblem;
pub(crate) use links::PathTarget;
pub(crate) use places::Dir;
use places::{Paths, child, entry_place, is_below, place_of};
pub(crate) use refused::Refused;

/// The deepest directory that is accepted: far beyond real trees, and well within the stack.
const DEEPEST: usize = 512;

/// Why a walk ends early.
#[derive(Debug)]
pub(crate) enum ListError {
    /// An entry is refused: its path in the repo and the problem.
    Tree(String, TreeProblem),
    /// Entries of a listed directory are refused.
    Refused(Box<Refused>),
    /// A budget is exceeded.
    Budget(ExceededBudget),
    /// An object in the store is damaged: its id and the reason.
    Damaged(ObjectId, String),
}

/// The budget that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExceededBudget {
    Files,
    FileSize,
    TotalSize,
}

/// The objects that the store lacks.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Trees that are wanted with everything below them.
    pub(crate) whole_trees: BTreeSet<ObjectId>,
    /// Trees of which only some files or only the names are wanted.
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

/// The files of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<TreeFile>,
    /// Files that the root's filter leaves out, relative to its directory.
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) missing: Missing,
}

/// Walks the tree of one commit.
pub(crate) struct TreeLister<'a> {
    store: &'a Store,
    root: ObjectId,
    budget: Budget,
    /// Whether blobs are verified as well, or only checked for presence.
    verify: bool,
    /// Parsed trees, because resolving links reads the same ones repeatedly.
    trees: RefCell<HashMap<gix::ObjectId, Rc<Vec<TreeEntry>>>>,
    /// Checked blobs, because a malicious tree may refer to the same ones many times. `None` if the
    /// blob is missing.
    blobs: RefCell<HashMap<gix::ObjectId, Option<BlobFacts>>>,
}

struct ListState<'r> {
    root: &'r Root,
    listing: Listing,
    entries: u64,
    total: u64,
    /// The true paths of the directories that are being listed, outermost first.
    active: Vec<String>,
    refused: Option<Box<Refused>>,
}

impl ListState<'_> {
    fn refuse(&mut self, path: String, why: TreeProblem) {
        let entry = RefusedEntry { path, why };
        match &mut self.refused {
            Some(refused) => refused.add(entry),
            none => *none = Some(Box::new(Refused::new(entry))),
        }
    }
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

    /// Returns the files of `root`, sorted by path, and the objects that are missing to list them
    /// all. The listing is empty if there is no such directory.
    pub(crate) fn list(&self, root: &Root) -> Result<Listing, ListError> {
        let mut state = ListState {
            root,
            listing: Listing::default(),
            entries: 0,
            total: 0,
            active: Vec::new(),
            refused: None,
        };
        if let PathTarget::Tree(dir) = self.find(root, &mut state.listing.missing)? {
            self.list_dir(&dir, None, &mut state)?;
        }
        if let Some(mut refused) = state.refused {
            if refused.are_links() {
                refused.missing = state.listing.missing;
            }
            return Err(ListError::Refused(refused));
        }
        state.listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        state.listing.left_out.sort();
        Ok(state.listing)
    }

    /// Returns whether the store holds the commit's top directory; if not, adds it to `missing`.
    pub(crate) fn is_present(&self, missing: &mut Missing) -> bool {
        let absent = matches!(self.tree(&self.root, ""), Err(Absent::Missing));
        if absent {
            missing.trees.insert(self.root);
        }
        !absent
    }

    /// Finds the directory of a root.
    pub(crate) fn find(&self, root: &Root, missing: &mut Missing) -> Result<PathTarget, ListError> {
        self.find_any(&root.dir, missing).map(|target| match target {
            PathTarget::Blob { .. } => PathTarget::Nothing,
            other => other,
        })
    }

    /// Returns the target of a path in the commit, with symlinks followed.
    pub(crate) fn find_any(&self, path: &TreePath, missing: &mut Missing) -> Result<PathTarget, ListError> {
        let path = path.as_str();
        self.resolve(&Vec::new(), path, missing)
            .or_else(|problem| match problem {
                LinkProblem::ListError(stop) => Err(stop),
                // The wanted path itself ends in a dangling symlink.
                LinkProblem::Dangling => Ok(PathTarget::Nothing),
                other => Err(other.into_stop(path.to_owned(), path.as_bytes())),
            })
    }

    fn list_dir(
        &self,
        dir: &Dir,
        logical: Option<&TreePath>,
        state: &mut ListState<'_>,
    ) -> Result<(), ListError> {
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
            Err(Absent::ListError(stop)) => return Err(stop),
        };
        if state.active.len() >= DEEPEST {
            return Err(ListError::Tree(
                printable_name(place.as_bytes()),
                TreeProblem::TooDeep,
            ));
        }
        let true_path = match place.as_str() {
            "" => None,
            text => match TreePath::new(text) {
                Ok(path) => Some(path),
                Err(_) => {
                    return Err(ListError::Tree(
                        printable_name(text.as_bytes()),
                        TreeProblem::TooDeep,
                    ));
                }
            },
        };
        state.active.push(place);
        let mut siblings = Siblings::default();
        let paths = Paths::new(true_path, logical);
        for entry in entries.iter() {
            match self.list_entry((dir, &paths), entry, &mut siblings, state) {
                // All refused entries are reported together.
                Err(ListError::Tree(path, why)) => state.refuse(path, why),
                other => other?,
            }
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
    ) -> Result<(), ListError> {
        // Directories count too; otherwise trees without files could be nested without limit.
        state.entries += 1;
        if state.entries > self.budget.files.saturating_mul(2) {
            return Err(ListError::Budget(ExceededBudget::Files));
        }
        let checked = names::check(BStr::new(&entry.name), entry.kind == EntryKind::Link)
            .and_then(|name| siblings.add(name).map(|()| name));
        let name = match checked {
            Ok(name) => name,
            Err(problem) if is_excluded(entry, paths.logical, state.root) => {
                tracing::debug!(%problem, "an excluded name is skipped");
                return Ok(());
            }
            Err(problem) => return Err(ListError::Tree(entry_place(dir, &entry.name), problem)),
        };
        let refuse = |problem| Err(ListError::Tree(entry_place(dir, &entry.name), problem));
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
    ) -> Result<(), ListError> {
        let place = entry_place(dir, &entry.name);
        let target = match self.link_target(&entry.id, &place) {
            Ok(target) => Ok(target),
            Err(Absent::Missing) => {
                state.listing.missing.blobs.insert(entry.id);
                return Ok(());
            }
            Err(Absent::ListError(stop)) => Err(stop),
        };
        let refused =
            match target.map(|target| (self.resolve(dir, &target, &mut state.listing.missing), target)) {
                Ok((Ok(PathTarget::Tree(found)), target)) => {
                    let into = place_of(&found);
                    if !state
                        .active
                        .iter()
                        .any(|active| *active == into || is_below(active, &into))
                    {
                        return self.list_dir(&found, Some(path), state);
                    }
                    LinkProblem::Looping.into_stop(place, target.as_bytes())
                }
                Ok((
                    Ok(PathTarget::Blob {
                        path: target_path,
                        blob,
                        mode,
                    }),
                    _,
                )) => {
                    if let Some(by) = left_out {
                        let path = path.clone();
                        state.listing.left_out.push(LeftOut { path, by });
                        return Ok(());
                    }
                    return match TreePath::new(target_path.as_str()) {
                        Ok(target_path) => self.add(path.clone(), target_path, blob, mode, state),
                        Err(_) => Err(ListError::Tree(
                            printable_name(target_path.as_bytes()),
                            TreeProblem::TooDeep,
                        )),
                    };
                }
                Ok((Ok(PathTarget::Unknown), _)) => return Ok(()),
                Ok((Ok(PathTarget::Nothing), target)) => {
                    LinkProblem::Dangling.into_stop(place, target.as_bytes())
                }
                Ok((Err(problem), target)) => problem.into_stop(place, target.as_bytes()),
                Err(stop) => stop,
            };
        // Dangling links are ignored if excluded; a damaged store is always an error.
        if left_out.is_none() || matches!(refused, ListError::Damaged(..)) {
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
    ) -> Result<(), ListError> {
        if state.listing.files.len() as u64 >= self.budget.files {
            return Err(ListError::Budget(ExceededBudget::Files));
        }
        match self.blob_facts(&blob, &repo_path)? {
            None => _ = state.listing.missing.blobs.insert(blob),
            Some(BlobFacts { is_pointer: true, .. }) => {
                return Err(ListError::Tree(repo_path.to_string(), TreeProblem::Lfs));
            }
            Some(BlobFacts { size, .. }) => {
                state.total = state.total.saturating_add(size);
                if state.total > self.budget.total_size {
                    return Err(ListError::Budget(ExceededBudget::TotalSize));
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
                return Err(Absent::ListError(ListError::Tree(place(), problem)));
            }
            Err(error @ ReadError::Damaged(_)) => return Err(Absent::ListError(damaged(*id, &error))),
        };
        let entries = entries.map_err(|problem| Absent::ListError(ListError::Tree(place(), problem)))?;
        let entries = Rc::new(entries);
        self.trees.borrow_mut().insert(to_gix(id), Rc::clone(&entries));
        Ok(entries)
    }

    /// Returns the subdirectories of a directory. Trees that are not in the store and invalid names
    /// are skipped.
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

    /// Returns whether a directory in the store holds a regular file with this name.
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
    ListError(ListError),
}

fn damaged(id: ObjectId, error: &ReadError) -> ListError {
    ListError::Damaged(id, error.to_string())
}

/// Returns whether the user excluded an entry with an invalid name. The globs are applied to the
/// printable form of its path.
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
