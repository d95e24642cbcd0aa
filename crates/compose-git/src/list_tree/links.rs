//! Following symlinks inside a commit.

use std::collections::VecDeque;

use compose_model::{FileMode, ObjectId};
use gix::{bstr::BStr, objs::Kind};

use super::{Absent, Dir, Missing, Stop, TreeLister, damaged, entry_place, join_place, place_of};
use crate::{
    error::TreeProblem,
    names::{self, printable_name},
    tree_object::EntryKind,
};

/// Symlinks that one path may pass, as in the kernel.
const MOST_LINKS: usize = 40;
/// No link's target is longer: `PATH_MAX`.
const LONGEST_TARGET: u64 = 4096;

/// What a path leads to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Tree(Dir),
    Blob {
        path: String,
        blob: ObjectId,
        mode: FileMode,
    },
    Nothing,
    /// Cannot be told before this object is there.
    Unknown,
}

/// Why a link leads to nothing that can be taken.
pub(super) enum Problem {
    Absolute,
    Escaping,
    Dangling,
    Looping,
    Stop(Stop),
}

impl Problem {
    /// As the reason to refuse the entry at a place.
    pub(super) fn into_stop(self, place: String, target: &[u8]) -> Stop {
        let target = printable_name(target);
        let problem = match self {
            Problem::Absolute => TreeProblem::AbsoluteLink(target),
            Problem::Escaping => TreeProblem::EscapingLink(target),
            Problem::Dangling => TreeProblem::DanglingLink(target),
            Problem::Looping => TreeProblem::LoopingLink(target),
            Problem::Stop(stop) => return stop,
        };
        Stop::Tree(place, problem)
    }
}

impl TreeLister<'_> {
    /// Follows `target` from a directory, through links, inside the commit.
    pub(super) fn resolve(&self, from: &Dir, target: &str, missing: &mut Missing) -> Result<Target, Problem> {
        let mut at = from.clone();
        let mut parts: VecDeque<String> = split(target)?;
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                at.pop().ok_or(Problem::Escaping)?;
                continue;
            }
            let place = place_of(&at);
            let id = at.last().map_or(self.root, |(_, id)| *id);
            let entries = match self.tree(&id, &place) {
                Ok(entries) => entries,
                Err(Absent::Missing) => {
                    missing.trees.insert(id);
                    return Ok(Target::Unknown);
                }
                Err(Absent::Stop(stop)) => return Err(Problem::Stop(stop)),
            };
            let Some(entry) = entries.iter().find(|entry| entry.name == part.as_bytes()) else {
                return Ok(Target::Nothing);
            };
            names::check(BStr::new(&entry.name), entry.kind == EntryKind::Link)
                .map_err(|problem| Problem::Stop(Stop::Tree(entry_place(&at, &entry.name), problem)))?;
            match entry.kind {
                EntryKind::Tree => at.push((part, entry.id)),
                EntryKind::File(mode) if parts.is_empty() => {
                    return Ok(Target::Blob {
                        path: join_place(&at, &part),
                        blob: entry.id,
                        mode,
                    });
                }
                EntryKind::File(_) | EntryKind::Unknown(_) => return Ok(Target::Nothing),
                EntryKind::Submodule => {
                    let place = entry_place(&at, &entry.name);
                    return Err(Problem::Stop(Stop::Tree(place, TreeProblem::Submodule)));
                }
                EntryKind::Link => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Problem::Looping);
                    }
                    let next = match self.link_target(&entry.id, &entry_place(&at, &entry.name)) {
                        Ok(next) => next,
                        Err(Absent::Missing) => {
                            missing.blobs.insert(entry.id);
                            return Ok(Target::Unknown);
                        }
                        Err(Absent::Stop(stop)) => return Err(Problem::Stop(stop)),
                    };
                    let mut next = split(&next)?;
                    next.append(&mut parts);
                    parts = next;
                    if parts.is_empty() {
                        return Ok(Target::Tree(at));
                    }
                }
            }
        }
        Ok(Target::Tree(at))
    }

    /// What a link says, when its blob is there.
    pub(super) fn link_target(&self, id: &ObjectId, place: &str) -> Result<String, Absent> {
        let refuse =
            |why: &str| Absent::Stop(Stop::Tree(place.to_owned(), TreeProblem::Kind(why.to_owned())));
        match self.store.header(id) {
            Ok(None) => return Err(Absent::Missing),
            Ok(Some((Kind::Blob, size))) if size <= LONGEST_TARGET => {}
            Ok(Some((Kind::Blob, _))) => return Err(refuse("the symlink's target is over 4,096 bytes long")),
            Ok(Some(_)) => return Err(refuse("its mode says symlink, but its object is none")),
            Err(error) => return Err(Absent::Stop(damaged(*id, &error))),
        }
        let bytes = self
            .store
            .read(id, Kind::Blob)
            .map_err(|error| Absent::Stop(damaged(*id, &error)))?;
        String::from_utf8(bytes).map_err(|_| refuse("the symlink's target is not UTF-8"))
    }
}

/// The components of a link's target without empty ones and `.`.
fn split(target: &str) -> Result<VecDeque<String>, Problem> {
    if target.starts_with('/') {
        return Err(Problem::Absolute);
    }
    if target.is_empty() {
        return Err(Problem::Dangling);
    }
    Ok(target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect())
}
