//! Words for remedies. A sentence, and the lines below a group of conflicts, are made of the same parts.

use compose_model::{OnConflict, TreePath, text};
use compose_yaml::double_quote;

use super::{
    names::Names,
    remedy::{Change, Effect, EntryChange, EntryEdit, Needs, OwnEdit, Remedy},
    wording::enumeration,
};
use crate::layer::SourceId;

/// The number of places, keys or files that a sentence names.
const MOST: usize = 10;

/// What a reader has to know about an entry that stands in a source's config.
pub(super) const NOT_YOURS: &str =
    "not your file: name that source in your own list, and your entry counts instead";

/// Returns the remedy as one sentence without a full stop.
pub(super) fn sentence(remedy: &Remedy, names: Names<'_>) -> String {
    let mut parts = Vec::new();
    let entries: Vec<&EntryChange> = remedy.changes.iter().filter_map(entry).collect();
    if let Some(first) = entries.first() {
        let is_shorter = remedy.effect == Effect::Plain && first.edit == EntryEdit::Rename;
        let head = if is_shorter { "a shorter, plain " } else { "" };
        let mut places = Vec::new();
        let mut before = None;
        for change in entries.iter().take(MOST) {
            let what = pasted(&change.edit);
            let what = if before.as_ref() == Some(&what) {
                String::new()
            } else {
                format!("{what} ")
            };
            before = Some(pasted(&change.edit));
            places.push(format!("{what}at {}", place(change, names)));
        }
        let more = entries.len().saturating_sub(MOST);
        if more > 0 {
            places.push(format!("in {more} more entries"));
        }
        parts.push(format!("{head}{}", joined(&places, remedy.needs)));
    }
    parts.extend(own(&own_changes(&[remedy])));
    parts.extend(remedy.changes.iter().filter_map(|change| match change {
        Change::Other(sentence) => Some(sentence.clone()),
        _ => None,
    }));
    let what = parts.join(", and ");
    match effect(remedy, |source| names.source(source)) {
        Some(effect) => format!("{what}: {effect}"),
        None => what,
    }
}

/// Returns what is written into an entry, as it can be pasted, or what is done with it.
pub(super) fn pasted(edit: &EntryEdit) -> String {
    match edit {
        EntryEdit::Exclude(globs) => {
            let globs: Vec<String> = globs.iter().map(|glob| double_quote(glob)).collect();
            format!("exclude: [{}]", globs.join(", "))
        }
        EntryEdit::Last => "on-conflict: last".to_owned(),
        EntryEdit::First => "on-conflict: first".to_owned(),
        EntryEdit::Rename => "as: NAME".to_owned(),
        EntryEdit::NotRenamed => "leave out `as`".to_owned(),
        EntryEdit::NotShared(dir) => format!("leave `{}` out of `shared`", text::escape(dir, 80)),
    }
}

fn place(change: &EntryChange, names: Names<'_>) -> String {
    let loses = match change.loses {
        None => String::new(),
        Some(1) => ", its only file there".to_owned(),
        Some(count) => format!(", its {count} files there"),
    };
    let foreign = if change.is_own {
        String::new()
    } else {
        format!("; {NOT_YOURS}")
    };
    format!(
        "{} ({}{loses}{foreign})",
        names.entry(change.at),
        names.source(change.of)
    )
}

/// Joins alternatives, or things that belong together.
pub(super) fn joined(places: &[String], needs: Needs) -> String {
    match needs {
        Needs::All => enumeration(places),
        Needs::One => places.join(", or "),
        Needs::AllButOne => format!("{}; all but one of these", places.join("; ")),
    }
}

