//! The order of Terraform's override files.
//!
//! Terraform merges `override.tf` and `*_override.tf` into the other files of a directory in the
//! order of their names, so the last one wins. To let the highest layer win regardless of its file
//! names, the override files of a lower layer get names that sort before those of all higher
//! layers, unless they already do.

use std::{borrow::Cow, collections::BTreeSet};

use compose_merge::{Class, DefinitionsFile, Precedence};
use compose_model::TreePath;

use super::{
    composition::{Clash, ConflictKind},
    contributions::{Contribution, Dir},
    keep_both,
    listing::{Listing, child, file_mode, kind_of},
    precedence::Settler,
};
use crate::layer::ContentsError;

/// The result of ordering a directory's override files.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// The names that lower files got.
    pub(super) renamed: BTreeSet<String>,
    /// The conflicts of files for which there is no such name.
    pub(super) conflicts: Vec<Clash>,
}

/// Contributions to one node with the same content, as part of the highest layer that has it.
struct Group {
    name: String,
    /// The indexes of the contributions in the node's files.
    members: Vec<usize>,
    /// The index of the layer, or `None` for the local environment.
    layer: Option<usize>,
}

/// Returns whether Terraform merges a file into the others.
pub(super) fn is_override(name: &str) -> bool {
    DefinitionsFile::of_name(name).is_some_and(|file| file.is_read() && file.is_override())
}

/// Renames the override files of lower layers that Terraform would merge after those of a higher one.
pub(super) fn order(
    settler: &Settler<'_>,
    at: Option<&TreePath>,
    dir: &mut Dir<'_>,
    listing: &Listing,
) -> Result<Ordered, ContentsError> {
    let mut ordered = Ordered::default();
    let is_kept = |name: &str| {
        is_override(name) && child(at, name).is_ok_and(|path| matches!(settler.class(&path), Class::KeepBoth))
    };
    let mut groups = Vec::new();
    for (name, node) in &dir.children {
        if !node.files.is_empty() && node.dir.is_none() && is_kept(name) {
            groups.extend(groups_of(settler, at, name, &node.files, listing)?);
        }
    }
    if groups.iter().all(|group| group.layer.is_none()) {
        return Ok(ordered);
    }
    let own = own_names(settler, at, dir, listing, &groups)?;
    // The first of the names that those of a lower layer have to sort before.
    let mut bound = own.first().map(|name| (*name).to_owned());
    let mut moves: Vec<(&Group, String)> = Vec::new();
    for layer in layers(settler, dir, &groups).into_iter().rev() {
        let of_layer = || groups.iter().filter(|group| group.layer == Some(layer));
        let mut names: Vec<String> = of_layer().map(|group| group.name.clone()).collect();
        let limit = bound.clone().filter(|bound| names.iter().max() >= Some(bound));
        if let Some(limit) = limit {
            names.clear();
            for group in of_layer() {
                match free_name(settler, at, &limit, dir, listing, group)? {
                    Ok(new) => {
                        names.push(new.clone());
                        moves.push((group, new));
                    }
                    Err(conflict) => ordered.conflicts.push(conflict),
                }
            }
        }
        bound = bound.into_iter().chain(names).min();
    }
    let mut placed: Vec<(String, Vec<Contribution<'_>>)> = Vec::new();
    for (group, new) in &moves {
        let node = &dir.children[group.name.as_str()];
        placed.push((
            new.clone(),
            group
                .members
                .iter()
                .map(|index| node.files[*index].clone())
                .collect(),
        ));
    }
    for (name, node) in &mut dir.children {
        let is_gone = |index: usize| {
            let mut of_name = moves.iter().filter(|(group, _)| group.name == **name);
            of_name.any(|(group, _)| group.members.contains(&index))
        };
        let mut index = 0..;
        node.files
            .retain(|_| index.next().is_none_or(|index| !is_gone(index)));
    }
    // If nothing is left, the user's own file, if there is one, stays as it is.
    dir.children
        .retain(|_, node| !node.files.is_empty() || node.dir.is_some());
    for (name, files) in placed {
        ordered.renamed.insert(name.clone());
        dir.children
            .entry(Cow::Owned(name))
            .or_default()
            .files
            .extend(files);
    }
    Ok(ordered)
}

/// Groups the contributions with one name by content.
fn groups_of(
    settler: &Settler<'_>,
    at: Option<&TreePath>,
    name: &str,
    files: &[Contribution<'_>],
    listing: &Listing,
) -> Result<Vec<Group>, ContentsError> {
    let mut groups: Vec<Group> = Vec::new();
    'files: for (index, file) in files.iter().enumerate() {
        for group in &mut groups {
            if settler.same(&files[group.members[0]], file)? {
                group.members.push(index);
                group.layer = Some(file.layer);
                continue 'files;
            }
        }
        groups.push(Group {
            name: name.to_owned(),
            members: vec![index],
            layer: Some(file.layer),
        });
    }
    if let (Some(mode), Ok(path)) = (file_mode(listing, name), child(at, name)) {
        for group in &mut groups {
            if settler.is_local(&path, mode, &files[group.members[0]])? {
                group.layer = None;
            }
        }
    }
    Ok(groups)
}

/// Returns the user's own override files, sorted. Copies of sources' files under the names that
/// those files get here are left out; they exist if the user vendored the composition.
fn own_names<'l>(
    settler: &Settler<'_>,
    at: Option<&TreePath>,
    dir: &Dir<'_>,
    listing: &'l Listing,
    groups: &[Group],
) -> Result<Vec<&'l str>, ContentsError> {
    let mut own = Vec::new();
    'names: for (name, _) in listing {
        let (Some(mode), Ok(path)) = (file_mode(listing, name), child(at, name)) else {
            continue;
        };
        if !is_override(name) || !matches!(settler.class(&path), Class::KeepBoth) {
            continue;
        }
        for group in groups.iter().filter(|group| group.layer.is_some()) {
            let file = &dir.children[group.name.as_str()].files[group.members[group.members.len() - 1]];
            let end = format!("0-{}", lower_name(settler, file, &group.name));
            if name.ends_with(&end) && settler.is_local(&path, mode, file)? {
                continue 'names;
            }
        }
        own.push(name.as_str());
    }
    Ok(own)
}

