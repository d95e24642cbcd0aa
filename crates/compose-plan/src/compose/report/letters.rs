//! The remedies of a group of conflicts, each once and with a letter.

use std::{collections::BTreeSet, sync::Arc};

use compose_model::OnConflict;
use compose_yaml::double_quote;

use super::columns::{width, wrapped};
use crate::{
    compose::{
        composition::Conflict,
        names::Names,
        remedy::{Change, Effect, EntryChange, EntryEdit, Needs, Remedy},
        remedy_words::{NOT_YOURS, effect, entry, joined, own, own_changes, pasted},
    },
    layer::{Origin, SourceId},
};

/// The number of globs below a directory's, which they are an alternative to.
const MOST_FILES: usize = 4;
/// The number of lines of a list.
const MOST: usize = 20;

/// A remedy of a group.
pub(in crate::compose) struct Lettered {
    index: usize,
    /// The remedies of the conflicts that it stands for. They are of one kind.
    parts: Vec<Arc<Remedy>>,
    /// The other value of `on-conflict`, at the same places.
    first: Option<Arc<Remedy>>,
    /// The conflicts that it settles, by their place in the group.
    pub(in crate::compose) settles: BTreeSet<usize>,
}

/// Returns `A` to `Z`, then `AA` and so on.
pub(super) fn letter(index: usize) -> String {
    let last = char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => last.to_string(),
        before => letter(before - 1) + &last.to_string(),
    }
}

/// Returns the letter of a remedy.
pub(super) fn small_letter(index: usize) -> String {
    letter(index).to_lowercase()
}

/// The kinds of remedies, in the order of their letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Directory,
    Files,
    Order,
    Rename,
    Entry,
    Own,
    Other,
}

fn kind(remedy: &Remedy) -> Kind {
    match remedy.changes.first() {
        Some(Change::Entry(_)) if remedy.changes.iter().any(|change| entry(change).is_none()) => Kind::Entry,
        Some(Change::Entry(change)) => match change.edit {
            EntryEdit::Exclude(_) if remedy.is_shared => Kind::Directory,
            EntryEdit::Exclude(_) => Kind::Files,
            EntryEdit::Last | EntryEdit::First => Kind::Order,
            EntryEdit::Rename => Kind::Rename,
            EntryEdit::NotRenamed | EntryEdit::NotShared(_) => Kind::Entry,
        },
        Some(Change::Own { .. }) => Kind::Own,
        Some(Change::Other(_)) | None => Kind::Other,
    }
}

/// Returns whether two remedies change the same entries, each once. Two names that one source has are
/// alternatives.
fn have_same_sides(one: &Remedy, other: &Remedy) -> bool {
    let at = |remedy: &Remedy| {
        let changes = remedy.changes.iter().filter_map(entry);
        changes.map(|change| change.at).collect::<BTreeSet<_>>()
    };
    let first = at(one);
    first.len() == one.changes.len() && first.len() == other.changes.len() && first == at(other)
}

/// Merges the remedies of conflicts of one group.
pub(in crate::compose) fn lettered(conflicts: &[&Conflict]) -> Vec<Lettered> {
    let mut all: Vec<(Kind, Lettered)> = Vec::new();
    for (at, conflict) in conflicts.iter().enumerate() {
        for remedy in conflict.remedies.iter().filter(|one| !one.changes.is_empty()) {
            let kind = kind(remedy);
            let is_same = |(other, known): &(Kind, Lettered)| {
                let one = &known.parts[0];
                *other == kind
                    && (Arc::ptr_eq(one, remedy)
                        || one == remedy
                        || kind == Kind::Own
                        || (kind == Kind::Files && one.needs == remedy.needs && have_same_sides(one, remedy)))
            };
            match all.iter_mut().find(|known| is_same(known)) {
                Some((_, known)) => {
                    if !known.parts.iter().any(|part| Arc::ptr_eq(part, remedy)) && !known.parts[0].is_shared
                    {
                        known.parts.push(Arc::clone(remedy));
                    }
                    known.settles.insert(at);
                }
                None => all.push((
                    kind,
                    Lettered {
                        index: 0,
                        parts: vec![Arc::clone(remedy)],
                        first: None,
                        settles: BTreeSet::from([at]),
                    },
                )),
            }
        }
    }
    all.sort_by_key(|(kind, _)| *kind);
    let directory = all.iter().find(|(kind, _)| *kind == Kind::Directory);
    let lost: Vec<usize> = directory
        .iter()
        .flat_map(|(_, one)| &one.parts[0].changes)
        .filter_map(|change| entry(change)?.loses)
        .collect();
    if !lost.is_empty() {
        let is_worthwhile = |one: &Lettered| {
            let globs: Vec<usize> = one.entries().iter().map(|entry| entry.globs.len()).collect();
            one.settles.len() == conflicts.len()
                && globs.iter().all(|count| *count <= MOST_FILES)
                && globs.iter().max() < lost.iter().max()
        };
        all.retain(|(kind, one)| *kind != Kind::Files || is_worthwhile(one));
    }
    let mut merged: Vec<Lettered> = Vec::new();
    for (_, one) in all {
        let is_first = |one: &Lettered, last: &Lettered| {
            let at = |one: &Lettered| {
                one.entries()
                    .iter()
                    .map(|entry| entry.change.at)
                    .collect::<Vec<_>>()
            };
            one.has(&EntryEdit::First) && last.has(&EntryEdit::Last) && at(one) == at(last)
        };
        match merged.last_mut() {
            Some(last) if is_first(&one, last) => last.first = one.parts.into_iter().next(),
            _ => merged.push(one),
        }
    }
    for (index, one) in merged.iter_mut().enumerate() {
        one.index = index;
    }
    merged
}

