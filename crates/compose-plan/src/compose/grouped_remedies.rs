//! Conflicts of one directory between the same sides, and the remedies that settle several of them at
//! once. Two catalogs with a chart of the same name disagree on most of its files, and leaving the whole
//! chart out of one of them settles all of these conflicts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use compose_model::TreePath;

use super::{
    composition::{Clash, Conflict, ConflictGroup, ConflictKind},
    remedies::Advisor,
    remedy::Remedy,
};
use crate::layer::{Origin, SourceId};

/// The conflicts that can be in one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// Sources disagree in a directory. Those that share a side are in one group, because leaving the
    /// directory out settles all of it.
    Sources,
    /// Anything else: those of one kind between the very same sides.
    Others(&'static str, Vec<Origin>),
}

/// A group while it is made.
struct Group {
    directory: String,
    sides: BTreeSet<Origin>,
    /// Indexes of the conflicts.
    members: Vec<usize>,
}

/// Returns the first conflicts with their remedies, and their groups in the order of the conflicts.
pub(super) fn listed(
    advisor: &Advisor<'_>,
    clashes: Vec<Clash>,
    count: usize,
) -> (Vec<Conflict>, Vec<ConflictGroup>) {
    let groups = groups(&clashes, advisor.request.environment);
    let mut group_of: Vec<usize> = vec![0; clashes.len()];
    for (index, group) in groups.iter().enumerate() {
        for member in &group.members {
            group_of[*member] = index;
        }
    }
    let mut shared: Vec<Option<Shared>> = groups.iter().map(|_| None).collect();
    // Only groups of which a conflict is listed are numbered.
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut conflicts, mut reported) = (Vec::new(), Vec::new());
    for index in 0..clashes.len().min(count) {
        let (clash, at) = (&clashes[index], group_of[index]);
        let group = &groups[at];
        let number = *numbers.entry(at).or_insert_with(|| {
            reported.push(ConflictGroup {
                directory: group.directory.clone(),
                sides: group.sides.iter().copied().collect(),
                conflicts: group.members.len(),
            });
            reported.len() - 1
        });
        let shared = shared[at].get_or_insert_with(|| Shared::of(advisor, &clashes, group));
        let (before, after) = advisor.of(clash);
        let arcs = |own: Vec<Remedy>| own.into_iter().map(Arc::new);
        let remedies = shared
            .first
            .iter()
            .cloned()
            .chain(arcs(before))
            .chain(shared.on_conflict.iter().filter(|_| has_rank(clash)).cloned())
            .chain(shared.rename.iter().cloned())
            .chain(arcs(after))
            .collect();
        conflicts.push((number, remedies));
    }
    let conflicts = clashes
        .into_iter()
        .zip(conflicts)
        .map(|(clash, (group, remedies))| clash.with_remedies(group, remedies))
        .collect();
    (conflicts, reported)
}

/// The remedies that are the same for several conflicts of a group.
struct Shared {
    first: Option<Arc<Remedy>>,
    /// For those conflicts that the order of the sources can settle.
    on_conflict: Vec<Arc<Remedy>>,
    rename: Option<Arc<Remedy>>,
}