/// Returns what happens after a remedy. `name` names a source.
pub(super) fn effect(remedy: &Remedy, name: impl Fn(SourceId) -> String) -> Option<String> {
    let rest = match (&remedy.effect, remedy.needs) {
        (Effect::Plain, _) => return None,
        (Effect::OtherIsUsed, Needs::One) => "what the other one has is used then".to_owned(),
        (Effect::OtherIsUsed, Needs::AllButOne) => "what the remaining one has is used".to_owned(),
        (Effect::OtherIsUsed, Needs::All) => "what is left is used then".to_owned(),
        (Effect::FilesAreLeftOut, _) => "the whole file is left out then".to_owned(),
        (Effect::BothRun { deployment, again }, _) => {
            let another = if *again { ", with another NAME" } else { "" };
            format!("its deployment becomes NAME-{deployment} and runs on its own{another}")
        }
        (Effect::Takes(source), _) => format!("what {} has is used then", name(*source)),
        (Effect::TakesByOrder(OnConflict::First), _) => {
            "of those that disagree, the first one in the list counts then".to_owned()
        }
        (Effect::TakesByOrder(_), _) => {
            "of those that disagree, the last one in the list counts then".to_owned()
        }
        (Effect::LocalWins, _) => {
            let edits = remedy.changes.iter();
            let is_value = edits
                .filter_map(own_edit)
                .any(|edit| matches!(edit, OwnEdit::Set(_)));
            let what = if is_value { "value" } else { "file" };
            format!("a local {what} wins over every source")
        }
    };
    Some(rest)
}

/// Returns the changes of the user's own files, those of one file next to each other.
pub(super) fn own_changes<'r>(remedies: &[&'r Remedy]) -> Vec<(&'r TreePath, &'r OwnEdit)> {
    let mut all: Vec<(&TreePath, &OwnEdit)> = Vec::new();
    for change in remedies.iter().flat_map(|remedy| &remedy.changes) {
        if let Change::Own { file, edit } = change
            && !all.contains(&(file, edit))
        {
            all.push((file, edit));
        }
    }
    all
}

/// Returns what is done with the user's own files: one part of a sentence for each file, or for all
/// files that are written.
pub(super) fn own(changes: &[(&TreePath, &OwnEdit)]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = changes;
    while let Some((&(file, edit), _)) = rest.split_first() {
        let same = |other: &&(&TreePath, &OwnEdit)| match edit {
            OwnEdit::Write => *other.1 == OwnEdit::Write,
            _ => other.0 == file && std::mem::discriminant(other.1) == std::mem::discriminant(edit),
        };
        let count = rest.iter().take_while(same).count();
        let (these, after) = rest.split_at(count);
        rest = after;
        let named = |quote: &str| {
            let mut all: Vec<String> = these
                .iter()
                .take(MOST)
                .map(|(file, edit)| match edit {
                    OwnEdit::Set(what) | OwnEdit::Override(what) | OwnEdit::TakeOut(what) => {
                        format!("{quote}{}{quote}", text::escape(what, 200))
                    }
                    _ => file.to_string(),
                })
                .collect();
            let more = these.len().saturating_sub(MOST);
            if more > 0 {
                all.push(format!("{more} more"));
            }
            enumeration(&all)
        };
        parts.push(match edit {
            OwnEdit::Set(_) => format!("set {} in your own {file}", named("`")),
            OwnEdit::Write => format!("write your own {}", named("")),
            OwnEdit::Override(_) => format!("override {} in an override file of your own", named("`")),
            OwnEdit::TakeOut(_) => format!(
                "take {} out of your own {file}, and keep what you changed in a file named NAME_override.tf, which Terraform merges",
                named("")
            ),
            OwnEdit::Rename => format!("rename your own {}", named("")),
            OwnEdit::List(sentence) => sentence.clone(),
            OwnEdit::PlainList => format!("write `bitops.deployments` in {file} as a plain block"),
        });
    }
    parts
}

pub(super) fn entry(change: &Change) -> Option<&EntryChange> {
    match change {
        Change::Entry(entry) => Some(entry),
        _ => None,
    }
}

fn own_edit(change: &Change) -> Option<&OwnEdit> {
    match change {
        Change::Own { edit, .. } => Some(edit),
        _ => None,
    }
}
