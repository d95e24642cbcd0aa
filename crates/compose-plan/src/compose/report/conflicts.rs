//! Lists conflicts one by one, as diagnostics with a place.

use std::{collections::BTreeMap, sync::Arc};

use compose_model::{Background, Diagnostic, Overview};

use super::overview;
use crate::{
    compose::{Composition, Conflict, names::Names, remedy_words::sentence, wording},
    layer::{Origin, Source},
};

/// Returns every conflict, with those between the same sources next to each other. Each diagnostic
/// names its parties and remedies; its place is the entry of the highest source that is a party. The
/// last one counts the conflicts that are not listed. For people, all of them are shown as one text of
/// this many columns.
pub fn conflicts(composition: &Composition, sources: &[Source], columns: usize) -> Vec<Diagnostic> {
    let names = Names {
        environment: &composition.environment,
        sources,
    };
    let mut groups: BTreeMap<Vec<Origin>, Vec<&Conflict>> = BTreeMap::new();
    for conflict in &composition.conflicts {
        groups.entry(conflict.between()).or_default().push(conflict);
    }
    let mut all: Vec<Diagnostic> = groups
        .into_values()
        .flatten()
        .map(|conflict| diagnostic(conflict, names))
        .chain(overview::more(composition).map(Diagnostic::error))
        .collect();
    if let Some(message) = overview::count(composition) {
        let overview = Arc::new(Overview {
            message,
            text: overview::conflicts(composition, sources, columns),
            hints: Vec::new(),
        });
        all.iter_mut()
            .for_each(|one| one.overview = Some(Arc::clone(&overview)));
    }
    all
}

fn diagnostic(conflict: &Conflict, names: Names<'_>) -> Diagnostic {
    let highest = conflict
        .parties
        .iter()
        .rev()
        .find_map(|party| match party.origin {
            Origin::Source(source) => Some(&names.sources[source.0]),
            Origin::Local => None,
        });
    let parties = conflict.parties.iter();
    let mut diagnostic = Diagnostic::error(format!("{}: {}", conflict.path, wording::message(conflict)));
    diagnostic.background = Background::Parties(parties.map(|party| wording::side(party, names)).collect());
    diagnostic.place = highest.map(|source| source.place.clone());
    let remedies = conflict.remedies.iter();
    diagnostic.hints = remedies.map(|remedy| sentence(remedy, names)).collect();
    diagnostic
}