impl Shared {
    fn of(advisor: &Advisor<'_>, clashes: &[Clash], group: &Group) -> Self {
        let members = || group.members.iter().map(|member| &clashes[*member]);
        let all = group.members.len();
        let sources: BTreeSet<SourceId> = group.sides.iter().filter_map(source_of).collect();
        let has_local = group.sides.contains(&Origin::Local);
        let first = members().next();
        // What one source disagrees on with itself moves together.
        let has_each_once = |clash: &Clash| clash.parties.len() == clash.between().len();
        let is_movable = members().all(|clash| match clash.kind {
            ConflictKind::FileAgainstDirectory | ConflictKind::NameCollision => has_each_once(clash),
            _ => can_be_left_out(clash),
        });
        let several = members().map(|clash| &clash.path).collect::<BTreeSet<_>>().len() > 1;
        let directory = first
            .filter(|clash| several && !has_local && can_be_left_out(clash))
            .and_then(|clash| directory_of(&clash.path, advisor.request.environment))
            .filter(|dir| !dir.is_empty() && sources.len() > 1);
        let ranked: Vec<&Clash> = members().filter(|clash| has_rank(clash)).collect();
        let of_all = ranked.iter().all(|clash| clash.between().len() == sources.len());
        let with_count = |remedy: Remedy, settles: usize| Arc::new(Remedy { settles, ..remedy });
        let on_conflict = if has_local || ranked.is_empty() {
            Vec::new()
        } else {
            advisor.on_conflict(&sources, of_all)
        };
        let sides: Vec<Origin> = group.sides.iter().copied().collect();
        let rename = first
            .filter(|_| is_movable)
            .and_then(|clash| advisor.rename(&clash.path, &sides));
        Self {
            first: directory.map(|dir| with_count(advisor.exclude_directory(&dir, &sources), all)),
            on_conflict: on_conflict
                .into_iter()
                .map(|remedy| with_count(remedy, ranked.len()))
                .collect(),
            rename: rename.map(|remedy| with_count(remedy, all)),
        }
    }
}

/// Groups conflicts. The groups are in no particular order.
fn groups(clashes: &[Clash], environment: &TreePath) -> Vec<Group> {
    let mut all: BTreeMap<(String, Family), Vec<Group>> = BTreeMap::new();
    for (index, clash) in clashes.iter().enumerate() {
        let sides: BTreeSet<Origin> = clash.between().into_iter().collect();
        let directory = shown_directory(&clash.path, environment);
        let has_own = directory_of(&clash.path, environment).is_some_and(|dir| !dir.is_empty());
        let family = if has_own && can_be_left_out(clash) && !sides.contains(&Origin::Local) {
            Family::Sources
        } else {
            Family::Others(clash.kind.as_str(), clash.between())
        };
        let groups = all.entry((directory.clone(), family)).or_default();
        let mut group = Group {
            directory,
            sides,
            members: vec![index],
        };
        // A source that disagrees with one of the group about another file belongs to the group.
        groups.retain_mut(|other| {
            let apart = other.sides.is_disjoint(&group.sides);
            if !apart {
                group.sides.append(&mut other.sides);
                group.members.append(&mut other.members);
            }
            apart
        });
        groups.push(group);
    }
    all.into_values().flatten().collect()
}

/// Returns the directory in the environment: a chart, a role or a module if there is one, otherwise
/// the deployment. It is empty for the environment itself.
fn directory_of(path: &TreePath, environment: &TreePath) -> Option<String> {
    let relative = path.strip_prefix(environment)?;
    let dir = relative
        .parent()
        .map(|dir| dir.components().take(2).collect::<Vec<_>>().join("/"));
    Some(dir.unwrap_or_default())
}

/// Returns the directory as it is shown, relative to the operations repo's root, with a slash at its
/// end.
fn shown_directory(path: &TreePath, environment: &TreePath) -> String {
    match directory_of(path, environment) {
        Some(dir) if dir.is_empty() => format!("{environment}/"),
        Some(dir) => format!("{environment}/{dir}/"),
        None => match path.as_str().split_once('/') {
            Some((top, _)) => format!("{top}/"),
            None => String::new(),
        },
    }
}

fn source_of(origin: &Origin) -> Option<SourceId> {
    match origin {
        Origin::Source(source) => Some(*source),
        Origin::Local => None,
    }
}

/// Returns whether the conflict ends if one side has nothing in that directory.
fn can_be_left_out(clash: &Clash) -> bool {
    has_rank(clash) || matches!(clash.kind, ConflictKind::DefinedTwice { .. })
}

/// Returns whether the order of the sources can settle the conflict.
fn has_rank(clash: &Clash) -> bool {
    matches!(
        clash.kind,
        ConflictKind::Content { .. }
            | ConflictKind::Mode
            | ConflictKind::Key { .. }
            | ConflictKind::Variable { .. }
            | ConflictKind::OverriddenTwice { .. }
    )
}
