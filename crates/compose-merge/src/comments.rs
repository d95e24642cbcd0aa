//! Finds the comments that a merged text lacks.

use std::collections::HashMap;

use crate::merger::LostComment;

/// A comment of a file.
#[derive(Clone, Debug)]
pub(crate) struct Comment<'a> {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The text with its marker.
    pub(crate) text: &'a str,
    /// The key that the comment belongs to, in any form that is the same in all files of a merge.
    pub(crate) owner: String,
}

/// A comment's key and its text.
type Kind<'a> = (&'a str, &'a str);

/// Returns the comments of the contributions that have no place in the result.
///
/// Several contributions often have the same comment at the same key, and the result has it once.
/// A comment that is at another key of the result was moved there, unless it is the comment of that
/// key in a contribution.
pub(crate) fn lost_comments(contributions: &[Vec<Comment<'_>>], result: &[Comment<'_>]) -> Vec<LostComment> {
    let counts: Vec<_> = contributions.iter().map(|comments| count(comments)).collect();
    let found = count(result);
    let mut kept: HashMap<Kind<'_>, usize> = HashMap::new();
    for (kind, wanted) in counts.iter().flatten() {
        let there = found.get(kind).copied().unwrap_or(0).min(*wanted);
        let kept = kept.entry(*kind).or_default();
        *kept = there.max(*kept);
    }
    // The comments of the result that no contribution has at the same key, by text.
    let mut moved: HashMap<&str, usize> = HashMap::new();
    for (kind, there) in &found {
        *moved.entry(kind.1).or_default() += there - kept.get(kind).copied().unwrap_or(0);
    }
    let mut lost = Vec::new();
    for (contribution, comments) in contributions.iter().enumerate() {
        let mut seen: HashMap<Kind<'_>, usize> = HashMap::new();
        for comment in comments {
            let kind = kind(comment);
            let seen = seen.entry(kind).or_default();
            *seen += 1;
            let kept = kept.entry(kind).or_default();
            let moved = moved.entry(kind.1).or_default();
            if *seen > *kept && *moved > 0 {
                *moved -= 1;
                *kept += 1;
            }
            if *seen > *kept {
                lost.push(LostComment {
                    contribution,
                    line: comment.line,
                    text: kind.1.to_owned(),
                });
            }
        }
    }
    lost
}

fn kind<'a>(comment: &'a Comment<'_>) -> Kind<'a> {
    (&comment.owner, comment.text.trim())
}

fn count<'a>(comments: &'a [Comment<'_>]) -> HashMap<Kind<'a>, usize> {
    let mut counts = HashMap::new();
    for comment in comments {
        *counts.entry(kind(comment)).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comments<'a>(all: &[(&str, &'a str)]) -> Vec<Comment<'a>> {
        let comment = |(index, (owner, text)): (usize, &(&str, &'a str))| Comment {
            line: index + 1,
            text,
            owner: (*owner).to_owned(),
        };
        all.iter().enumerate().map(comment).collect()
    }

    fn lost(
        contributions: &[&[(&str, &'static str)]],
        result: &[(&str, &'static str)],
    ) -> Vec<(usize, usize)> {
        let contributions: Vec<_> = contributions.iter().map(|all| comments(all)).collect();
        let lost = lost_comments(&contributions, &comments(result));
        lost.into_iter()
            .map(|lost| (lost.contribution, lost.line))
            .collect()
    }

    #[test]
    fn a_comment_is_lost_though_its_text_is_at_another_key() {
        let twice: &[(&str, &str)] = &[("a", "# x"), ("b", "# x")];
        assert_eq!(lost(&[twice, &[]], &[("a", "# x")]), [(0, 2)]);
        assert_eq!(lost(&[twice, &[]], &[("b", "# x")]), [(0, 1)]);
        assert_eq!(
            lost(&[&[("a", "# x")], &[("b", "# x")]], &[("b", "# x")]),
            [(0, 1)]
        );
        assert_eq!(
            lost(&[&[("a", "# x"), ("a", "# x")], &[]], &[("a", "# x")]),
            [(0, 2)]
        );
    }

    #[test]
    fn a_comment_of_several_contributions_is_needed_once() {
        let same: &[(&str, &str)] = &[("a", "# x")];
        assert_eq!(lost(&[same, same, same], same), []);
        assert_eq!(lost(&[same, same], &[]), [(0, 1), (1, 1)]);
    }

    #[test]
    fn a_comment_may_move() {
        let own: &[(&str, &str)] = &[("a", "# x")];
        assert_eq!(lost(&[own, own], &[("b", " # x ")]), []);
        assert_eq!(lost(&[own, &[("c", "# x")]], &[("b", "# x")]), [(1, 1)]);
    }
}
