//! Detection of things that two layers define for Terraform, before Terraform refuses them.
//!
//! Terraform reads all `.tf` and `.tf.json` files of a directory as one. Files of several layers
//! lie together in a composed directory, whether they had the same name (and all stay) or not.

use std::cell::LazyCell;

use compose_merge::{Definition, DefinitionsFile, Duplicate};

use super::{
    ComposeError, Request,
    bytes::Bytes,
    composition::{Clash, ComposedFile, ConflictKind, Party},
    directory::{self, ListedFile},
};

/// Finds every definition that stands in files of two layers. Two definitions in one layer are not
/// reported, because they are that layer's own problem.
pub(super) fn find(request: &Request<'_>, files: &[ComposedFile]) -> Result<Vec<Clash>, ComposeError> {
    let directories = directory::of_sources(files, is_read);
    if directories.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = LazyCell::new(|| Bytes::new(request.layers, request.contents, request.local));
    let mut conflicts = Vec::new();
    for dir in directories {
        request.cancel.check()?;
        let files = directory::list(request, files, &dir, is_read)?;
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
        let mut duplicates: Vec<Duplicate> = Vec::new();
        for view in directory::views(&files) {
            let defined: Vec<_> = defined
                .iter()
                .filter(|(index, _)| view.contains(index))
                .cloned()
                .collect();
            for duplicate in compose_merge::duplicates(&defined) {
                if !duplicates.contains(&duplicate) {
                    duplicates.push(duplicate);
                }
            }
        }
        for duplicate in duplicates {
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

fn party(file: &ListedFile<'_>, line: usize) -> Party {
    Party {
        line: Some(line),
        ..file.party()
    }
}

/// Returns whether Terraform reads the file beside the others. Override files do not count:
/// Terraform merges them into the others, so they define nothing twice. Editors' files do not count
/// either, because Terraform skips them; of those, only `.name.tf` has the extension of a
/// configuration.
fn is_read(name: &str) -> bool {
    DefinitionsFile::of_name(name).is_some_and(|file| file.is_read() && !file.is_override())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compose::{Conflict, testing::World},
        layer::{Origin, SourceId},
    };

    /// The layer, the file and the line.
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
            let remedy = "exclude: [\"/terraform/main.tf\"] at dev/bitops.config.yaml:1 (eks v1.0.0 (org/eks-repo)): the whole file is left out then";
            assert_eq!(world.remedies(&conflict)[0], remedy);
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
            world.remedies(&conflict)[0].starts_with("exclude: [\"/terraform/main.tf\"] at dev/"),
            "{:?}",
            world.remedies(&conflict)
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
