//! The remedies of conflicts.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::{OnConflict, TreePath, env::PIPELINE_DIR, file_name::CONFIG, filter::exact_glob, text};

use super::{
    Request,
    composition::{Clash, ConflictKind, Holds, Party, Rename},
    configs::Configs,
    remedy::{Change, Effect, EntryChange, EntryEdit, Needs, OwnEdit, Remedy},
};
use crate::layer::{Origin, Part, Source, SourceId};

/// Finds the remedies of conflicts.
pub(super) struct Advisor<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) renames: &'a [Rename],
    /// The top directories of the deployments that each source declares.
    pub(super) declared: BTreeMap<SourceId, BTreeSet<String>>,
}

impl<'a> Advisor<'a> {
    pub(super) fn new(request: &'a Request<'a>, configs: &Configs<'_>, renames: &'a [Rename]) -> Self {
        let tops = configs.declared.iter().map(|(source, declared)| {
            let tops = declared.iter().map(|(one, _)| top(&one.name).to_owned());
            (*source, tops.collect())
        });
        Self {
            request,
            renames,
            declared: tops.collect(),
        }
    }

    fn sources(&self) -> &'a [Source] {
        &self.request.layers.sources
    }

    /// Returns the remedies of one conflict that are about its own file or key. The first part comes
    /// before the remedies that a group shares, the second part after them.
    pub(super) fn of(&self, clash: &Clash) -> (Vec<Remedy>, Vec<Remedy>) {
        let own = |edit| {
            let file = clash.path.clone();
            vec![one(
                vec![Change::Own { file, edit }],
                Needs::All,
                Effect::LocalWins,
            )]
        };
        match &clash.kind {
            ConflictKind::Content { .. } | ConflictKind::Mode => (self.exclude(clash), own(OwnEdit::Write)),
            ConflictKind::Key { key } => (self.exclude(clash), own(OwnEdit::Set(key.clone()))),
            ConflictKind::Variable { variable } => {
                (self.exclude_files(clash), own(OwnEdit::Set(variable.clone())))
            }
            ConflictKind::OverriddenTwice { what } => {
                (self.exclude_files(clash), own(OwnEdit::Override(what.clone())))
            }
            ConflictKind::VariableOrder { variable, .. } => {
                let variable = text::escape(variable, 200);
                let moved = format!("move `{variable}` of the higher layer to {}", clash.path);
                (self.exclude_files(clash), vec![other(moved)])
            }
            ConflictKind::DefinedTwice { what } => {
                let local = clash.parties.iter().find(|party| party.origin == Origin::Local);
                let taken_out = local.map(|party| {
                    let edit = OwnEdit::TakeOut(what.clone());
                    let file = party.path.clone();
                    one(vec![Change::Own { file, edit }], Needs::All, Effect::Plain)
                });
                (self.exclude_files(clash), taken_out.into_iter().collect())
            }
            ConflictKind::FileAgainstDirectory | ConflictKind::NameCollision => {
                (self.exclude(clash), self.rename_own(clash).into_iter().collect())
            }
            ConflictKind::Plugin { deployment, .. } => (Vec::new(), self.of_plugin(clash, deployment)),
            ConflictKind::DeploymentsUnknown => (Vec::new(), self.of_unknown(clash)),
            ConflictKind::Config { .. } => match clash.parties.first().map(|party| party.origin) {
                Some(Origin::Source(_)) => (self.exclude(clash), Vec::new()),
                _ => {
                    let file = self.request.environment.environment_config();
                    let edit = OwnEdit::PlainList;
                    let plain = one(vec![Change::Own { file, edit }], Needs::All, Effect::Plain);
                    (Vec::new(), vec![plain])
                }
            },
            ConflictKind::SharedInside => {
                let not_shared = clash.parties.iter().filter_map(|party| {
                    let dir = top(party.path.as_str()).to_owned();
                    self.entry(party.origin, EntryEdit::NotShared(dir), None)
                });
                let changes = not_shared.collect();
                (vec![one(changes, Needs::All, Effect::Plain)], Vec::new())
            }
            ConflictKind::Name { .. } => {
                let shorter = self.each(clash, EntryEdit::Rename);
                (self.exclude(clash), vec![one(shorter, Needs::All, Effect::Plain)])
            }
        }
    }

    /// Returns the remedy of leaving a directory out of the sources of a group.
    pub(super) fn exclude_directory(&self, dir: &str, sources: &BTreeSet<SourceId>) -> Remedy {
        let change = |source: &SourceId| {
            let own = self.own_name(dir, *source);
            let glob = format!("{}/", exact_glob(&own));
            let loses = self.files(&own, *source);
            let edit = EntryEdit::Exclude(vec![glob]);
            self.entry(Origin::Source(*source), edit, Some(loses))
        };
        let changes: Vec<Change> = sources.iter().filter_map(change).collect();
        let needs = Needs::of(changes.len(), false);
        Remedy {
            is_shared: true,
            ..one(changes, needs, Effect::OtherIsUsed)
        }
    }

    /// Returns the remedies of an `on-conflict` for sources, of which each conflict has at least two
    /// as its parties. `of_all` is whether each conflict is between all of them.
    pub(super) fn on_conflict(&self, sources: &BTreeSet<SourceId>, of_all: bool) -> Vec<Remedy> {
        let (Some(lowest), Some(highest)) = (sources.first(), sources.last()) else {
            return Vec::new();
        };
        if lowest == highest {
            return Vec::new();
        }
        let upper = || sources.iter().skip(1);
        let only_highest = || vec![*highest];
        let last_at = if of_all {
            only_highest()
        } else {
            upper().copied().collect()
        };
        let first_at: Vec<SourceId> = upper().copied().collect();
        let set = |at: Vec<SourceId>, edit: EntryEdit, effect: Effect| {
            let mut changes: Vec<Change> = Vec::new();
            for source in at {
                let change = self.upper_entry(source, edit.clone());
                if !changes.iter().any(|other| is_at_one_place(other, &change)) {
                    changes.push(change);
                }
            }
            Remedy {
                is_shared: true,
                ..one(changes, Needs::All, effect)
            }
        };
        let (takes_last, takes_first) = if of_all {
            (Effect::Takes(*highest), Effect::Takes(*lowest))
        } else {
            (
                Effect::TakesByOrder(OnConflict::Last),
                Effect::TakesByOrder(OnConflict::First),
            )
        };
        vec![
            set(last_at, EntryEdit::Last, takes_last),
            set(first_at, EntryEdit::First, takes_first),
        ]
    }

    /// Returns the remedy of an `as` for the sides of a group in a directory of the environment. It
    /// helps if the directory is a deployment of each of the sources.
    pub(super) fn rename(&self, path: &TreePath, sides: &[Origin]) -> Option<Remedy> {
        let relative = path.strip_prefix(self.request.environment)?;
        let (top, _) = relative.as_str().split_once('/')?;
        let (mut changes, mut deployment, mut again) = (Vec::new(), None, false);
        for side in sides {
            let Origin::Source(source) = side else { continue };
            let Change::Entry(change) = self.upper_entry(*source, EntryEdit::Rename) else {
                continue;
            };
            let prefix = self.sources()[change.at.0].rename.as_deref();
            let base = prefix
                .and_then(|prefix| top.strip_prefix(prefix)?.strip_prefix('-'))
                .unwrap_or(top);
            again |= prefix.is_some();
            if !self.is_deployment(base, *source, change.at) {
                return None;
            }
            deployment.get_or_insert_with(|| base.to_owned());
            let change = Change::Entry(change);
            if changes.iter().any(|other| is_at_one_place(other, &change)) {
                // One entry leads to two of the sides, so that both would move.
                return None;
            }
            changes.push(change);
        }
        let needs = Needs::of(changes.len(), sides.contains(&Origin::Local));
        let effect = Effect::BothRun {
            deployment: deployment?,
            again,
        };
        Some(Remedy {
            is_shared: true,
            ..one(changes, needs, effect)
        })
    }

    /// Returns whether a directory of a source is a deployment for the `as` of an entry that leads to
    /// the source. If the image's own deployments are not known, it may be one.
    fn is_deployment(&self, base: &str, source: SourceId, at: SourceId) -> bool {
        let Some(image) = self.request.image_config else {
            return true;
        };
        let from = self.from(base, source);
        let is_named = |name: &str| name == base || name == from;
        let is_member = |id: SourceId| id == at || self.sources()[id.0].via.contains(&at);
        image.0.iter().any(|(name, _)| is_named(top(name)))
            || self
                .declared
                .iter()
                .any(|(id, tops)| is_member(*id) && tops.iter().any(|name| is_named(name)))
    }

    /// Returns the remedy of an `exclude` for each source, or of leaving out the `shared` directory.
    fn exclude(&self, clash: &Clash) -> Vec<Remedy> {
        let has_local = clash.parties.iter().any(|party| party.origin == Origin::Local);
        let mut changes: Vec<Change> = Vec::new();
        let Some(relative) = self.below_environment(&clash.path) else {
            let top = top(clash.path.as_str());
            changes.extend(self.each(clash, EntryEdit::NotShared(top.to_owned())));
            let needs = Needs::of(changes.len(), has_local);
            return vec![one(changes, needs, Effect::OtherIsUsed)];
        };
        for party in in_the_way(clash) {
            let Origin::Source(source) = party.origin else {
                continue;
            };
            let own = match clash.kind {
                // The names differ between the sources, or are those of one source only.
                ConflictKind::NameCollision => self.own_path(party, depth(relative)),
                ConflictKind::Name { .. } => self.own_path(party, depth(relative) + 1),
                _ => None,
            };
            let path = own.unwrap_or_else(|| self.own_name(relative, source));
            let edit = EntryEdit::Exclude(vec![exact_glob(&path)]);
            let change = self.entry(party.origin, edit, None);
            changes.extend(change.filter(|change| !changes.contains(change)));
        }
        let needs = Needs::of(changes.len(), has_local);
        let effect = match clash.kind {
            ConflictKind::Name { .. } | ConflictKind::Config { .. } => Effect::FilesAreLeftOut,
            _ => Effect::OtherIsUsed,
        };
        vec![one(changes, needs, effect)]
    }

    /// Returns the remedy of an `exclude` for each source's own file. If both files stay, no source
    /// knows the composed path.
    fn exclude_files(&self, clash: &Clash) -> Vec<Remedy> {
        if self.below_environment(&clash.path).is_none() {
            return self.exclude(clash);
        }
        let (parties, has_local) = match clash.kind {
            // Only the lower layer's file is in the way.
            ConflictKind::VariableOrder { .. } => (&clash.parties[..1], true),
            _ => (
                &clash.parties[..],
                clash.parties.iter().any(|party| party.origin == Origin::Local),
            ),
        };
        let mut changes: Vec<Change> = Vec::new();
        for party in parties {
            let Origin::Source(source) = party.origin else {
                continue;
            };
            let glob = match party.path.strip_prefix(&self.sources()[source.0].environment) {
                Some(relative) => exact_glob(relative.as_str()),
                // The file comes from the source's default folder, or by way of a symlink.
                None => match exact_glob(party.path.file_name()).trim_start_matches('/') {
                    name if name.starts_with('#') => format!("\\{name}"),
                    name => name.to_owned(),
                },
            };
            let change = self.entry(party.origin, EntryEdit::Exclude(vec![glob]), None);
            changes.extend(change.filter(|change| !changes.contains(change)));
        }
        let needs = Needs::of(changes.len(), has_local);
        vec![one(changes, needs, Effect::FilesAreLeftOut)]
    }

    /// Returns the remedy of renaming the user's own file or directory. It helps if the sources agree
    /// with each other.
    fn rename_own(&self, clash: &Clash) -> Option<Remedy> {
        let (own, theirs): (Vec<&Party>, Vec<&Party>) = clash
            .parties
            .iter()
            .partition(|party| party.origin == Origin::Local);
        let depth = depth(self.below_environment(&clash.path)?);
        let names: BTreeSet<_> = theirs
            .iter()
            .map(|party| match clash.kind {
                ConflictKind::NameCollision => (self.own_path(party, depth), false),
                _ => (None, party.holds == Holds::Directory),
            })
            .collect();
        let rename = |party: &&Party| Change::Own {
            file: party.path.clone(),
            edit: OwnEdit::Rename,
        };
        let changes: Vec<Change> = own.iter().map(rename).collect();
        let helps = !changes.is_empty() && names.len() == 1;
        helps.then(|| one(changes, Needs::All, Effect::Plain))
    }

    fn of_plugin(&self, clash: &Clash, deployment: &str) -> Vec<Remedy> {
        let config = self.request.environment.environment_config();
        let mut all = Vec::new();
        let mut renames: Vec<Change> = Vec::new();
        for change in self.each(clash, EntryEdit::Rename) {
            let Change::Entry(change) = change else { continue };
            let change = self.upper_entry(change.of, EntryEdit::Rename);
            if !renames.iter().any(|other| is_at_one_place(other, &change)) {
                renames.push(change);
            }
        }
        if !renames.is_empty() {
            let has_local = clash.parties.iter().any(|party| party.origin == Origin::Local);
            let needs = Needs::of(renames.len(), has_local);
            let effect = Effect::BothRun {
                deployment: deployment.to_owned(),
                again: false,
            };
            all.push(one(renames, needs, effect));
        }
        let exclude = EntryEdit::Exclude(vec![exact_glob(CONFIG)]);
        all.extend(self.each(clash, exclude).into_iter().map(|exclude| {
            let list = format!("list its deployments in your own {config}");
            let own = Change::Own {
                file: config.clone(),
                edit: OwnEdit::List(list),
            };
            one(vec![exclude, own], Needs::All, Effect::Plain)
        }));
        all
    }

    fn of_unknown(&self, clash: &Clash) -> Vec<Remedy> {
        let config = self.request.environment.environment_config();
        let renamed = clash.parties.iter().find_map(|party| match party.origin {
            Origin::Source(id) => self.sources()[id.0].rename.as_deref(),
            Origin::Local => None,
        });
        let prefix = renamed.unwrap_or("NAME");
        // Such a list is then the only one, so it has to name the deployments of the other layers as
        // well.
        let list = format!(
            "list all deployments with their plugins in bitops.deployments of {config}: each directory of this source as `{prefix}-DIRECTORY`, and those of the other layers by their own names"
        );
        let edit = OwnEdit::List(list);
        let not_renamed = self.each(clash, EntryEdit::NotRenamed);
        vec![
            other(format!(
                "declare `bitops.deployments` in the source's own {CONFIG}"
            )),
            one(
                vec![Change::Own { file: config, edit }],
                Needs::All,
                Effect::Plain,
            ),
            other(format!(
                "run inside the image, whose own deployments are known there, or let {PIPELINE_DIR} name a directory with its {CONFIG}"
            )),
            one(not_renamed, Needs::All, Effect::Plain),
        ]
    }

    /// Returns the same change for each source that is a party.
    fn each(&self, clash: &Clash, edit: EntryEdit) -> Vec<Change> {
        let between = clash.between().into_iter();
        between
            .filter_map(|origin| self.entry(origin, edit.clone(), None))
            .collect()
    }

    /// Returns a change of the entry of a source.
    fn entry(&self, origin: Origin, edit: EntryEdit, loses: Option<usize>) -> Option<Change> {
        let Origin::Source(source) = origin else {
            return None;
        };
        Some(Change::Entry(EntryChange {
            of: source,
            at: source,
            is_own: self.is_own(source),
            edit,
            loses,
        }))
    }

    /// Returns a change of a key that also holds for the sources that an entry leads to. It is made in
    /// the nearest entry of the local environment's config.
    fn upper_entry(&self, source: SourceId, edit: EntryEdit) -> Change {
        let above = self.sources()[source.0].via.iter().rev();
        let mut chain = std::iter::once(&source).chain(above);
        let own = chain.find(|id| self.is_own(**id)).copied();
        Change::Entry(EntryChange {
            of: source,
            at: own.unwrap_or(source),
            is_own: own.is_some(),
            edit,
            loses: None,
        })
    }

    /// Returns whether the entry of a source stands in the local environment's config.
    fn is_own(&self, source: SourceId) -> bool {
        let mut sources = self.sources().iter();
        let root = sources.find(|source| source.via.is_empty());
        root.is_some_and(|root| root.place.file == self.sources()[source.0].place.file)
    }

    fn below_environment<'p>(&self, path: &'p TreePath) -> Option<&'p str> {
        if path == self.request.environment {
            return Some("");
        }
        path.below(self.request.environment)
    }

    /// Returns the first components of a party's path in its environment.
    fn own_path(&self, party: &Party, depth: usize) -> Option<String> {
        let Origin::Source(source) = party.origin else {
            return None;
        };
        let path = party.path.strip_prefix(&self.sources()[source.0].environment)?;
        Some(path.components().take(depth).collect::<Vec<_>>().join("/"))
    }

    /// Returns a path under the name that the source has for it.
    fn own_name(&self, path: &str, source: SourceId) -> String {
        let (top, rest) = path.split_at(top(path).len());
        format!("{}{rest}", self.from(top, source))
    }

    fn from<'p>(&'p self, top: &'p str, source: SourceId) -> &'p str {
        let mut renames = self.renames.iter().filter(|rename| rename.source == source);
        renames
            .find(|rename| rename.to == top)
            .map_or(top, |rename| &rename.from)
    }

    /// Returns the number of files that the source would lose.
    fn files(&self, dir: &str, source: SourceId) -> usize {
        let layers = &self.request.layers.layers;
        let own = layers
            .iter()
            .filter(|layer| layer.source == source && !matches!(layer.part, Part::Shared(_)));
        let below = format!("{dir}/");
        let lost: BTreeSet<&TreePath> = own
            .flat_map(|layer| layer.files.iter().map(|file| &file.path))
            .filter(|path| path.as_str().starts_with(&below))
            .collect();
        lost.len()
    }
}

fn one(changes: Vec<Change>, needs: Needs, effect: Effect) -> Remedy {
    Remedy {
        changes,
        needs,
        effect,
        settles: 1,
        is_shared: false,
    }
}

fn other(sentence: String) -> Remedy {
    one(vec![Change::Other(sentence)], Needs::All, Effect::Plain)
}

fn is_at_one_place(one: &Change, other: &Change) -> bool {
    matches!((one, other), (Change::Entry(one), Change::Entry(other)) if one.at == other.at)
}

fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}

/// Returns the parties whose removal settles a conflict about names. If the user's own file or
/// directory takes part, it stays, and what is of another kind is in its way.
fn in_the_way(clash: &Clash) -> Vec<&Party> {
    let is_directory = |party: &Party| party.holds == Holds::Directory;
    let local = clash.parties.iter().find(|party| party.origin == Origin::Local);
    let parties = clash.parties.iter();
    match (&clash.kind, local) {
        (ConflictKind::FileAgainstDirectory, Some(local)) => parties
            .filter(|party| is_directory(party) != is_directory(local))
            .collect(),
        _ => parties.collect(),
    }
}
