//! Ways to settle conflicts, as data. Every text about them is made of it: see
//! [`report`](super::report).

use compose_model::{OnConflict, TreePath};

use crate::layer::SourceId;

/// A way to settle a conflict. Any one of a conflict's remedies is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The changes. They differ in their places, not in their kind.
    pub changes: Vec<Change>,
    /// How many of the changes have to be made.
    pub needs: Needs,
    /// What happens then.
    pub effect: Effect,
    /// The number of conflicts in the group that it settles.
    pub settles: usize,
    /// Whether it is the same for every conflict of the group that it settles. Otherwise each of
    /// them has a remedy of this kind with its own file or key.
    pub is_shared: bool,
}

/// How many changes of a remedy have to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Every one.
    All,
    /// One of the two.
    One,
    /// All but one, whichever it is.
    AllButOne,
}

impl Needs {
    /// Returns what a number of changes needs, each of which removes one side of a conflict. If the
    /// local environment is a side, it stays.
    pub(super) fn of(changes: usize, with_local: bool) -> Self {
        match changes {
            _ if with_local => Needs::All,
            0 | 1 => Needs::All,
            2 => Needs::One,
            _ => Needs::AllButOne,
        }
    }

    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Needs::All => "all",
            Needs::One => "one",
            Needs::AllButOne => "all-but-one",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A change of an entry of `default-environments`.
    Entry(EntryChange),
    /// A change of the user's own files.
    Own {
        /// The file, relative to the operations repo's root.
        file: TreePath,
        /// What to do with it.
        edit: OwnEdit,
    },
    /// Anything else, as a sentence without a full stop.
    Other(String),
}

/// A change of an entry of `default-environments`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryChange {
    /// The source that the change is about.
    pub of: SourceId,
    /// The source whose entry is changed: the same one, or one that leads to it.
    pub at: SourceId,
    /// Whether the entry stands in the local environment's config. The config of a source is changed
    /// by a new version of that source only.
    pub is_own: bool,
    /// The change.
    pub edit: EntryEdit,
    /// The number of files that the source loses.
    pub loses: Option<usize>,
}

/// What is changed in an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryEdit {
    /// `exclude` gets these globs, after those that it has.
    Exclude(Vec<String>),
    /// `on-conflict: last`
    Last,
    /// `on-conflict: first`
    First,
    /// `as` becomes a name that the user chooses.
    Rename,
    /// `as` is removed.
    NotRenamed,
    /// `shared` loses this directory.
    NotShared(String),
}

impl EntryEdit {
    /// Returns the value of `on-conflict` that is set.
    pub fn on_conflict(&self) -> Option<OnConflict> {
        match self {
            EntryEdit::Last => Some(OnConflict::Last),
            EntryEdit::First => Some(OnConflict::First),
            _ => None,
        }
    }
}

/// What is done with one of the user's own files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnEdit {
    /// Sets a key or a variable.
    Set(String),
    /// Writes the file.
    Write,
    /// Overrides a thing of Terraform in an override file of that directory.
    Override(String),
    /// Takes a definition of Terraform out.
    TakeOut(String),
    /// Gives the file or directory another name.
    Rename,
    /// Lists deployments in the config, as the sentence says.
    List(String),
    /// Writes the list of deployments as a plain block.
    PlainList,
}

/// What happens when a remedy is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What the other side has is used.
    OtherIsUsed,
    /// The whole files are left out.
    FilesAreLeftOut,
    /// The deployment gets another name, and both run.
    BothRun {
        /// The name without the new prefix.
        deployment: String,
        /// Whether an `as` has to be replaced.
        again: bool,
    },
    /// What the lowest or the highest of the sources has is used.
    Takes(SourceId),
    /// What comes first or last in the list is used.
    TakesByOrder(OnConflict),
    /// A local file or value wins over every source.
    LocalWins,
    /// Nothing that the change does not say itself.
    Plain,
}
