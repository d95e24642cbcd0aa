//! Collects the refused entries of a directory, which are reported together.

use super::Missing;
use crate::error::RefusedEntry;

/// The number of refused entries of a directory that are reported one by one.
const MOST_REFUSED: usize = 10;

/// The entries of a directory that are refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) first: RefusedEntry,
    /// The next entries in the order of the walk; with the first one at most [`MOST_REFUSED`].
    pub(crate) others: Vec<RefusedEntry>,
    /// The number of other entries.
    pub(crate) further: usize,
    /// The objects without which more entries may be refused. If anything but symlinks is refused,
    /// no further objects are needed, because they may not even exist.
    pub(crate) missing: Missing,
}

impl Refused {
    pub(super) fn new(first: RefusedEntry) -> Self {
        Self {
            first,
            others: Vec::new(),
            further: 0,
            missing: Missing::default(),
        }
    }

    pub(super) fn add(&mut self, entry: RefusedEntry) {
        // Symlinks can lead to a directory several times.
        if self.first == entry || self.others.contains(&entry) {
            return;
        }
        if self.others.len() + 1 < MOST_REFUSED {
            self.others.push(entry);
        } else {
            self.further += 1;
        }
    }

    pub(super) fn are_links(&self) -> bool {
        self.first.why.is_of_link() && self.others.iter().all(|entry| entry.why.is_of_link())
    }
}
