//! Remedies for programs.

use compose_model::text;
use serde::Serialize;

use crate::{
    compose::{
        names::Names,
        remedy::{Change, EntryChange, EntryEdit, OwnEdit, Remedy},
        remedy_words::sentence,
    },
    layer::Source,
};

/// A way to settle a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanRemedy {
    /// The remedy in one sentence.
    pub text: String,
    /// The number of conflicts between the same sides in the same directory that it settles.
    pub settles: usize,
    /// How many of the changes have to be made: `all`, `one` or `all-but-one`.
    pub needs: &'static str,
    /// The changes.
    pub changes: Vec<PlanChange>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum PlanChange {
    /// A change of an entry of `default-environments`.
    Entry {
        /// The config, relative to the operations repo's root; for a source's own config its repo, tag
        /// and path.
        file: String,
        /// The line of the entry, from 1.
        line: usize,
        /// Whether the file is the local environment's config.
        own: bool,
        /// The repo of the entry.
        repo: String,
        /// The environment of the entry.
        environment: String,
        /// The keys that get a value. `null` removes a key. The `NAME` of `as` is to be chosen.
        #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
        set: serde_json::Map<String, serde_json::Value>,
        /// The lists that get further items.
        #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
        add: serde_json::Map<String, serde_json::Value>,
        /// The lists that lose items.
        #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
        remove: serde_json::Map<String, serde_json::Value>,
    },
    /// A key or a variable gets a value in one of the user's own files.
    SetKey {
        /// The file, relative to the operations repo's root.
        file: String,
        /// The key path, or the variable.
        key: String,
    },
    /// The user writes the file.
    WriteFile {
        /// The file.
        file: String,
    },
    /// The user overrides a thing of Terraform in an override file beside the file.
    Override {
        /// The file.
        file: String,
        /// The argument or the type of block, with its address.
        what: String,
    },
    /// The user takes a definition of Terraform out of a file.
    TakeOut {
        /// The file.
        file: String,
        /// The kind of thing and its address.
        what: String,
    },
    /// The user gives a file or directory another name.
    Rename {
        /// The file or directory.
        file: String,
    },
    /// The user lists deployments in the config, as the remedy's text says.
    ListDeployments {
        /// The config.
        file: String,
    },
    /// Something else, which only the remedy's text says.
    Other,
}

/// Returns a remedy for programs.
pub(in crate::compose) fn remedy(remedy: &Remedy, names: Names<'_>) -> PlanRemedy {
    PlanRemedy {
        text: sentence(remedy, names),
        settles: remedy.settles,
        needs: remedy.needs.as_str(),
        changes: remedy
            .changes
            .iter()
            .map(|one| change(one, names.sources))
            .collect(),
    }
}

fn change(change: &Change, sources: &[Source]) -> PlanChange {
    let (file, edit) = match change {
        Change::Entry(change) => return entry(change, sources),
        Change::Other(_) => return PlanChange::Other,
        Change::Own { file, edit } => (file.to_string(), edit),
    };
    let escaped = |text: &str| text::escape(text, 1000);
    match edit {
        OwnEdit::Set(key) => PlanChange::SetKey {
            file,
            key: escaped(key),
        },
        OwnEdit::Write => PlanChange::WriteFile { file },
        OwnEdit::Override(what) => PlanChange::Override {
            file,
            what: escaped(what),
        },
        OwnEdit::TakeOut(what) => PlanChange::TakeOut {
            file,
            what: escaped(what),
        },
        OwnEdit::Rename => PlanChange::Rename { file },
        OwnEdit::List(_) | OwnEdit::PlainList => PlanChange::ListDeployments { file },
    }
}

fn entry(change: &EntryChange, sources: &[Source]) -> PlanChange {
    let source = &sources[change.at.0];
    let one = |key: &str, value: serde_json::Value| serde_json::Map::from_iter([(key.to_owned(), value)]);
    let none = serde_json::Map::new;
    let (set, add, remove) = match &change.edit {
        EntryEdit::Exclude(globs) => (none(), one("exclude", globs.as_slice().into()), none()),
        EntryEdit::Last => (one("on-conflict", "last".into()), none(), none()),
        EntryEdit::First => (one("on-conflict", "first".into()), none(), none()),
        EntryEdit::Rename => (one("as", "NAME".into()), none(), none()),
        EntryEdit::NotRenamed => (one("as", serde_json::Value::Null), none(), none()),
        EntryEdit::NotShared(dir) => (none(), none(), one("shared", vec![dir.as_str()].into())),
    };
    PlanChange::Entry {
        file: source.place.file.to_string(),
        line: source.place.line_column().0,
        own: change.is_own,
        repo: source.repo.to_string(),
        environment: source.environment.to_string(),
        set,
        add,
        remove,
    }
}
