//! Decides which of several contributions to one key count.

/// The precedence of two contributions of one merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The higher one wins, because it is the local environment or the source that nests the lower
    /// one, or because it has `on-conflict: last`.
    HigherWins,
    /// The lower one stays, because of `on-conflict: first`.
    LowerStays,
    /// The sources have equal standing. Different values of a key are a conflict unless a higher
    /// contribution sets the key.
    Conflict,
}

/// The precedence of all pairs of contributions, computed once.
pub(super) struct Standing {
    count: usize,
    pairs: Vec<Precedence>,
}

impl Standing {
    pub(super) fn new(count: usize, precedence: &dyn Fn(usize, usize) -> Precedence) -> Self {
        let mut pairs = vec![Precedence::HigherWins; count * count];
        for lower in 0..count {
            for higher in lower + 1..count {
                pairs[lower * count + higher] = precedence(lower, higher);
            }
        }
        Self { count, pairs }
    }

    fn between(&self, lower: usize, higher: usize) -> Precedence {
        self.pairs[lower * self.count + higher]
    }

    /// Returns those contributions of `all` (lowest first) that no other one overrides. The result
    /// has at least one, unless `all` is empty.
    ///
    /// First, contributions that yield to a lower one drop out, and override nothing. Then
    /// contributions that a higher one overrides drop out. The remaining ones conflict if they do
    /// not agree, so an even higher contribution that overrides them settles a conflict. `clash`
    /// says whether two contributions exclude each other. Two mappings do not, because they are
    /// merged.
    pub(super) fn in_play(&self, all: &[usize], clash: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let stay = self.not_yielding(all, &clash);
        let falls = |lower: &usize| {
            let mut higher = stay.iter().filter(|higher| *higher > lower);
            higher.any(|higher| self.overrides(*higher, *lower) && clash(*lower, *higher))
        };
        stay.iter().filter(|lower| !falls(lower)).copied().collect()
    }

    /// Returns the conflicts between contributions of `all` (lowest first), as each contribution
    /// that is in a conflict, with the lowest one that it conflicts with.
    ///
    /// `differ` says whether two contributions have different values that exclude each other.
    /// Higher contributions that override both settle the conflict only if the result is the same
    /// regardless of which of the two they override. `replaced` says whether contributions together
    /// leave nothing of a lower one.
    pub(super) fn conflicts(
        &self,
        all: &[usize],
        clash: impl Fn(usize, usize) -> bool,
        differ: impl Fn(usize, usize) -> bool,
        mut replaced: impl FnMut(usize, &[usize]) -> bool,
    ) -> Vec<(usize, usize)> {
        let stay = self.not_yielding(all, &clash);
        let mut is_conflict = |lower: usize, higher: usize| {
            if self.between(lower, higher) != Precedence::Conflict || !differ(lower, higher) {
                return false;
            }
            let above_both = |index: usize| {
                index > higher && self.overrides(index, lower) && self.overrides(index, higher)
            };
            let is_gone = |side: usize| {
                stay.iter().any(|index| {
                    *index > side
                        && self.overrides(*index, side)
                        && clash(side, *index)
                        && !above_both(*index)
                })
            };
            if is_gone(lower) || is_gone(higher) {
                return false;
            }
            let settling: Vec<usize> = stay.iter().copied().filter(|index| above_both(*index)).collect();
            settling.is_empty() || !replaced(lower, &settling) || !replaced(higher, &settling)
        };
        let mut conflicts = Vec::new();
        for (place, higher) in stay.iter().enumerate() {
            let lower = stay[..place].iter().find(|lower| is_conflict(**lower, *higher));
            conflicts.extend(lower.map(|lower| (*lower, *higher)));
        }
        conflicts
    }

    fn overrides(&self, higher: usize, lower: usize) -> bool {
        self.between(lower, higher) == Precedence::HigherWins
    }

    /// Returns the contributions that do not yield to a lower one.
    fn not_yielding(&self, all: &[usize], clash: &impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let mut stay: Vec<usize> = Vec::with_capacity(all.len());
        for higher in all {
            let yields = |lower: &usize| {
                self.between(*lower, *higher) == Precedence::LowerStays && clash(*lower, *higher)
            };
            if !stay.iter().any(yields) {
                stay.push(*higher);
            }
        }
        stay
    }
}

/// The outcome for several values of which only one can count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The values that count, lowest first. Unless there are conflicts, they do not differ.
    pub winners: Vec<usize>,
    /// The pairs of values that are in conflict, each as the lower and the higher one.
    pub conflicts: Vec<(usize, usize)>,
}

/// Settles values of one key that stand in different files, lowest first, by the rules that also
/// hold within a file. There is at least one value. `precedence` and `differ` get the indexes of
/// two values, `lower < higher`.
pub fn settle(
    count: usize,
    precedence: &dyn Fn(usize, usize) -> Precedence,
    differ: impl Fn(usize, usize) -> bool,
) -> Settlement {
    let standing = Standing::new(count, precedence);
    let all: Vec<usize> = (0..count).collect();
    let clash = |_, _| true;
    Settlement {
        winners: standing.in_play(&all, clash),
        conflicts: standing.conflicts(&all, clash, differ, |_, _| true),
    }
}

#[cfg(test)]
mod tests {
    use super::{Precedence::*, *};

    fn in_play(count: usize, pairs: &[(usize, usize, Precedence)]) -> Vec<usize> {
        let precedence = |lower, higher| {
            pairs
                .iter()
                .find(|pair| (pair.0, pair.1) == (lower, higher))
                .map_or(Conflict, |pair| pair.2)
        };
        let all: Vec<usize> = (0..count).collect();
        Standing::new(count, &precedence).in_play(&all, |_, _| true)
    }

    #[test]
    fn equals_all_stay_in_play() {
        assert_eq!(in_play(3, &[]), [0, 1, 2]);
    }

    #[test]
    fn a_higher_one_settles_what_it_wins_over() {
        assert_eq!(in_play(3, &[(0, 2, HigherWins), (1, 2, HigherWins)]), [2]);
        assert_eq!(in_play(3, &[(0, 2, HigherWins)]), [1, 2]);
    }

    #[test]
    fn who_steps_back_overrides_nothing() {
        assert_eq!(in_play(2, &[(0, 1, LowerStays)]), [0]);
        assert_eq!(in_play(3, &[(1, 2, LowerStays), (0, 2, HigherWins)]), [0, 1]);
    }

    #[test]
    fn a_nested_source_falls_before_its_parent_meets_the_others() {
        // Contribution 0 is nested in 1, and 2 agrees with 1.
        assert_eq!(in_play(3, &[(0, 1, HigherWins)]), [1, 2]);
    }
}
