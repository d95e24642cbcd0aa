//! The clashes of a composition: those that are kept, and the number of the others.

use super::composition::Clash;

/// The number of clashes that are kept while a composition is made. They are sorted, and the first
/// of them are listed.
const KEPT: usize = 10_000;
/// The number of conflicts that a composition lists. Further ones are only counted, because people
/// settle the causes of conflicts and not each of a thousand.
pub(super) const LISTED: usize = 100;

/// Clashes in the order in which they are found.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    /// The first clashes.
    pub(super) kept: Vec<Clash>,
    /// The number of further ones.
    pub(super) more: usize,
}

impl Clashes {
    /// Returns the clashes that `make` makes of these items, as far as they are kept.
    pub(super) fn of<T>(items: Vec<T>, make: impl Fn(T) -> Clash) -> Self {
        let more = items.len().saturating_sub(KEPT);
        let kept = items.into_iter().take(KEPT).map(make).collect();
        Self { kept, more }
    }

    pub(super) fn push(&mut self, clash: Clash) {
        if self.kept.len() < KEPT {
            self.kept.push(clash);
        } else {
            self.more += 1;
        }
    }

    /// Adds the clashes of another part.
    pub(super) fn append(&mut self, other: Self) {
        self.more += other.more;
        self.extend(other.kept);
    }
}

impl Extend<Clash> for Clashes {
    fn extend<I: IntoIterator<Item = Clash>>(&mut self, clashes: I) {
        clashes.into_iter().for_each(|clash| self.push(clash));
    }
}

impl From<Vec<Clash>> for Clashes {
    fn from(clashes: Vec<Clash>) -> Self {
        Self::of(clashes, |clash| clash)
    }
}
