//! Conflicts one by one, for errors with a place.

use std::collections::BTreeMap;

use compose_model::{ExitCode, Place, Problem};

use crate::{
    compose::{Composition, Conflict, wording},
    layer::{Origin, Source},
};

/// A conflict in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The path and what is wrong with it.
    pub message: String,
    /// Who has what, lowest first.
    pub sides: Vec<String>,
    /// What to do: any one of these.
    pub remedies: Vec<String>,
    /// The entry of the highest source that is a party to it.
    pub place: Option<Place>,
}

impl From<Described> for Problem {
    fn from(conflict: Described) -> Self {
        Self {
            causes_are: "in",
            causes: conflict.sides,
            place: conflict.place,
            hints: conflict.remedies,
            ..Self::new(ExitCode::Config, conflict.message)
        }
    }
}

/// Every conflict; those between the same sources stand together.
pub fn conflicts(composition: &Composition, sources: &[Source]) -> Vec<Described> {
    let mut groups: BTreeMap<Vec<Origin>, Vec<&Conflict>> = BTreeMap::new();
    for conflict in &composition.conflicts {
        groups.entry(conflict.between()).or_default().push(conflict);
    }
    groups
        .into_values()
        .flatten()
        .map(|conflict| describe(conflict, sources))
        .collect()
}

fn describe(conflict: &Conflict, sources: &[Source]) -> Described {
    let highest = conflict
        .parties
        .iter()
        .rev()
        .find_map(|party| match party.origin {
            Origin::Source(source) => Some(&sources[source.0]),
            Origin::Local => None,
        });
    Described {
        message: format!("{}: {}", conflict.path, wording::message(conflict)),
        sides: conflict
            .parties
            .iter()
            .map(|party| wording::side(party, sources))
            .collect(),
        remedies: conflict.remedies.clone(),
        place: highest.map(|source| source.place.clone()),
    }
}
