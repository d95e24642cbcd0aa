//! Warnings of files that a tool ignores because another layer has a file of the same stem.
//!
//! OpenTofu ignores `main.tf` beside `main.tofu`. Ansible reads one of `group_vars/all`,
//! `all.yml`, `all.yaml` and `all.json`, and none of the others, and likewise one of
//! `roles/web/tasks/main.yml`, `main.yaml`, `main.json` and `main`. Where both files belong to one
//! layer, that layer meant it. Where they come from different layers, it may be a mistake.

use std::collections::{BTreeMap, BTreeSet};

use compose_merge::DefinitionsFile;
use compose_model::{Diagnostic, TreePath};

use super::{
    ComposeError, Request,
    ansible::Lookup,
    composition::ComposedFile,
    directory::{self, ListedFile},
    wording,
};
use crate::layer::{ContentsError, LocalKind, Origin};

/// An entry that a tool may ignore.
struct Entry {
    path: TreePath,
    is_directory: bool,
    /// The layers that have it.
    origins: BTreeSet<Origin>,
}

/// Returns the warnings. `files` are sorted by path.
pub(super) fn warn(request: &Request<'_>, files: &[ComposedFile]) -> Result<Vec<Diagnostic>, ComposeError> {
    let mut warnings = Vec::new();
    for dir in directory::of_sources(files, is_definitions) {
        request.cancel.check()?;
        let files = directory::list(request, files, &dir, is_definitions)?;
        for file in &files {
            if let Some(shadow) = directory::shadow(&files, file) {
                let (ignored, read) = (entry(file), entry(shadow));
                let message = |whose_ignored: &str, whose_read: &str| {
                    format!(
                        "OpenTofu ignores {} of {whose_ignored} because of {} of {whose_read}, and Terraform ignores the latter",
                        ignored.path, read.path
                    )
                };
                warnings.extend(warning(request, &ignored, &read, message));
            }
        }
    }
    for dir in directories_of_ansible(files) {
        request.cancel.check()?;
        for entries in by_stem(request, files, &dir)?.values() {
            let mut entries = entries.values();
            let Some(read) = entries.next() else { continue };
            for ignored in entries {
                let message = |whose_ignored: &str, whose_read: &str| {
                    format!(
                        "Ansible ignores {} of {whose_ignored} because of {} of {whose_read}",
                        ignored.path, read.path
                    )
                };
                warnings.extend(warning(request, ignored, read, message));
            }
        }
    }
    Ok(warnings)
}

fn is_definitions(name: &str) -> bool {
    DefinitionsFile::of_name(name).is_some_and(|file| file.is_read())
}

fn entry(file: &ListedFile<'_>) -> Entry {
    Entry {
        path: file.path.clone(),
        is_directory: false,
        origins: BTreeSet::from([file.from.origin]),
    }
}

/// Returns the warning for an ignored entry, unless one layer has both entries.
fn warning(
    request: &Request<'_>,
    ignored: &Entry,
    read: &Entry,
    message: impl Fn(&str, &str) -> String,
) -> Option<Diagnostic> {
    let loses = ignored.origins.difference(&read.origins).last()?;
    let whose = |origin: &Origin| wording::label_of(*origin, &request.layers.sources);
    let other = read.origins.last()?;
    let hint = if read.is_directory {
        format!(
            "move the file into {}/, or exclude one of the two in the entry of its source",
            read.path
        )
    } else if ignored.is_directory {
        format!(
            "exclude one of the two in the entry of its source, or write what both set into your own {}",
            read.path
        )
    } else {
        let effect = match read.path.parent().as_ref().and_then(Lookup::of) {
            Some(lookup) if lookup.lists => "the higher layer's wins",
            _ => "both count",
        };
        format!(
            "name both {}, so that {effect}, or exclude one of the two in the entry of its source",
            read.path.file_name()
        )
    };
    let warning = Diagnostic::warning(message(&whose(loses), &whose(other))).hint(hint);
    let source = [other, loses].into_iter().find_map(|origin| match origin {
        Origin::Source(source) => Some(&request.layers.sources[source.0]),
        Origin::Local => None,
    });
    Some(match source {
        Some(source) => warning.with_place(source.place.clone()),
        None => warning,
    })
}

