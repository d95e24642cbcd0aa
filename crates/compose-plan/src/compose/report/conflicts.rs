//! Lists conflicts one by one, as diagnostics with a place.

use std::collections::BTreeMap;

use compose_model::{Background, Diagnostic};

use crate::{
    compose::{Composition, Conflict, wording},
    layer::{Origin, Source},
};

/// Returns every conflict, with those between the same sources next to each other. Each diagnostic
/// names its parties and remedies; its place is the entry of the highest source that is a party. The
/// last one counts the conflicts that are not listed.
pub fn conflicts(composition: &Composition, sources: &[Source]) -> Vec<Diagnostic> {
    let mut groups: BTreeMap<Vec<Origin>, Vec<&Conflict>> = BTreeMap::new();
    for conflict in &composition.conflicts {
        groups.entry(conflict.between()).or_default().push(conflict);
    }
    groups
        .into_values()
        .flatten()
        .map(|conflict| diagnostic(conflict, sources))
        .chain(more(composition).map(Diagnostic::error))
        .collect()
}

/// Returns the line that counts the conflicts that are not listed, if there are any.
pub(super) fn more(composition: &Composition) -> Option<String> {
    match composition.more_conflicts {
        0 => None,
        1 => Some("and 1 more conflict".to_owned()),
        count => Some(format!("and {count} more conflicts")),
    }
}

fn diagnostic(conflict: &Conflict, sources: &[Source]) -> Diagnostic {
    let highest = conflict
        .parties
        .iter()
        .rev()
        .find_map(|party| match party.origin {
            Origin::Source(source) => Some(&sources[source.0]),
            Origin::Local => None,
        });
    let parties = conflict.parties.iter();
    let mut diagnostic = Diagnostic::error(format!("{}: {}", conflict.path, wording::message(conflict)));
    diagnostic.background = Background::Parties(parties.map(|party| wording::side(party, sources)).collect());
    diagnostic.place = highest.map(|source| source.place.clone());
    diagnostic.hints.clone_from(&conflict.remedies);
    diagnostic
}
