//! Terraform's order of files of variables against the order of the layers.
//!
//! Terraform loads `terraform.tfvars`, `terraform.tfvars.json`, then `*.auto.tfvars` and
//! `*.auto.tfvars.json` by name, then the file that BitOps names with `-var-file`. The last one that
//! sets a variable counts. To let the highest layer win regardless of its file names, a variable is
//! taken out of the lower layers' contributions to files that come after the one that has to win.
//!
//! What one layer sets in several files is that layer's own business: its last file counts.

use std::collections::{BTreeMap, BTreeSet};

use compose_merge::{Assignment, Class, Precedence, Settlement, VariablesStep};
use compose_model::TreePath;

use super::{
    composition::{Clash, ConflictKind, Party},
    configs::Rewritten,
    contributions::{Contribution, Dir},
    listing::child,
    party::local_party,
    precedence::Settler,
};
use crate::layer::{ContentsError, LocalKind};

/// The files of variables that Terraform loads in one directory, in its order, with what all
/// layers contribute to them.
struct Group<'a> {
    files: Vec<TreePath>,
    setters: Vec<Setter<'a>>,
}

/// What one layer sets in one file.
struct Setter<'a> {
    /// The index of the file in the group.
    file: usize,
    /// The source's contribution with its index among the file's, or `None` for the user's own file.
    contribution: Option<(usize, Contribution<'a>)>,
    party: Party,
    assignments: Vec<Assignment>,
}

impl Setter<'_> {
    /// Returns the rank of the layer. The local environment is the highest one.
    fn layer(&self) -> usize {
        self.contribution
            .as_ref()
            .map_or(usize::MAX, |(_, file)| file.layer)
    }
}

/// An assignment of a layer to a variable.
#[derive(Clone, Copy)]
struct Placed<'g, 'a> {
    setter: &'g Setter<'a>,
    assignment: &'g Assignment,
}

impl Placed<'_, '_> {
    fn party(&self) -> Party {
        Party {
            line: Some(self.assignment.line),
            ..self.setter.party.clone()
        }
    }

    fn differs(&self, other: &Self) -> bool {
        self.assignment.value != other.assignment.value
    }
}

/// An assignment that is taken out of a contribution.
struct Removal {
    variable: String,
    loser: Party,
    winner: Party,
}

/// The assignments to take out, by file and by the index of the contribution.
type Removals = BTreeMap<(TreePath, usize), Vec<Removal>>;

/// Takes out of lower layers' contributions what Terraform would prefer to a higher layer's value,
/// and returns the conflicts between files.
pub(super) fn order<'a>(settler: &Settler<'a>, tree: &mut Dir<'a>) -> Result<Vec<Clash>, ContentsError> {
    let mut directories: BTreeSet<TreePath> = settler.named.directories().cloned().collect();
    directories_with_variables(settler, None, tree, &mut directories);
    let (mut groups, mut uses) = (Vec::new(), BTreeMap::<TreePath, usize>::new());
    for dir in directories {
        let files = files_of(settler, tree, &dir)?;
        for file in &files {
            *uses.entry(file.clone()).or_default() += 1;
        }
        if files.len() > 1 {
            groups.push(group(settler, tree, files)?);
        }
    }
    let (mut clashes, mut removals) = (Vec::new(), Removals::new());
    for group in &groups {
        for variable in variables(group) {
            settle(settler, group, variable, &mut clashes, &mut removals);
        }
    }
    for ((path, index), removals) in removals {
        let Some(file) = tree.files_mut(&path).and_then(|files| files.get_mut(index)) else {
            continue;
        };
        let problem = if uses.get(&path).is_some_and(|count| *count > 1) {
            Some("several deployments read that file".to_owned())
        } else {
            remove(settler, &path, file, &removals)?
        };
        let Some(problem) = problem else { continue };
        clashes.extend(removals.into_iter().map(|removal| Clash {
            path: path.clone(),
            kind: ConflictKind::VariableOrder {
                variable: removal.variable,
                problem: problem.clone(),
            },
            parties: vec![removal.loser, removal.winner],
        }));
    }
    Ok(clashes)
}

