//! Warnings of values that a tool takes from a lower layer, because it loads that layer's file later.
//!
//! Ansible loads the files of a directory `group_vars/web/` in the order of their names, and the last
//! one that sets a variable counts. BitOps' Helm plugin gives Helm a chart's `values.yaml`,
//! `values-versions.yaml`, `values-secrets.yaml`, then the files in `values-files` by name. The layers
//! have no say in that order: a source's `z.yml` counts more than the user's own `a.yml`.

use std::collections::{BTreeMap, BTreeSet};

use compose_merge::{Keys, Precedence, Setting, settings};
use compose_model::{Diagnostic, TreePath, text};

use super::{
    ComposeError, Request,
    ansible::{self, EXTENSIONS, Lookup},
    bytes::Bytes,
    composition::{Action, Composition, Provenance},
    directory::entries,
    rank,
    rename_warnings::{charts, helm_deployments},
    wording,
};
use crate::layer::{ContentsError, LocalKind, Origin};

/// The files that BitOps' Helm plugin gives to Helm, before those of `values-files`.
const VALUES: [&str; 3] = ["values.yaml", "values-versions.yaml", "values-secrets.yaml"];

const VALUES_FILES: &str = "values-files";

/// The number of keys that one warning names; the others are counted.
const MOST: usize = 3;

/// Files that a tool loads one after the other.
struct Sequence {
    tool: &'static str,
    keys: Keys,
    files: Vec<TreePath>,
}

/// What one layer sets in one file.
struct Setter {
    /// The index of the file in the sequence.
    file: usize,
    origin: Origin,
    settings: BTreeMap<String, Setting>,
}

/// Two files and their layers: the one that counts, and the one that should.
type Pair = ((usize, Origin), (usize, Origin));

/// Returns the warnings.
pub(super) fn warn(
    request: &Request<'_>,
    composition: &Composition,
) -> Result<Vec<Diagnostic>, ComposeError> {
    let bytes = Bytes::new(request.layers, request.contents, request.local);
    let mut warnings = Vec::new();
    for sequence in sequences(request, composition)? {
        request.cancel.check()?;
        if sequence.files.len() < 2 {
            continue;
        }
        let setters = setters(request, composition, &bytes, &sequence)?;
        for (pair, keys) in find(request, &setters) {
            warnings.push(warning(request, &sequence, pair, &keys));
        }
    }
    Ok(warnings)
}

fn sequences(request: &Request<'_>, composition: &Composition) -> Result<Vec<Sequence>, ComposeError> {
    let mut all = Vec::new();
    let of_source = composition
        .files
        .iter()
        .filter(|file| file.from.iter().any(|from| from.origin != Origin::Local));
    let above: BTreeSet<TreePath> = of_source.flat_map(|file| file.path.ancestors()).collect();
    for dir in above.iter().filter(|dir| ansible::is_directory_of_variables(dir)) {
        if is_ignored(request, composition, dir)? {
            continue;
        }
        let mut files = Vec::new();
        ansible_files(request, composition, dir, &mut files)?;
        all.push(Sequence {
            tool: "Ansible",
            keys: Keys::Root,
            files,
        });
    }
    for deployment in helm_deployments(composition) {
        let Ok(dir) = TreePath::new(format!("{}/{deployment}", request.environment)) else {
            continue;
        };
        for chart in charts(request, composition, &dir)? {
            let Ok(chart) = dir.child(&chart) else { continue };
            if above.contains(&chart) {
                all.push(Sequence {
                    tool: "Helm",
                    keys: Keys::Leaves,
                    files: helm_files(request, composition, &chart)?,
                });
            }
        }
    }
    Ok(all)
}

