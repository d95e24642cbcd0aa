//! The rules of composing, each seen from outside.

mod deployments;
mod edits;
mod nested;
mod places;
mod properties;
mod remedies;
mod rename_warnings;
mod reports;
mod rules;
mod terraform_order;
mod variables;

use crate::{
    compose::{Action, Composition, Provenance},
    layer::Origin,
};

/// Returns the path, action and contributions of every file.
fn summary(composition: &Composition) -> Vec<(&str, Action, Vec<String>)> {
    let from = |from: &Provenance| match from.origin {
        Origin::Local => "local".to_owned(),
        Origin::Source(id) => format!("{} {}", id.0, from.path),
    };
    composition
        .files
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.action,
                file.from.iter().map(from).collect(),
            )
        })
        .collect()
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