/// Returns whether Terraform loads a file by itself.
fn is_loaded(settler: &Settler<'_>, path: &TreePath) -> bool {
    VariablesStep::of_name(path.file_name()).is_some() && matches!(settler.class(path), Class::Merge(_))
}

/// Finds the directories in which a source has a file of variables that Terraform loads by itself.
fn directories_with_variables(
    settler: &Settler<'_>,
    at: Option<&TreePath>,
    dir: &Dir<'_>,
    found: &mut BTreeSet<TreePath>,
) {
    for (name, node) in &dir.children {
        let Ok(path) = child(at, name) else { continue };
        if let Some(at) = at
            && !node.files.is_empty()
            && is_loaded(settler, &path)
        {
            found.insert(at.clone());
        }
        if let Some(dir) = &node.dir {
            directories_with_variables(settler, Some(&path), dir, found);
        }
    }
}

/// Returns the files of variables that Terraform loads in a directory, in its order.
fn files_of(settler: &Settler<'_>, tree: &Dir<'_>, dir: &TreePath) -> Result<Vec<TreePath>, ContentsError> {
    let mut files: BTreeSet<TreePath> = BTreeSet::new();
    if let Some(composed) = tree.dir(dir) {
        let composed = composed
            .children
            .iter()
            .filter(|(_, node)| !node.files.is_empty());
        files.extend(composed.filter_map(|(name, _)| dir.child(name).ok()));
    }
    for (name, kind) in settler.request.local.list(Some(dir))? {
        if matches!(kind, LocalKind::File(_)) {
            files.extend(dir.child(&name).ok());
        }
    }
    files.retain(|path| is_loaded(settler, path));
    files.extend(settler.named.of(dir).cloned());
    let mut files: Vec<TreePath> = files.into_iter().collect();
    files.sort_by(|a, b| step(settler, dir, a).cmp(&step(settler, dir, b)));
    Ok(files)
}

/// Returns the step at which Terraform loads a file in a directory.
fn step<'p>(settler: &Settler<'_>, dir: &TreePath, path: &'p TreePath) -> Option<VariablesStep<'p>> {
    if settler.named.of(dir).any(|named| named == path) {
        Some(VariablesStep::Named)
    } else {
        VariablesStep::of_name(path.file_name())
    }
}

/// Reads what all layers contribute to files, lowest layer first. A file that cannot be read as
/// Terraform's variables is left out; composing its path reports it.
fn group<'a>(
    settler: &Settler<'a>,
    tree: &Dir<'a>,
    files: Vec<TreePath>,
) -> Result<Group<'a>, ContentsError> {
    let mut setters = Vec::new();
    for (file, path) in files.iter().enumerate() {
        let mut add = |bytes: &[u8], party: Party, contribution| {
            if let Ok(assignments) = compose_merge::assignments(path.file_name(), bytes) {
                setters.push(Setter {
                    file,
                    contribution,
                    party,
                    assignments,
                });
            }
        };
        for (index, one) in tree.files(path).iter().enumerate() {
            add(&settler.bytes(one)?, one.party(), Some((index, one.clone())));
        }
        if let Some(LocalKind::File(_)) = settler.request.local.kind(path)? {
            add(&settler.request.local.read(path)?, local_party(path), None);
        }
    }
    setters.sort_by_key(Setter::layer);
    Ok(Group { files, setters })
}

/// Returns the assignments of a group by variable, those of the lowest layer first.
fn variables<'g, 'a>(group: &'g Group<'a>) -> Vec<Vec<Placed<'g, 'a>>> {
    let mut all: BTreeMap<&str, Vec<Placed<'g, 'a>>> = BTreeMap::new();
    for setter in &group.setters {
        for assignment in &setter.assignments {
            let placed = Placed { setter, assignment };
            all.entry(assignment.name.as_str()).or_default().push(placed);
        }
    }
    all.into_values().collect()
}

