//! Follows symlinks inside a commit.

use std::collections::VecDeque;

use compose_model::{FileMode, ObjectId};
use gix::{bstr::BStr, objs::Kind};

use super::{
    Absent, ListError, Missing, TreeLister, damaged,
    places::{Dir, entry_place, join_place, place_of},
};
use crate::{
    error::TreeProblem,
    names::{self, printable_name},
    tree_object::EntryKind,
};

/// The most symlinks on one path, as in the Linux kernel.
const MOST_LINKS: usize = 40;
/// The longest target of a symlink, in bytes: `PATH_MAX`.
const LONGEST_TARGET: u64 = 4096;

/// The target of a path.
#[derive(Clone, Debug)]
pub(crate) enum PathTarget {
    Tree(Dir),
    Blob {
        path: String,
        blob: ObjectId,
        mode: FileMode,
    },
    Nothing,
    /// The target depends on an object that is missing.
    Unknown,
}

/// Why a symlink cannot be followed.
pub(super) enum LinkProblem {
    Absolute,
    Escaping,
    Dangling,
    Looping,
    ListError(ListError),
}

impl LinkProblem {
    /// Turns the problem into the reason to refuse the entry at `place`, whose link has this
    /// target.
    pub(super) fn into_stop(self, place: String, target: &[u8]) -> ListError {
        let target = printable_name(target);
        let problem = match self {
            LinkProblem::Absolute => TreeProblem::AbsoluteLink(target),
            LinkProblem::Escaping => TreeProblem::EscapingLink(target),
            LinkProblem::Dangling => TreeProblem::DanglingLink(target),
            LinkProblem::Looping => TreeProblem::LoopingLink(target),
            LinkProblem::ListError(stop) => return stop,
        };
        ListError::Tree(place, problem)
    }
}

impl TreeLister<'_> {
    /// Follows `target` from a directory, through symlinks, inside the commit.
    pub(super) fn resolve(
        &self,
        from: &Dir,
        target: &str,
        missing: &mut Missing,
    ) -> Result<PathTarget, LinkProblem> {
        let mut at = from.clone();
        let mut parts: VecDeque<String> = split(target)?;
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                at.pop().ok_or(LinkProblem::Escaping)?;
                continue;
            }
            let place = place_of(&at);
            let id = at.last().map_or(self.root, |(_, id)| *id);
            let entries = match self.tree(&id, &place) {
                Ok(entries) => entries,
                Err(Absent::Missing) => {
                    missing.trees.insert(id);
                    return Ok(PathTarget::Unknown);
                }
                Err(Absent::ListError(stop)) => return Err(LinkProblem::ListError(stop)),
            };
            let Some(entry) = entries.iter().find(|entry| entry.name == part.as_bytes()) else {
                return Ok(PathTarget::Nothing);
            };
            names::check(BStr::new(&entry.name), entry.kind == EntryKind::Link).map_err(|problem| {
                LinkProblem::ListError(ListError::Tree(entry_place(&at, &entry.name), problem))
            })?;
            match entry.kind {
                EntryKind::Tree => at.push((part, entry.id)),
                EntryKind::File(mode) if parts.is_empty() => {
                    return Ok(PathTarget::Blob {
                        path: join_place(&at, &part),
                        blob: entry.id,
                        mode,
                    });
                }
                EntryKind::File(_) | EntryKind::Unknown(_) => return Ok(PathTarget::Nothing),
                EntryKind::Submodule => {
                    let place = entry_place(&at, &entry.name);
                    return Err(LinkProblem::ListError(ListError::Tree(
                        place,
                        TreeProblem::Submodule,
                    )));
                }
                EntryKind::Link => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(LinkProblem::Looping);
                    }
                    let next = match self.link_target(&entry.id, &entry_place(&at, &entry.name)) {
                        Ok(next) => next,
                        Err(Absent::Missing) => {
                            missing.blobs.insert(entry.id);
                            return Ok(PathTarget::Unknown);
                        }
                        Err(Absent::ListError(stop)) => return Err(LinkProblem::ListError(stop)),
                    };
                    let mut next = split(&next)?;
                    next.append(&mut parts);
                    parts = next;
                    if parts.is_empty() {
                        return Ok(PathTarget::Tree(at));
                    }
                }
            }
        }
        Ok(PathTarget::Tree(at))
    }

    /// Returns the text of a symlink.
    pub(super) fn link_target(&self, id: &ObjectId, place: &str) -> Result<String, Absent> {
        let refuse = |why: &str| {
            Absent::ListError(ListError::Tree(
                place.to_owned(),
                TreeProblem::Kind(why.to_owned()),
            ))
        };
        match self.store.header(id) {
            Ok(None) => return Err(Absent::Missing),
            Ok(Some((Kind::Blob, size))) if size <= LONGEST_TARGET => {}
            Ok(Some((Kind::Blob, _))) => return Err(refuse("the symlink's target is over 4,096 bytes long")),
            Ok(Some(_)) => return Err(refuse("its mode says symlink, but its object is not a blob")),
            Err(error) => return Err(Absent::ListError(damaged(*id, &error))),
        }
        let bytes = self
            .store
            .read(id, Kind::Blob)
            .map_err(|error| Absent::ListError(damaged(*id, &error)))?;
        String::from_utf8(bytes).map_err(|_| refuse("the symlink's target is not UTF-8"))
    }
}

/// Splits a symlink's target into components, without empty ones and `.`.
fn split(target: &str) -> Result<VecDeque<String>, LinkProblem> {
    if target.starts_with('/') {
        return Err(LinkProblem::Absolute);
    }
    if target.is_empty() {
        return Err(LinkProblem::Dangling);
    }
    Ok(target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect())
}
