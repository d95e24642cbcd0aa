//! Compares two locks of one environment.

use super::locked::{Lock, Locked};

/// The difference between two locks for one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The source was not locked before.
    New(&'a Locked),
    /// The source has another commit or another name.
    Moved {
        /// The source as it was locked before.
        before: &'a Locked,
        /// The source as it is locked now.
        after: &'a Locked,
    },
    /// The source is no longer locked.
    Gone(&'a Locked),
}

impl<'a> Change<'a> {
    /// Returns the source, from the newest lock that contains it.
    pub fn source(&self) -> &'a Locked {
        match self {
            Self::New(source) | Self::Gone(source) | Self::Moved { after: source, .. } => source,
        }
    }

    /// Returns the source as it was locked before.
    pub fn before(&self) -> Option<&'a Locked> {
        match self {
            Self::New(_) => None,
            Self::Gone(before) | Self::Moved { before, .. } => Some(before),
        }
    }

    /// Returns the source as it is locked now.
    pub fn after(&self) -> Option<&'a Locked> {
        match self {
            Self::Gone(_) => None,
            Self::New(after) | Self::Moved { after, .. } => Some(after),
        }
    }

    /// Returns the versions before and after the change, for people.
    pub fn versions(&self) -> (String, String) {
        match self {
            Self::New(after) => ("new".to_owned(), after.name()),
            Self::Gone(before) => (before.name(), "gone".to_owned()),
            Self::Moved { before, after } => {
                let same_name = before.resolved == after.resolved;
                let name = |locked: &Locked| {
                    let (name, commit) = (locked.name(), locked.commit.abbreviated());
                    if same_name && !name.contains(&commit) {
                        format!("{name} ({commit})")
                    } else {
                        name
                    }
                };
                (name(before), name(after))
            }
        }
    }
}

impl Lock {
    /// Returns the sources whose commit or name a newer lock changed, in its order, followed by
    /// those that are gone.
    pub fn changes<'a>(&'a self, newer: &'a Lock) -> Vec<Change<'a>> {
        let changed = newer.sources.iter().filter_map(|after| {
            let Some(before) = self.get(&after.repo, &after.environment) else {
                return Some(Change::New(after));
            };
            let is_same = (before.commit, &before.resolved) == (after.commit, &after.resolved);
            (!is_same).then_some(Change::Moved { before, after })
        });
        let is_gone = |before: &&Locked| newer.get(&before.repo, &before.environment).is_none();
        let gone = self.sources.iter().filter(is_gone).map(Change::Gone);
        changed.chain(gone).collect()
    }
}