/// Settles assignments, lowest first, as if they stood in one file.
fn settle_as_one(settler: &Settler<'_>, all: &[Placed<'_, '_>]) -> Settlement {
    let precedence = |lower: usize, higher: usize| match (
        &all[higher].setter.contribution,
        &all[lower].setter.contribution,
    ) {
        (Some((_, higher)), Some((_, lower))) => settler.precedence(higher, lower),
        _ => Precedence::HigherWins,
    };
    compose_merge::settle(all.len(), &precedence, |a, b| all[a].differs(&all[b]))
}

/// Settles one variable: finds the assignment that has to win, and every assignment that Terraform
/// or the merge of one file would prefer to it.
fn settle(
    settler: &Settler<'_>,
    group: &Group<'_>,
    all: Vec<Placed<'_, '_>>,
    clashes: &mut Vec<Clash>,
    removals: &mut Removals,
) {
    let is_last_of_layer = |one: &Placed<'_, '_>| {
        let of_layer = all
            .iter()
            .filter(|other| other.setter.layer() == one.setter.layer());
        of_layer.map(|other| other.setter.file).max() == Some(one.setter.file)
    };
    let effective: Vec<Placed<'_, '_>> = all.iter().filter(|one| is_last_of_layer(one)).copied().collect();
    let settled = settle_as_one(settler, &effective);
    for (lower, higher) in &settled.conflicts {
        let (lower, higher) = (&effective[*lower], &effective[*higher]);
        // Within one file, the merge finds the conflict.
        if lower.setter.file != higher.setter.file {
            clashes.push(Clash {
                path: group.files[lower.setter.file.max(higher.setter.file)].clone(),
                kind: ConflictKind::Variable {
                    variable: lower.assignment.name.clone(),
                },
                parties: vec![lower.party(), higher.party()],
            });
        }
    }
    let winners = settled.winners.iter().map(|index| effective[*index]);
    let Some(winner) = winners.max_by_key(|one| one.setter.file) else {
        return;
    };
    if !settled.conflicts.is_empty() {
        return;
    }
    for (file, path) in group.files.iter().enumerate() {
        let in_file: Vec<Placed<'_, '_>> = all
            .iter()
            .filter(|one| one.setter.file == file)
            .copied()
            .collect();
        let merged = settle_as_one(settler, &in_file);
        let is_wrong = match merged.winners.first() {
            None => false,
            Some(_) if !merged.conflicts.is_empty() => true,
            Some(first) => file >= winner.setter.file && in_file[*first].differs(&winner),
        };
        for one in in_file.iter().filter(|one| is_wrong && one.differs(&winner)) {
            if let Some((index, _)) = one.setter.contribution {
                removals.entry((path.clone(), index)).or_default().push(Removal {
                    variable: one.assignment.name.clone(),
                    loser: one.party(),
                    winner: winner.party(),
                });
            }
        }
    }
}

/// Takes variables out of a contribution. Returns the reason if that is not possible.
fn remove(
    settler: &Settler<'_>,
    path: &TreePath,
    file: &mut Contribution<'_>,
    removals: &[Removal],
) -> Result<Option<String>, ContentsError> {
    let bytes = settler.bytes(file)?;
    let names: Vec<&str> = removals.iter().map(|removal| removal.variable.as_str()).collect();
    let (bytes, cuts) = match compose_merge::without(path.file_name(), &bytes, &names) {
        Ok(done) => done,
        Err(refusal) => return Ok(Some(refusal.to_string())),
    };
    file.rewritten = Some(Rewritten {
        bytes: bytes.into(),
        cuts: cuts.into(),
    });
    file.notes.extend(removals.iter().map(|removal| {
        format!(
            "`{}` of {} is left out, because {} sets it and comes first for Terraform",
            compose_model::text::escape(&removal.variable, 200),
            settler.describe(&removal.loser),
            settler.describe(&removal.winner)
        )
    }));
    Ok(None)
}
