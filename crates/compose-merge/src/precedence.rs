//! Which of several contributions that set one thing count.

/// How two contributions of one merge stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The higher one wins: it is the local environment, or the source that nests the lower one, or `on-conflict: last`.
    HigherWins,
    /// The lower one stays: `on-conflict: first`.
    LowerStays,
    /// Two sources of equal standing: different values of one key are a conflict, unless a higher contribution sets the key.
    Conflict,
}

/// How all contributions of a merge stand to each other, asked once.
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

    /// Of contributions that set one thing, lowest first, those that no other one overrides. Never empty unless `all` is.
    ///
    /// First those step back that leave the place to a lower one; a contribution that stepped back overrides nothing.
    /// Then those fall that a higher one wins over. What remains must agree, or it is a conflict: so a conflict
    /// is settled by a still higher contribution that wins over both. `clash` tells whether two of them exclude
    /// each other at all: two mappings do not, they are merged.
    pub(super) fn in_play(&self, all: &[usize], clash: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let mut stay: Vec<usize> = Vec::with_capacity(all.len());
        for higher in all {
            let yields = |lower: &usize| {
                self.between(*lower, *higher) == Precedence::LowerStays && clash(*lower, *higher)
            };
            if !stay.iter().any(yields) {
                stay.push(*higher);
            }
        }
        let falls = |(place, lower): (usize, &usize)| {
            stay[place + 1..].iter().any(|higher| {
                self.between(*lower, *higher) == Precedence::HigherWins && clash(*lower, *higher)
            })
        };
        stay.iter()
            .enumerate()
            .filter(|it| !falls(*it))
            .map(|(_, lower)| *lower)
            .collect()
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
        // 0 is nested in 1; 2 agrees with 1.
        assert_eq!(in_play(3, &[(0, 1, HigherWins)]), [1, 2]);
    }
}