/// A change of an entry, with everything that is left out by it.
struct Entry<'r> {
    change: &'r EntryChange,
    globs: Vec<&'r str>,
}

impl Lettered {
    fn has(&self, edit: &EntryEdit) -> bool {
        let changes = self.parts[0].changes.iter();
        changes.filter_map(entry).any(|change| change.edit == *edit)
    }

    fn needs(&self) -> Needs {
        self.parts[0].needs
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let mut all: Vec<Entry<'_>> = Vec::new();
        let changes = self.parts.iter().flat_map(|part| &part.changes);
        for change in changes.filter_map(entry) {
            let known = match &change.edit {
                // Two names of one source are alternatives.
                EntryEdit::Exclude(_) if self.parts.len() == 1 => None,
                EntryEdit::Exclude(_) => all.iter_mut().position(|known| known.change.at == change.at),
                _ => None,
            };
            let globs: Vec<&str> = match &change.edit {
                EntryEdit::Exclude(globs) => globs.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            match known {
                Some(at) => {
                    for glob in globs {
                        if !all[at].globs.contains(&glob) {
                            all[at].globs.push(glob);
                        }
                    }
                }
                None => all.push(Entry { change, globs }),
            }
        }
        all
    }

    /// Returns all sets of changes that the remedy stands for. Each of them is enough.
    #[cfg(test)]
    pub(in crate::compose) fn alternatives(&self) -> Vec<Vec<Change>> {
        let mut changes: Vec<Change> = Vec::new();
        for entry in self.entries() {
            let globs = entry.globs.iter().map(|glob| (*glob).to_owned()).collect();
            let edit = match &entry.change.edit {
                EntryEdit::Exclude(_) => EntryEdit::Exclude(globs),
                edit => edit.clone(),
            };
            changes.push(Change::Entry(EntryChange {
                edit,
                ..entry.change.clone()
            }));
        }
        let parts = self.parts.iter().flat_map(|part| &part.changes);
        changes.extend(parts.filter(|change| entry(change).is_none()).cloned());
        let mut all = match self.needs() {
            Needs::All => vec![changes],
            Needs::One => changes.into_iter().map(|change| vec![change]).collect(),
            Needs::AllButOne => (0..changes.len())
                .map(|left| {
                    let mut others = changes.clone();
                    others.remove(left);
                    others
                })
                .collect(),
        };
        all.extend(self.first.iter().map(|first| first.changes.clone()));
        all
    }

    /// Returns the lines of the remedy.
    pub(super) fn lines(
        &self,
        names: Names<'_>,
        letter: &dyn Fn(Origin) -> String,
        columns: usize,
    ) -> Vec<String> {
        let head = format!("  {}) ", small_letter(self.index));
        let indent = width(&head);
        let mut lines: Vec<String> = Vec::new();
        let entries = self.entries();
        let texts: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| pasted_lines(entry, indent + 2, columns))
            .collect();
        let name = |source: SourceId| letter(Origin::Source(source));
        if texts.windows(2).all(|pair| pair[0] == pair[1]) {
            let places = places(&entries, names, &name);
            if !places.is_empty() {
                let places = joined(&places, self.needs()).replace("), or ", ") or ");
                lines.extend(wrapped(&places, &head, indent, columns));
                lines.extend(texts.into_iter().next().unwrap_or_default());
            }
        } else {
            for (at, (entry, text)) in entries.iter().zip(texts).enumerate().take(MOST) {
                let word = match (at, self.needs()) {
                    (0, _) => String::new(),
                    (_, Needs::All) => "and ".to_owned(),
                    (_, _) => "or ".to_owned(),
                };
                let first = if at == 0 { head.clone() } else { " ".repeat(indent) };
                let place = places(std::slice::from_ref(entry), names, &name).join("");
                lines.extend(wrapped(&format!("{word}{place}"), &first, indent, columns));
                lines.extend(text);
            }
            let more = entries.len().saturating_sub(MOST);
            if more > 0 {
                lines.push(format!("{}and {more} more entries", " ".repeat(indent)));
            }
            if self.needs() == Needs::AllButOne {
                lines.push(format!("{}all but one of these", " ".repeat(indent)));
            }
        }
        let others = self.parts.iter().flat_map(|part| &part.changes);
        let others = others.filter_map(|change| match change {
            Change::Other(sentence) => Some(sentence.clone()),
            _ => None,
        });
        let parts: Vec<&Remedy> = self.parts.iter().map(AsRef::as_ref).collect();
        let mut own = own(&own_changes(&parts));
        own.extend(others);
        let what_then = self.what_then(&name, own.is_empty());
        let sentence = match (own.is_empty(), what_then) {
            (true, None) => return lines,
            (true, Some(then)) => then,
            (false, None) => own.join(", and "),
            (false, Some(then)) => format!("{}: {then}", own.join(", and ")),
        };
        let (first, sentence) = if lines.is_empty() {
            (head, sentence)
        } else if own.is_empty() {
            (" ".repeat(indent), sentence)
        } else {
            (" ".repeat(indent), format!("and {sentence}"))
        };
        lines.extend(wrapped(&sentence, &first, indent, columns));
        lines
    }

