//! Finds the comments that a merged text lacks.

use std::collections::HashSet;

use crate::merger::LostComment;

/// A file's comments: lines and texts.
pub(crate) type Comments<'a> = Vec<(usize, &'a str)>;

/// Returns the comments of the contributions that are nowhere in the result.
pub(crate) fn lost_comments(contributions: &[Comments<'_>], result: &Comments<'_>) -> Vec<LostComment> {
    let kept: HashSet<&str> = result.iter().map(|(_, text)| text.trim()).collect();
    let mut lost = Vec::new();
    for (contribution, comments) in contributions.iter().enumerate() {
        let gone = comments.iter().filter(|(_, text)| !kept.contains(text.trim()));
        lost.extend(gone.map(|(line, text)| LostComment {
            contribution,
            line: *line,
            text: text.trim().to_owned(),
        }));
    }
    lost
}
