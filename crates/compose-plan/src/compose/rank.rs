//! Which of two layers wins where both set one thing.

use compose_merge::Precedence;
use compose_model::OnConflict;

use super::Request;
use crate::layer::Origin;

/// Returns the precedence between different layers.
pub(super) fn between(request: &Request<'_>, higher: Origin, lower: Origin) -> Precedence {
    if request.layers.overrides(higher, lower) {
        return Precedence::HigherWins;
    }
    match (on_conflict(request, higher), on_conflict(request, lower)) {
        (OnConflict::Error, OnConflict::Error) => Precedence::Conflict,
        (OnConflict::Last, _) | (OnConflict::Error, OnConflict::Last) => Precedence::HigherWins,
        (OnConflict::First, _) | (OnConflict::Error, OnConflict::First) => Precedence::LowerStays,
    }
}

/// Returns a source's own setting, or else that of the nearest source that nests it. The config
/// that names a catalog can thus settle the conflicts of the sources that the catalog names.
fn on_conflict(request: &Request<'_>, origin: Origin) -> OnConflict {
    let Origin::Source(source) = origin else {
        return OnConflict::Error;
    };
    let sources = &request.layers.sources;
    let own = &sources[source.0];
    let chain = own.via.iter().rev().map(|via| sources[via.0].on_conflict);
    std::iter::once(own.on_conflict)
        .chain(chain)
        .find(|set| *set != OnConflict::Error)
        .unwrap_or_default()
}
