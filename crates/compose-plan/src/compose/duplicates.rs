//! Detection of things that two layers define for Terraform, before Terraform refuses them.
//!
//! Terraform reads all `.tf` and `.tf.json` files of a directory as one. Files of several layers
//! lie together in a composed directory, whether they had the same name (and all stay) or not.

use std::{cell::LazyCell, collections::BTreeSet, sync::Arc};

use compose_merge::{Definition, DefinitionsFile};
use compose_model::TreePath;

use super::{
    ComposeError, Request,
    bytes::Bytes,
    composition::{Clash, ComposedFile, ConflictKind, Holds, Party, Provenance},
};
use crate::layer::{ContentsError, LocalKind, Origin};

/// One `.tf` file of a directory.
struct TfFile<'a> {
    from: Provenance,
    path: TreePath,
    /// The composed file, or `None` if it is the user's own and the composition does not list it.
    composed: Option<&'a ComposedFile>,
}

impl TfFile<'_> {
    fn read(&self, request: &Request<'_>, bytes: &Bytes<'_>) -> Result<Arc<[u8]>, ContentsError> {
        match self.composed {
            Some(file) => Ok(bytes.composed(file)?.0),
            None => request.local.read(&self.path),
        }
    }
}

/// Finds every definition that stands in files of two layers. Two definitions in one layer are not
/// reported, because they are that layer's own problem.
pub(super) fn find(request: &Request<'_>, files: &[ComposedFile]) -> Result<Vec<Clash>, ComposeError> {
    let directories = directories(files);
    if directories.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = LazyCell::new(|| Bytes::new(request.layers, request.contents, request.local));
    let mut conflicts = Vec::new();
    for dir in directories {
        request.cancel.check()?;
        let files = of_directory(request, files, &dir)?;
        // Most directories belong to one layer alone, and then none of their files is read.
        let first = files.first().map(|file| file.from.origin);
        if files.iter().all(|file| Some(file.from.origin) == first) {
            continue;
        }
        let mut defined: Vec<(usize, Vec<Definition>)> = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let text = file.read(request, &bytes)?;
            // A file that does not parse is skipped, because Terraform reports it with a better
            // place.
            if let Ok(definitions) = compose_merge::definitions(&file.path, &text) {
                defined.push((index, definitions));
            }
        }
        for duplicate in compose_merge::duplicates(&defined) {
            let (one, other) = (&files[duplicate.first.0], &files[duplicate.second.0]);
            if one.from.origin == other.from.origin {
                continue;
            }
            let mut parties = vec![party(one, duplicate.first.1), party(other, duplicate.second.1)];
            parties.sort_by_key(|party| party.origin);
            conflicts.push(Clash {
                path: other.path.clone(),
                kind: ConflictKind::DefinedTwice {
                    what: format!("{} {}", duplicate.kind, duplicate.address),
                },
                parties,
            });
        }
    }
    Ok(conflicts)
}

fn party(file: &TfFile<'_>, line: usize) -> Party {
    Party {
        origin: file.from.origin,
        path: file.from.path.clone(),
        holds: Holds::File,
        line: Some(line),
    }
}

/// Returns whether Terraform reads the file beside the others. Override files do not count:
/// Terraform merges them into the others, so they define nothing twice. Editors' files do not count
/// either, because Terraform skips them; of those, only `.name.tf` has the extension of a
/// configuration.
fn is_read(name: &str) -> bool {
    DefinitionsFile::of_name(name).is_some_and(|file| file.is_read() && !file.is_override())
}

/// Returns the directories with a `.tf` file of a source.
fn directories(files: &[ComposedFile]) -> BTreeSet<TreePath> {
    files
        .iter()
        .filter(|file| is_read(file.path.file_name()) && decider(file) != Some(Origin::Local))
        .filter_map(|file| file.path.parent())
        .collect()
}

fn decider(file: &ComposedFile) -> Option<Origin> {
    file.from.last().map(|from| from.origin)
}

