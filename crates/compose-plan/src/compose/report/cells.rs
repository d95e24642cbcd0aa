//! The cells of a table of conflicts.

use compose_model::text;

use crate::{
    compose::{
        composition::{Conflict, ConflictGroup, ConflictKind, Holds, Party},
        names::Names,
        wording,
    },
    layer::Origin,
};

/// The cell of a side that takes part with its whole file.
pub(super) const DIFFERS: &str = "differs";

/// Returns the path, relative to the group's directory.
pub(super) fn file(conflict: &Conflict, group: &ConflictGroup) -> String {
    let path = conflict.path.as_str();
    text::escape(path.strip_prefix(&group.directory).unwrap_or(path), 4096)
}

/// Returns what the sides disagree on. Values are not part of it, because they may be secrets.
pub(super) fn what(conflict: &Conflict) -> String {
    let escaped = |text: &str| text::escape(text, 200);
    match &conflict.kind {
        ConflictKind::Content { .. } => "contents differ".to_owned(),
        ConflictKind::Mode => "executable or not".to_owned(),
        ConflictKind::Key { key } => escaped(key),
        ConflictKind::Variable { variable } => format!("variable {}", escaped(variable)),
        ConflictKind::VariableOrder { variable, .. } => format!("{} is loaded last", escaped(variable)),
        ConflictKind::OverriddenTwice { what } => format!("{} overridden twice", escaped(what)),
        ConflictKind::DefinedTwice { what } => format!("{} defined twice", escaped(what)),
        ConflictKind::FileAgainstDirectory => "a file and a directory".to_owned(),
        ConflictKind::NameCollision => "names that are one elsewhere".to_owned(),
        ConflictKind::Plugin { deployment, .. } => format!("plugin of {}", escaped(deployment)),
        ConflictKind::DeploymentsUnknown => "unknown deployments".to_owned(),
        ConflictKind::Config { .. } => "list of deployments".to_owned(),
        ConflictKind::SharedInside => "shared directory".to_owned(),
        ConflictKind::Name { name, .. } => format!("name {}", escaped(name)),
    }
}

/// Returns the sentence that explains a conflict whose kind does not explain itself.
pub(super) fn note(conflict: &Conflict) -> Option<String> {
    let file = conflict.path.file_name();
    match &conflict.kind {
        ConflictKind::Content {
            unmerged: Some(unmerged),
        } => Some(format!("{file}: {unmerged}")),
        ConflictKind::NameCollision => Some(wording::message(conflict)),
        ConflictKind::Config { .. }
        | ConflictKind::VariableOrder { .. }
        | ConflictKind::Plugin { .. }
        | ConflictKind::DeploymentsUnknown
        | ConflictKind::SharedInside
        | ConflictKind::Name { .. } => Some(format!("{file}: {}", wording::message(conflict))),
        _ => None,
    }
}

/// Returns where a side has its part: the line, with the file if its name is another one. It is empty
/// if the side takes no part.
pub(super) fn side(conflict: &Conflict, side: Origin, group: &ConflictGroup, names: Names<'_>) -> String {
    let parties = conflict.parties.iter().filter(|party| party.origin == side);
    let mut cells: Vec<String> = parties
        .map(|party| match cell(conflict, party, group, names) {
            cell if cell.is_empty() => DIFFERS.to_owned(),
            cell => cell,
        })
        .collect();
    cells.dedup();
    cells.join(", ")
}

fn cell(conflict: &Conflict, party: &Party, group: &ConflictGroup, names: Names<'_>) -> String {
    let line = party.line.map(|line| format!(":{line}")).unwrap_or_default();
    match (&party.holds, &conflict.kind) {
        (Holds::Plugin(plugin), _) => return format!("{} {line}", text::escape(plugin, 80)),
        (Holds::Directory, ConflictKind::FileAgainstDirectory) => return "directory".to_owned(),
        (Holds::File, ConflictKind::FileAgainstDirectory) => return "file".to_owned(),
        _ => {}
    }
    let environment = match party.origin {
        Origin::Source(source) => &names.sources[source.0].environment,
        Origin::Local => names.environment,
    };
    let own = party.path.relative_to(environment);
    let is_name = conflict.kind == ConflictKind::NameCollision;
    if is_name && party.origin != Origin::Local {
        let depth = conflict.path.relative_to(names.environment).split('/').count();
        let name = own.split('/').nth(depth - 1).unwrap_or(&own);
        let slash = if party.holds == Holds::Directory { "/" } else { "" };
        return format!("{}{slash}", text::escape(name, 255));
    }
    let composed = conflict.path.relative_to(names.environment);
    if own == composed && !is_name {
        return line;
    }
    let below = |path: &str| match path.split_once('/') {
        Some((_, rest)) => rest.to_owned(),
        None => path.to_owned(),
    };
    // A deployment that `as` renamed has another name in its source.
    if below(&own) == below(&composed) && !is_name {
        return line;
    }
    let directory = group
        .directory
        .strip_prefix(&format!("{}/", names.environment))
        .unwrap_or_default();
    let own = own.strip_prefix(directory).unwrap_or(&own);
    let own = if own.starts_with("../") {
        party.path.as_str()
    } else {
        own
    };
    format!("{}{line}", text::escape(own, 4096))
}