    /// Returns what happens after the remedy.
    fn what_then(&self, name: &dyn Fn(SourceId) -> String, is_entry: bool) -> Option<String> {
        let one = &self.parts[0];
        let many = self.parts.iter().any(|part| part.effect != one.effect) || self.parts.len() > 1;
        match (&one.effect, self.first.as_ref().map(|first| &first.effect)) {
            (Effect::Takes(last), Some(Effect::Takes(first))) => Some(format!(
                "what {} has is used then (`first`: what {} has)",
                name(*last),
                name(*first)
            )),
            (Effect::TakesByOrder(OnConflict::Last), Some(_)) => Some(
                "of those that disagree, the last one in the list counts then (`first`: the first one)"
                    .to_owned(),
            ),
            (Effect::FilesAreLeftOut, _) if many && is_entry => {
                Some("the whole files are left out then".to_owned())
            }
            (Effect::BothRun { deployment, again }, _) => {
                let another = if *again { "another NAME; " } else { "" };
                let which = if one.needs == Needs::One {
                    "both run"
                } else {
                    "all run"
                };
                Some(format!(
                    "{another}{which}: the deployment becomes NAME-{deployment}"
                ))
            }
            (Effect::Plain, _) if self.has(&EntryEdit::Rename) => Some("a shorter, plain NAME".to_owned()),
            (Effect::LocalWins, _) if many => Some("what is local wins over every source".to_owned()),
            _ => effect(one, name),
        }
    }
}

/// Returns the places of entries. Those in one file name it once.
fn places(entries: &[Entry<'_>], names: Names<'_>, name: &dyn Fn(SourceId) -> String) -> Vec<String> {
    let mut before: Option<String> = None;
    let mut places = Vec::new();
    for entry in entries.iter().take(MOST) {
        let change = entry.change;
        let place = names.entry(change.at);
        let (file, line) = place.rsplit_once(':').unwrap_or((&place, ""));
        let shown = if before.as_deref() == Some(file) {
            format!(":{line}")
        } else {
            place.clone()
        };
        before = Some(file.to_owned());
        let loses = match change.loses {
            None => String::new(),
            Some(1) => ", its only file".to_owned(),
            Some(count) => format!(", all its {count} files"),
        };
        let foreign = if change.is_own {
            String::new()
        } else {
            format!("; {NOT_YOURS}")
        };
        places.push(format!("{shown} ({}{loses}{foreign})", name(change.of)));
    }
    let more = entries.len().saturating_sub(MOST);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    places
}

/// Returns the text to paste into an entry: one line if it fits, else a list.
fn pasted_lines(entry: &Entry<'_>, indent: usize, columns: usize) -> Vec<String> {
    let indent = " ".repeat(indent);
    let line = match &entry.change.edit {
        EntryEdit::Exclude(_) => {
            let globs = entry.globs.iter().map(|glob| (*glob).to_owned()).collect();
            pasted(&EntryEdit::Exclude(globs))
        }
        edit => pasted(edit),
    };
    if entry.globs.len() < 2 || width(&indent) + width(&line) <= columns {
        return vec![format!("{indent}{line}")];
    }
    let mut lines = vec![format!("{indent}exclude:")];
    let globs = entry.globs.iter().take(MOST);
    lines.extend(globs.map(|glob| format!("{indent}- {}", double_quote(glob))));
    let more = entry.globs.len().saturating_sub(MOST);
    if more > 0 {
        lines.push(format!("{indent}# and {more} more"));
    }
    lines
}