/// Returns the files of a directory: the composed ones, and the user's own that the composition
/// does not list.
fn of_directory<'a>(
    request: &Request<'_>,
    files: &'a [ComposedFile],
    dir: &TreePath,
) -> Result<Vec<TfFile<'a>>, ContentsError> {
    let below = format!("{dir}/");
    let start = files.partition_point(|file| file.path.as_str() < below.as_str());
    let composed = files[start..]
        .iter()
        .take_while(|file| file.path.as_str().starts_with(&below))
        .filter(|file| file.path.parent().as_ref() == Some(dir));
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for file in composed {
        let name = file.path.file_name();
        names.insert(name);
        let Some(from) = file.from.last().filter(|_| is_read(name)) else {
            continue;
        };
        all.push(TfFile {
            from: from.clone(),
            path: file.path.clone(),
            composed: Some(file),
        });
    }
    for (name, kind) in request.local.list(Some(dir))? {
        if !matches!(kind, LocalKind::File(_)) || !is_read(&name) || names.contains(name.as_str()) {
            continue;
        }
        let Ok(path) = TreePath::new(format!("{dir}/{name}")) else {
            continue;
        };
        all.push(TfFile {
            from: Provenance {
                origin: Origin::Local,
                path: path.clone(),
            },
            path,
            composed: None,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compose::{Conflict, testing::World},
        layer::SourceId,
    };

    /// Whose, which file, which line.
    type Place<'a> = (Origin, &'a str, Option<usize>);

    fn what(conflict: &Conflict) -> (&str, Vec<Place<'_>>) {
        let ConflictKind::DefinedTwice { what } = &conflict.kind else {
            panic!("{conflict:?}");
        };
        let parties = conflict
            .parties
            .iter()
            .map(|party| (party.origin, party.path.as_str(), party.line));
        (what, parties.collect())
    }

    const OWN: (&str, &str) = (
        "dev/terraform/own.tf",
        "# ours\nresource \"aws_s3_bucket\" \"logs\" {}\n",
    );
    const THEIRS: (&str, &str) = ("terraform/main.tf", "resource \"aws_s3_bucket\" \"logs\" {}\n");

    #[test]
    fn a_definition_in_two_layers_is_a_conflict_with_both_places() {
        for list_local in [false, true] {
            let mut world = World::new(&[OWN]).source("eks", &[THEIRS]);
            world.list_local = list_local;
            let conflict = world.conflict();
            let parties = vec![
                (Origin::Source(SourceId(0)), "eks/terraform/main.tf", Some(1)),
                (Origin::Local, "dev/terraform/own.tf", Some(2)),
            ];
            assert_eq!(what(&conflict), ("resource aws_s3_bucket.logs", parties));
            let remedy = "exclude: [\"/terraform/main.tf\"] in the entry of eks of https://host/org/eks-repo: the whole file is left out then";
            assert_eq!(conflict.remedies[0], remedy);
        }
    }

    #[test]
    fn files_of_one_name_both_stay_and_are_reported_by_the_names_in_their_layers() {
        let world = World::new(&[]).source("eks", &[THEIRS]).source(
            "web",
            &[("terraform/main.tf", "\nresource aws_s3_bucket logs {}\n")],
        );
        let conflict = world.conflict();
        let parties = vec![
            (Origin::Source(SourceId(0)), "eks/terraform/main.tf", Some(1)),
            (Origin::Source(SourceId(1)), "web/terraform/main.tf", Some(2)),
        ];
        assert_eq!(what(&conflict), ("resource aws_s3_bucket.logs", parties));
        assert!(
            conflict.remedies[0].contains("[\"/terraform/main.tf\"] in the entry of eks"),
            "{:?}",
            conflict.remedies
        );
    }

    #[test]
    fn terraforms_own_business_is_left_to_terraform() {
        let twice = "variable \"x\" {}\nvariable \"x\" {}\n";
        for (own, theirs) in [
            // Overriding files, of either side.
            (("dev/terraform/main_override.tf", OWN.1), THEIRS),
            (OWN, ("terraform/override.tf", THEIRS.1)),
            // Other directories, other files.
            (("dev/terraform/modules/logs/main.tf", OWN.1), THEIRS),
            (("dev/terraform/main.txt", OWN.1), THEIRS),
            // One layer's own mistakes.
            (("dev/terraform/own.tf", twice), THEIRS),
            (OWN, ("terraform/main.tf", twice)),
            (OWN, ("terraform/main.tf", "resource {")),
        ] {
            let conflicts = World::new(&[own]).source("eks", &[theirs]).compose().conflicts;
            assert_eq!(conflicts, [], "{own:?} {theirs:?}");
        }
    }
}