/// Returns the layers that have override files, lowest first. A source comes below those that it
/// steps back behind.
fn layers(settler: &Settler<'_>, dir: &Dir<'_>, groups: &[Group]) -> Vec<usize> {
    let mut by_layer: Vec<(usize, &Contribution<'_>)> = Vec::new();
    for group in groups {
        let files = &dir.children[group.name.as_str()].files;
        by_layer.extend(
            group
                .layer
                .map(|layer| (layer, &files[group.members[group.members.len() - 1]])),
        );
    }
    by_layer.sort_by_key(|(layer, _)| *layer);
    by_layer.dedup_by_key(|(layer, _)| *layer);
    let mut order: Vec<(usize, &Contribution<'_>)> = Vec::new();
    for (layer, file) in by_layer {
        let steps_back = |(_, other): &(usize, &Contribution<'_>)| {
            settler.precedence(file, other) == Precedence::LowerStays
        };
        let place = order.iter().position(steps_back).unwrap_or(order.len());
        order.insert(place, (layer, file));
    }
    order.into_iter().map(|(layer, _)| layer).collect()
}

/// Returns `eks_main_override.tf` for `main_override.tf`, so the names of one layer keep their
/// order.
fn lower_name(settler: &Settler<'_>, file: &Contribution<'_>, name: &str) -> String {
    let source = &settler.request.layers.sources[file.source.0];
    format!("{}_{name}", keep_both::label(source))
}

/// Returns the beginning of a name that sorts before another one, whatever follows.
fn before(bound: &str) -> String {
    let same = bound.find(|c| c > '0').unwrap_or(0);
    format!("{}0-", &bound[..same])
}

/// Returns a name before the limit that nothing else has, or that the user has with the very same
/// bytes.
fn free_name(
    settler: &Settler<'_>,
    at: Option<&TreePath>,
    limit: &str,
    dir: &Dir<'_>,
    listing: &Listing,
    group: &Group,
) -> Result<Result<String, Clash>, ContentsError> {
    let files = &dir.children[group.name.as_str()].files;
    let file = &files[group.members[group.members.len() - 1]];
    let mut begin = before(limit);
    loop {
        let name = format!("{begin}{}", lower_name(settler, file, &group.name));
        let path = match child(at, &name) {
            Ok(path) => path,
            Err(reason) => {
                return Ok(Err(Clash {
                    path: at.unwrap_or(settler.request.environment).clone(),
                    kind: ConflictKind::Name { name, reason },
                    parties: group.members.iter().map(|index| files[*index].party()).collect(),
                }));
            }
        };
        let is_free = match (file_mode(listing, &name), kind_of(listing, &name)) {
            (Some(mode), _) => settler.is_local(&path, mode, file)?,
            (None, kind) => kind.is_none(),
        };
        if is_free && !dir.children.contains_key(name.as_str()) {
            return Ok(Ok(name));
        }
        begin.push_str("0-");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_always_be_put_before_another() {
        for (bound, begin) in [
            ("override.tf", "0-"),
            ("0-eks_override.tf", "0-0-"),
            ("00_override.tf", "000-"),
            ("#a_override.tf", "#0-"),
            ("\u{e9}_override.tf", "0-"),
            ("-_override.tf.json", "-0-"),
        ] {
            assert_eq!(before(bound), begin);
            assert!(*format!("{begin}zzz_override.tf") < *bound, "{bound}");
        }
    }
}
