//! Remedies that settle several conflicts at once. Two catalogs with a chart of the same name
//! disagree on most of its files, and leaving the whole chart out of one of them settles all of
//! these conflicts.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use compose_model::{TreePath, filter::glob};

use super::{
    composition::{Clash, ConflictKind, Rename},
    wording::{label, which},
};
use crate::layer::{Layers, Origin, Part, SourceId};

/// A group of sources that disagree on files of one directory.
struct Group<'a> {
    sources: BTreeSet<SourceId>,
    paths: BTreeSet<&'a TreePath>,
}

/// The conflicts of a composition, grouped by the remedy that settles them.
pub(super) struct Groups<'a> {
    environment: &'a TreePath,
    renames: &'a [Rename],
    by_directory: BTreeMap<String, Vec<Group<'a>>>,
    /// The number of files that a source has in a directory, once it was counted.
    counted: RefCell<BTreeMap<(String, SourceId), usize>>,
}

impl<'a> Groups<'a> {
    /// Groups conflicts between the same sources in one directory.
    pub(super) fn of(conflicts: &'a [Clash], environment: &'a TreePath, renames: &'a [Rename]) -> Self {
        let mut by_directory: BTreeMap<String, Vec<Group<'a>>> = BTreeMap::new();
        for conflict in conflicts {
            let (Some(dir), Some(sources)) = (directory(conflict, environment), between(conflict)) else {
                continue;
            };
            let groups = by_directory.entry(dir).or_default();
            let mut group = Group {
                sources,
                paths: BTreeSet::from([&conflict.path]),
            };
            // A source that disagrees with one of the group about another file belongs to the
            // group.
            groups.retain_mut(|other| {
                let apart = other.sources.is_disjoint(&group.sources);
                if !apart {
                    group.sources.append(&mut other.sources);
                    group.paths.append(&mut other.paths);
                }
                apart
            });
            groups.push(group);
        }
        Self {
            environment,
            renames,
            by_directory,
            counted: RefCell::default(),
        }
    }

    /// Returns the remedy for all conflicts of the group that this conflict is in, if there are
    /// several.
    pub(super) fn remedy(&self, conflict: &Clash, layers: &Layers) -> Option<String> {
        let dir = directory(conflict, self.environment)?;
        let sources = between(conflict)?;
        let mut of_directory = self.by_directory.get(&dir)?.iter();
        let Group { sources, paths } = of_directory.find(|group| group.sources.is_superset(&sources))?;
        let count = paths.len();
        if count < 2 {
            return None;
        }
        let own = |source: &SourceId| {
            let own = own_name(&dir, *source, self.renames);
            format!(
                "exclude: [\"/{}/\"] in the entry of {} ({} there)",
                glob(&own),
                label(&layers.sources[source.0]),
                match self.files(&own, *source, layers) {
                    1 => "its only file".to_owned(),
                    count => format!("its {count} files"),
                }
            )
        };
        let own: Vec<String> = sources.iter().map(own).collect();
        let dir = compose_model::text::escape(&dir, 200);
        Some(format!(
            "for all {count} files of {dir}/ that are in conflict: {}",
            which(&own)
        ))
    }
}

impl Groups<'_> {
    fn files(&self, dir: &str, source: SourceId, layers: &Layers) -> usize {
        let mut counted = self.counted.borrow_mut();
        let known = counted.entry((dir.to_owned(), source));
        *known.or_insert_with(|| files(dir, source, layers))
    }
}

/// Returns the directory in the environment: a chart, a role or a module if there is one, otherwise
/// the deployment.
fn directory(conflict: &Clash, environment: &TreePath) -> Option<String> {
    let settled = matches!(
        conflict.kind,
        ConflictKind::Content { .. }
            | ConflictKind::Mode
            | ConflictKind::Key { .. }
            | ConflictKind::Variable { .. }
            | ConflictKind::OverriddenTwice { .. }
            | ConflictKind::DefinedTwice { .. }
    );
    let dir = conflict
        .path
        .strip_prefix(environment)?
        .parent()
        .filter(|_| settled)?;
    Some(dir.components().take(2).collect::<Vec<_>>().join("/"))
}

/// Returns the sources of a conflict, or `None` if the user takes part: the user's own files stay
/// in conflict.
fn between(conflict: &Clash) -> Option<BTreeSet<SourceId>> {
    let sources: Option<BTreeSet<SourceId>> = conflict
        .between()
        .into_iter()
        .map(|origin| match origin {
            Origin::Source(source) => Some(source),
            Origin::Local => None,
        })
        .collect();
    sources.filter(|sources| sources.len() > 1)
}

/// Returns the directory under the name that the source has for it.
fn own_name(dir: &str, source: SourceId, renames: &[Rename]) -> String {
    let (top, rest) = dir.split_at(dir.find('/').unwrap_or(dir.len()));
    let mut renames = renames.iter().filter(|rename| rename.source == source);
    let from = renames
        .find(|rename| rename.to == top)
        .map_or(top, |rename| &rename.from);
    format!("{from}{rest}")
}

/// Returns the number of files that the source would lose.
fn files(dir: &str, source: SourceId, layers: &Layers) -> usize {
    let own = layers
        .layers
        .iter()
        .filter(|layer| layer.source == source && !matches!(layer.part, Part::Shared(_)));
    let below = format!("{dir}/");
    let paths = own.flat_map(|layer| layer.files.iter().map(|file| &file.path));
    let lost: BTreeSet<&TreePath> = paths.filter(|path| path.as_str().starts_with(&below)).collect();
    lost.len()
}