/// Returns whether Ansible reads a file in place of a directory of variables.
fn is_ignored(
    request: &Request<'_>,
    composition: &Composition,
    dir: &TreePath,
) -> Result<bool, ContentsError> {
    let Some((parent, lookup)) = dir
        .parent()
        .and_then(|parent| Some((parent.clone(), Lookup::of(&parent)?)))
    else {
        return Ok(true);
    };
    let own = lookup.split(dir.file_name(), true);
    let beside = entries(request, &composition.files, &parent)?.into_iter();
    let mut places = beside.filter_map(|(name, is_directory)| {
        let (stem, place) = lookup.split(&name, is_directory)?;
        Some((stem.to_owned(), place))
    });
    Ok(places.any(|(stem, place)| own.is_some_and(|own| own.0 == stem && place < own.1)))
}

/// Lists the files that Ansible loads from a directory of variables, as its `DataLoader` does.
fn ansible_files(
    request: &Request<'_>,
    composition: &Composition,
    dir: &TreePath,
    found: &mut Vec<TreePath>,
) -> Result<(), ContentsError> {
    for (name, is_directory) in entries(request, &composition.files, dir)? {
        let Ok(path) = dir.child(&name) else { continue };
        let extension = name.rfind('.').map_or("", |at| &name[at..]);
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        match is_directory {
            true if extension.is_empty() => ansible_files(request, composition, &path, found)?,
            false if EXTENSIONS.contains(&extension) => found.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Lists the files of values that BitOps' plugin gives to Helm for a chart.
fn helm_files(
    request: &Request<'_>,
    composition: &Composition,
    chart: &TreePath,
) -> Result<Vec<TreePath>, ContentsError> {
    let own = entries(request, &composition.files, chart)?;
    let main = VALUES.iter().filter(|name| own.get(**name) == Some(&false));
    let mut files: Vec<TreePath> = main.filter_map(|name| chart.child(name).ok()).collect();
    if let Ok(dir) = chart.child(VALUES_FILES) {
        // `ls` leaves hidden files out.
        let further = entries(request, &composition.files, &dir)?.into_iter();
        let further = further.filter(|(name, is_directory)| !is_directory && !name.starts_with('.'));
        files.extend(further.filter_map(|(name, _)| dir.child(&name).ok()));
    }
    Ok(files)
}

/// Reads what all layers set in the files of a sequence, in the order in which they are loaded;
/// within one file, the lowest layer first.
fn setters(
    request: &Request<'_>,
    composition: &Composition,
    bytes: &Bytes<'_>,
    sequence: &Sequence,
) -> Result<Vec<Setter>, ContentsError> {
    let mut texts = Vec::new();
    for (file, path) in sequence.files.iter().enumerate() {
        let own = Provenance {
            origin: Origin::Local,
            path: path.clone(),
        };
        let from = match composition.file(path) {
            Some(composed) => match composed.action {
                Action::Add | Action::Merge | Action::Local => composed.from.as_slice(),
                Action::Override | Action::KeepBoth => {
                    &composed.from[composed.from.len().saturating_sub(1)..]
                }
            },
            None => match request.local.kind(path)? {
                Some(LocalKind::File(_)) => std::slice::from_ref(&own),
                _ => &[],
            },
        };
        for from in from {
            texts.push((file, from.origin, bytes.contribution(from)?));
        }
    }
    // Most directories belong to one layer alone.
    if texts.iter().all(|(_, origin, _)| *origin == texts[0].1) {
        return Ok(Vec::new());
    }
    let read = settings(texts.iter().map(|(_, _, text)| &**text), sequence.keys);
    let setter = |((file, origin, _), all): ((usize, Origin, _), Vec<Setting>)| Setter {
        file,
        origin,
        settings: all.into_iter().map(|one| (one.key.clone(), one)).collect(),
    };
    Ok(texts.into_iter().zip(read).map(setter).collect())
}

/// Finds the keys that count from another layer's file than they should.
fn find(request: &Request<'_>, setters: &[Setter]) -> BTreeMap<Pair, Vec<String>> {
    let keys: BTreeSet<&String> = setters.iter().flat_map(|setter| setter.settings.keys()).collect();
    let mut found: BTreeMap<Pair, Vec<String>> = BTreeMap::new();
    for key in keys {
        let all = setters
            .iter()
            .filter_map(|setter| Some((setter, setter.settings.get(key)?)));
        let all: Vec<(&Setter, &Setting)> = all.collect();
        let effective = effective(request, &all);
        let Some((counts, value)) = effective.last() else {
            continue;
        };
        for (loses, other) in &effective {
            // What one layer sets in several files is its own business: its last file counts.
            let again = all
                .iter()
                .any(|(setter, _)| setter.origin == loses.origin && setter.file > loses.file);
            if value.differs(other) && !again && !wins(request, counts.origin, loses.origin) {
                let pair = ((counts.file, counts.origin), (loses.file, loses.origin));
                found.entry(pair).or_default().push(key.clone());
            }
        }
    }
    found
}

/// Returns the setters that count within their files, one for each file.
fn effective<'s>(request: &Request<'_>, all: &[(&'s Setter, &'s Setting)]) -> Vec<(&'s Setter, &'s Setting)> {
    let mut effective: Vec<(&Setter, &Setting)> = Vec::new();
    for one in all {
        match effective.last_mut().filter(|last| last.0.file == one.0.file) {
            Some(last) if wins(request, last.0.origin, one.0.origin) => {}
            Some(last) => *last = *one,
            None => effective.push(*one),
        }
    }
    effective
}

/// Returns whether the first of two layers wins over the other one where both set one key.
fn wins(request: &Request<'_>, one: Origin, other: Origin) -> bool {
    if one > other {
        rank::between(request, one, other) == Precedence::HigherWins
    } else {
        one < other && rank::between(request, other, one) == Precedence::LowerStays
    }
}

fn warning(request: &Request<'_>, sequence: &Sequence, pair: Pair, keys: &[String]) -> Diagnostic {
    let ((counts, source), (loses, other)) = pair;
    let (counts, loses) = (&sequence.files[counts], &sequence.files[loses]);
    let sources = &request.layers.sources;
    let mut named: Vec<String> = keys
        .iter()
        .take(MOST)
        .map(|key| format!("`{}`", text::escape(key, 100)))
        .collect();
    let more = keys.len().saturating_sub(MOST);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let (them, exclude) = match (keys.len(), other) {
        (1, Origin::Local) => ("it", "exclude that file in the entry of its source"),
        (_, Origin::Local) => ("them", "exclude that file in the entry of its source"),
        (1, _) => ("it", "exclude one of the two in the entry of its source"),
        _ => ("them", "exclude one of the two in the entry of its source"),
    };
    let warning = Diagnostic::warning(format!(
        "{} takes {} from {counts} of {}, which it loads after {loses} of {}",
        sequence.tool,
        wording::enumeration(&named),
        wording::label_of(source, sources),
        wording::label_of(other, sources),
    ))
    .hint(format!("set {them} in your own {counts}, or {exclude}"));
    match source {
        Origin::Source(id) => warning.with_place(sources[id.0].place.clone()),
        Origin::Local => warning,
    }
}

#[cfg(test)]
mod tests {
    use crate::{compose::testing::World, layer::Source};
    use compose_model::OnConflict;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn world(local: Files<'_>, sources: &[Files<'_>]) -> World {
        world_with(local, sources, |_| {})
    }

    fn world_with(local: Files<'_>, sources: &[Files<'_>], set: fn(&mut Source)) -> World {
        let local: Vec<(String, &str)> = local
            .iter()
            .map(|(path, text)| (format!("dev/{path}"), *text))
            .collect();
        let local: Vec<(&str, &str)> = local.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let mut world = World::new(&local).image(&[("helm", "helm"), ("a", "ansible")]);
        for (name, files) in ["one", "two"].iter().zip(sources) {
            world = world.source_with(name, set, files);
        }
        world
    }

    fn warnings(world: &World) -> Vec<String> {
        let all = world.composed().warnings.into_iter();
        all.map(|warning| {
            let message = warning.message.replace("https://host/org/", "");
            format!("{message} ({})", warning.hints.join("; "))
        })
        .collect()
    }

    #[test]
    fn a_lower_layers_variable_that_ansible_loads_later_is_a_warning() {
        let dir = "dev/a/group_vars/web";
        for list_local in [false, true] {
            let mut world = world(
                &[("a/group_vars/web/a.yml", "port: 1\nsame: x\nown: y\n")],
                &[&[("a/group_vars/web/z.yml", "port: 2\nsame: 'x'\nother: y\n")]],
            );
            world.list_local = list_local;
            assert_eq!(
                warnings(&world),
                [format!(
                    "Ansible takes `port` from {dir}/z.yml of one of one-repo, which it loads after {dir}/a.yml of your own environment (set it in your own {dir}/z.yml, or exclude that file in the entry of its source)"
                )]
            );
        }
        let world = world(
            &[("a/group_vars/web/a.yml", "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n")],
            &[&[("a/group_vars/web/z.yml", "a: 2\nb: 2\nc: 2\nd: 2\ne: 2\n")]],
        );
        let all = warnings(&world);
        assert!(
            all[0].starts_with("Ansible takes `a`, `b`, `c` and 2 more from "),
            "{all:?}"
        );
        assert!(all[0].contains("(set them in your own "), "{all:?}");
    }

    #[test]
    fn files_are_those_that_ansible_loads_in_its_order() {
        for (own, theirs, is_beaten) in [
            ("a/group_vars/web/a.yml", "a/group_vars/web/b.yml", true),
            ("a/group_vars/web/b.yml", "a/group_vars/web/a.yml", false),
            ("a/group_vars/web/B", "a/group_vars/web/a.json", true),
            ("a/group_vars/web/b/z.yml", "a/group_vars/web/c", true),
            ("a/group_vars/web/c", "a/group_vars/web/b/z.yml", false),
            (
                "a/host_vars/x.example.com/a.yml",
                "a/host_vars/x.example.com/b.yaml",
                true,
            ),
            ("a/roles/x/vars/main/a.yml", "a/roles/x/vars/main/b.yml", true),
            (
                "a/roles/x/defaults/main/a.yml",
                "a/roles/x/defaults/main/b.yml",
                true,
            ),
            ("a/roles/x/tasks/main/a.yml", "a/roles/x/tasks/main/b.yml", false),
            ("a/vars/main/a.yml", "a/vars/main/b.yml", false),
            ("a/group_vars/web/a.yml", "a/group_vars/db/b.yml", false),
            ("a/group_vars/web/a.yml", "a/group_vars/web/b.ini", false),
            ("a/group_vars/web/a.yml", "a/group_vars/web/.b.yml", false),
            ("a/group_vars/web/a.yml", "a/group_vars/web/b.yml~", false),
            ("a/group_vars/web/a.yml", "a/group_vars/web/old.d/b.yml", false),
            ("a/group_vars/web/a.yml", "a/host_vars/web/b.yml", false),
        ] {
            let world = world(&[(own, "port: 1\n")], &[&[(theirs, "port: 2\n")]]);
            assert_eq!(warnings(&world).len(), usize::from(is_beaten), "{own} {theirs}");
        }
        // Ansible does not read the directory beside the file.
        let world = world(
            &[
                ("a/roles/x/vars/main/a.yml", "port: 1\n"),
                ("a/roles/x/vars/main.yml", "port: 1\n"),
            ],
            &[&[("a/roles/x/vars/main/b.yml", "port: 2\n")]],
        );
        let all = warnings(&world);
        assert!(
            all.len() == 1 && all[0].starts_with("Ansible ignores "),
            "{all:?}"
        );
    }

    #[test]
    fn a_value_that_helm_takes_from_a_later_file_is_a_warning() {
        let dir = "dev/helm/web";
        let theirs = "web:\n  image: {tag: '2'}\n  port: 80\n";
        for (own, later) in [
            ("values.yaml", "values-files/a.yaml"),
            ("values.yaml", "values-versions.yaml"),
            ("values-versions.yaml", "values-secrets.yaml"),
            ("values-files/a.yaml", "values-files/b.yaml"),
        ] {
            let (local, source) = (format!("helm/web/{own}"), format!("helm/web/{later}"));
            let with = |text: &'static str| warnings(&world(&[(&local, text)], &[&[(&source, theirs)]]));
            assert_eq!(
                with("web: {image: {tag: '1', name: x}, port: 80}\n"),
                [format!(
                    "Helm takes `web.image.tag` from {dir}/{later} of one of one-repo, which it loads after {dir}/{own} of your own environment (set it in your own {dir}/{later}, or exclude that file in the entry of its source)"
                )],
            );
            assert_eq!(with("web: {image: {name: x}}\n"), [""; 0]);
        }
        for (own, theirs) in [
            ("helm/web/values-files/b.yaml", "helm/web/values-files/a.yaml"),
            ("helm/web/values-dev.yaml", "helm/web/values-prod.yaml"),
            (
                "helm/web/charts/x/values.yaml",
                "helm/web/charts/x/values-files/a.yaml",
            ),
            ("a/web/values.yaml", "a/web/values-files/a.yaml"),
        ] {
            let world = world(&[(own, "port: 1\n")], &[&[(theirs, "port: 2\n")]]);
            assert_eq!(warnings(&world), [""; 0], "{own} {theirs}");
        }
    }

    #[test]
    fn sources_are_compared_by_their_rank() {
        let lower: Files<'_> = &[("a/group_vars/web/z.yml", "port: 1\n")];
        let higher: Files<'_> = &[("a/group_vars/web/a.yml", "port: 2\n")];
        let hint = "(set it in your own dev/a/group_vars/web/z.yml, or exclude one of the two in the entry of its source)";
        let equal = warnings(&world(&[], &[lower, higher]));
        assert_eq!(
            equal,
            [format!(
                "Ansible takes `port` from dev/a/group_vars/web/z.yml of one of one-repo, which it loads after dev/a/group_vars/web/a.yml of two of two-repo {hint}"
            )]
        );
        // Neither is above the other, so the order of the names does not settle it.
        assert_eq!(warnings(&world(&[], &[higher, lower])).len(), 1);
        let (first, last) = (OnConflict::First, OnConflict::Last);
        for (on_conflict, sources, beaten) in [
            (first, [lower, higher], 0),
            (first, [higher, lower], 1),
            (last, [lower, higher], 1),
            (last, [higher, lower], 0),
        ] {
            let set = match on_conflict {
                OnConflict::First => |source: &mut Source| source.on_conflict = OnConflict::First,
                _ => |source: &mut Source| source.on_conflict = OnConflict::Last,
            };
            let found = warnings(&world_with(&[], &sources, set));
            assert_eq!(found.len(), beaten, "{on_conflict:?} {sources:?}");
        }
        // What the user's own last file sets is settled.
        let own: Files<'_> = &[("a/group_vars/web/zz.yml", "port: 3\n")];
        assert_eq!(warnings(&world(own, &[lower, higher])), [""; 0]);
    }

    #[test]
    fn one_layers_own_order_is_its_own_business() {
        let files: Files<'_> = &[
            ("a/group_vars/web/a.yml", "port: 1\n"),
            ("a/group_vars/web/z.yml", "port: 2\n"),
        ];
        let other: Files<'_> = &[("a/group_vars/web/m.yml", "host: x\n")];
        assert_eq!(warnings(&world(files, &[other])), [""; 0]);
        assert_eq!(warnings(&world(other, &[files])), [""; 0]);
        // The user's own last file wins, although another one of the user's is loaded before the source's.
        let between: Files<'_> = &[("a/group_vars/web/m.yml", "port: 5\n")];
        assert_eq!(warnings(&world(files, &[between])), [""; 0]);
    }
}
