//! Detection of things that override files of two sources set to different values.
//!
//! Terraform merges the override files of a directory one after the other. [`overrides`](super::overrides)
//! gives them names by which the higher layer wins, but between sources of the same rank the order
//! of the config's list must not decide.

use std::{cell::LazyCell, collections::BTreeMap};

use compose_merge::OverrideSetting;

use super::{
    ComposeError, Request,
    bytes::Bytes,
    composition::{Clash, ComposedFile, ConflictKind, Party},
    directory::{self, ListedFile},
    overrides::is_override,
    rank,
};
use crate::layer::Origin;

/// What one layer overrides.
struct Setter<'f> {
    file: &'f ListedFile<'f>,
    party: Party,
    setting: &'f OverrideSetting,
}

/// Finds everything that sources override in different ways. `files` are sorted by path.
pub(super) fn find(request: &Request<'_>, files: &[ComposedFile]) -> Result<Vec<Clash>, ComposeError> {
    let bytes = LazyCell::new(|| Bytes::new(request.layers, request.contents, request.local));
    let mut clashes: Vec<Clash> = Vec::new();
    for dir in directory::of_sources(files, is_override) {
        request.cancel.check()?;
        let files = directory::list(request, files, &dir, is_override)?;
        if !are_of_two_sources(&files) {
            continue;
        }
        let mut settings = Vec::new();
        for file in &files {
            // A file that does not parse is skipped, because Terraform reports it with a better
            // place.
            let read = compose_merge::override_settings(&file.path, &file.read(request, &bytes)?);
            settings.push(read.unwrap_or_default());
        }
        for view in directory::views(&files) {
            let mut by_address: BTreeMap<&str, BTreeMap<Origin, Setter<'_>>> = BTreeMap::new();
            for index in view {
                for setting in &settings[index] {
                    let all = by_address.entry(&setting.address).or_default();
                    for party in parties(&files[index], setting.line) {
                        // Of several files of one layer the last one counts.
                        let file = &files[index];
                        all.insert(party.origin, Setter { file, party, setting });
                    }
                }
            }
            for (address, setters) in by_address {
                let setters: Vec<Setter<'_>> = setters.into_values().collect();
                for clash in conflicts(request, address, &setters) {
                    if !clashes.contains(&clash) {
                        clashes.push(clash);
                    }
                }
            }
        }
    }
    Ok(clashes)
}

fn are_of_two_sources(files: &[ListedFile<'_>]) -> bool {
    let mut origins = files
        .iter()
        .flat_map(|file| parties(file, 1))
        .map(|party| party.origin);
    let first = origins.find(|origin| *origin != Origin::Local);
    origins.any(|origin| origin != Origin::Local && Some(origin) != first)
}

/// Returns all layers that have a file with these bytes, each with its own path.
fn parties(file: &ListedFile<'_>, line: usize) -> Vec<Party> {
    let from = file
        .composed
        .map_or(std::slice::from_ref(&file.from), |composed| &composed.from);
    from.iter()
        .map(|from| Party {
            origin: from.origin,
            path: from.path.clone(),
            line: Some(line),
            ..file.party()
        })
        .collect()
}

/// Returns the conflicts between what layers, lowest first, set for one thing.
fn conflicts(request: &Request<'_>, address: &str, setters: &[Setter<'_>]) -> Vec<Clash> {
    let precedence = |lower: usize, higher: usize| {
        rank::between(request, setters[higher].party.origin, setters[lower].party.origin)
    };
    let differ = |a: usize, b: usize| setters[a].setting.value != setters[b].setting.value;
    let settled = compose_merge::settle(setters.len(), &precedence, differ);
    let clash = |(lower, higher): (usize, usize)| Clash {
        path: setters[higher].file.path.clone(),
        kind: ConflictKind::OverriddenTwice {
            what: address.to_owned(),
        },
        parties: vec![setters[lower].party.clone(), setters[higher].party.clone()],
    };
    settled.conflicts.into_iter().map(clash).collect()
}