/// Returns the directories in which Ansible looks for files and to which a source contributes.
fn directories_of_ansible(files: &[ComposedFile]) -> BTreeSet<TreePath> {
    let of_source = files
        .iter()
        .filter(|file| file.from.iter().any(|from| from.origin != Origin::Local));
    let above = of_source.flat_map(|file| file.path.ancestors());
    above.filter(|dir| Lookup::of(dir).is_some()).collect()
}

/// Returns the entries of a directory by the name that Ansible looks for, each by its place in
/// Ansible's order.
fn by_stem(
    request: &Request<'_>,
    files: &[ComposedFile],
    dir: &TreePath,
) -> Result<BTreeMap<String, BTreeMap<usize, Entry>>, ContentsError> {
    let mut found: BTreeMap<String, BTreeMap<usize, Entry>> = BTreeMap::new();
    let Some(lookup) = Lookup::of(dir) else {
        return Ok(found);
    };
    let mut add = |name: &str, is_directory: bool, origin: Origin| {
        let Some((stem, place)) = lookup.split(name, is_directory) else {
            return;
        };
        let Ok(path) = dir.child(name) else { return };
        let entries = found.entry(stem.to_owned()).or_default();
        let entry = entries.entry(place).or_insert_with(|| Entry {
            path,
            is_directory,
            origins: BTreeSet::new(),
        });
        entry.origins.insert(origin);
    };
    for (name, is_directory, file) in directory::composed_entries(files, dir) {
        for from in &file.from {
            add(name, is_directory, from.origin);
        }
    }
    for (name, kind) in request.local.list(Some(dir))? {
        if kind != LocalKind::Other {
            add(&name, kind == LocalKind::Directory, Origin::Local);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::compose::testing::World;

    fn warnings(local: &[&str], source: &[&str]) -> Vec<String> {
        let local: Vec<(String, &str)> = local
            .iter()
            .map(|path| (format!("dev/{path}"), "own: 1\n"))
            .collect();
        let local: Vec<(&str, &str)> = local.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let source: Vec<(&str, &str)> = source.iter().map(|path| (*path, "source: 1\n")).collect();
        let composition = World::new(&local).source("eks", &source).composed();
        let all = composition.warnings.into_iter();
        all.map(|warning| warning.message.replace(" of https://host/org/eks-repo", ""))
            .collect()
    }

    #[test]
    fn a_terraform_file_beside_an_opentofu_file_of_another_layer_is_a_warning() {
        let ignores = |ignored: &str, read: &str| {
            vec![format!(
                "OpenTofu ignores dev/t/{ignored} because of dev/t/{read}, and Terraform ignores the latter"
            )]
        };
        assert_eq!(
            warnings(&["t/x.tofu"], &["t/x.tf"]),
            ignores("x.tf of eks", "x.tofu of your own environment")
        );
        for (tf, tofu) in [
            ("x.tf", "x.tofu"),
            ("x.tf.json", "x.tofu.json"),
            ("a_override.tf", "a_override.tofu"),
        ] {
            let (own, theirs) = (format!("t/{tf}"), format!("t/{tofu}"));
            let expected = ignores(
                &format!("{tf} of your own environment"),
                &format!("{tofu} of eks"),
            );
            // A lower override file that would come after a higher one gets another stem.
            let expected = if tf.contains("override") { vec![] } else { expected };
            assert_eq!(warnings(&[&own], &[&theirs]), expected, "{tf}");
        }
        assert_eq!(
            warnings(&["t/a_override.tofu"], &["t/a_override.tf"]),
            ignores("a_override.tf of eks", "a_override.tofu of your own environment")
        );
        for (local, source) in [
            (&["t/x.tf", "t/x.tofu"][..], &["t/y.tf"][..]),
            (&["t/y.tf"], &["t/x.tf", "t/x.tofu"]),
            (&["t/x.tofu.json"], &["t/x.tf"]),
            (&["t/x.tofu"], &["u/x.tf"]),
            (&["t/x.tofu"], &["t/.x.tf", "t/y.tofu"]),
        ] {
            assert_eq!(warnings(local, source), [""; 0], "{local:?} {source:?}");
        }
    }

    #[test]
    fn ansibles_variables_with_several_extensions_are_a_warning() {
        let ignores = |ignored: &str, read: &str| {
            vec![format!("Ansible ignores dev/a/{ignored} because of dev/a/{read}")]
        };
        let hint = |dir: &str| {
            let (local, source) = (format!("dev/{dir}/main.yaml"), format!("{dir}/main.yml"));
            let world = World::new(&[(&local, "")]).source("eks", &[(&source, "")]);
            world.composed().warnings[0].hints[0].clone()
        };
        for (dir, effect) in [
            ("a/roles/x/tasks", "the higher layer's wins"),
            ("a/roles/x/vars", "both count"),
        ] {
            let name = format!("name both main.yml, so that {effect}, or exclude one of the two");
            assert!(hint(dir).starts_with(&name), "{}", hint(dir));
        }
        for (local, source, expected) in [
            (
                &["a/group_vars/all.yaml"][..],
                &["a/group_vars/all.yml"][..],
                ignores(
                    "group_vars/all.yaml of your own environment",
                    "group_vars/all.yml of eks",
                ),
            ),
            (
                &["a/group_vars/all.yml"],
                &["a/group_vars/all.yaml"],
                ignores(
                    "group_vars/all.yaml of eks",
                    "group_vars/all.yml of your own environment",
                ),
            ),
            (
                &["a/host_vars/web.example.com.json"],
                &["a/host_vars/web.example.com"],
                ignores(
                    "host_vars/web.example.com.json of your own environment",
                    "host_vars/web.example.com of eks",
                ),
            ),
            (
                &["a/group_vars/web.yml"],
                &["a/group_vars/web/a.yml", "a/group_vars/web/b.yml"],
                ignores(
                    "group_vars/web.yml of your own environment",
                    "group_vars/web of eks",
                ),
            ),
            (
                &["a/roles/x/tasks/main.yaml"],
                &["a/roles/x/tasks/main.yml"],
                ignores(
                    "roles/x/tasks/main.yaml of your own environment",
                    "roles/x/tasks/main.yml of eks",
                ),
            ),
            (
                &["a/roles/x/meta/main.yml"],
                &["a/roles/x/meta/main"],
                ignores(
                    "roles/x/meta/main of eks",
                    "roles/x/meta/main.yml of your own environment",
                ),
            ),
            (
                &["a/roles/x/handlers/main.json"],
                &["a/roles/x/handlers/main.yaml"],
                ignores(
                    "roles/x/handlers/main.json of your own environment",
                    "roles/x/handlers/main.yaml of eks",
                ),
            ),
            (
                &["a/roles/x/vars/main/a.yml"],
                &["a/roles/x/vars/main.yaml"],
                ignores(
                    "roles/x/vars/main of your own environment",
                    "roles/x/vars/main.yaml of eks",
                ),
            ),
            (
                &["a/roles/x/tasks/main/a.yml"],
                &["a/roles/x/tasks/main.yml"],
                vec![],
            ),
            (
                &["a/roles/x/tasks/setup.yml"],
                &["a/roles/x/tasks/setup.yaml"],
                vec![],
            ),
            (
                &["a/roles/x/templates/main.yml"],
                &["a/roles/x/templates/main.yaml"],
                vec![],
            ),
            (&["a/tasks/main.yml"], &["a/tasks/main.yaml"], vec![]),
            (&["a/group_vars/all.yml"], &["a/group_vars/web.yaml"], vec![]),
            (&["a/group_vars/all.yml"], &["a/host_vars/all.yaml"], vec![]),
            (&["a/vars/all.yml"], &["a/vars/all.yaml"], vec![]),
            // One layer's own business.
            (
                &["a/group_vars/web"],
                &["a/group_vars/all.yml", "a/group_vars/all.yaml"],
                vec![],
            ),
        ] {
            assert_eq!(warnings(local, source), expected, "{local:?} {source:?}");
        }
    }
}
