//! Lines that fit a number of columns.

use std::ops::Range;

use textwrap::{
    Options, WordSeparator, WordSplitter, WrapAlgorithm,
    core::{Word, display_width},
    wrap_algorithms::wrap_first_fit,
};

/// Wraps a text between words, so that its lines have at most this many columns. What is longer without a space in it
/// (an address, a path) and what stands between backticks (a command to paste) stays whole.
///
/// The first line begins with `first`, the others with `rest`. Line breaks of the text stay. There is no final newline.
pub(crate) fn wrapped(text: &str, first: &str, rest: &str, columns: usize) -> String {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(WordSeparator::Custom(words))
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(text, options)
}

/// Returns what to replace in a report so that its lines have at most this many columns: the spaces at which a line is
/// broken. What goes on is indented a little more than its line. The same stays whole as for [`wrapped`], and so do
/// unified diffs, whose lines are not the report's own.
pub(crate) fn breaks(report: &str, columns: usize) -> Vec<(Range<usize>, String)> {
    let mut all = Vec::new();
    let (mut at, mut in_diff) = (0, false);
    for line in report.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        in_diff = text.starts_with("--- ") || (in_diff && !text.is_empty());
        if !in_diff && display_width(text) > columns {
            breaks_of_line(text, at, columns, &mut all);
        }
        at += line.len();
    }
    all
}

/// How much more than its line what goes on is indented.
const HANGING: usize = 4;

fn breaks_of_line(line: &str, start: usize, columns: usize, all: &mut Vec<(Range<usize>, String)>) {
    let text = line.trim_start_matches(' ');
    let own = line.len() - text.len();
    // On a very narrow terminal there is no room for deep levels.
    let indent = (own + HANGING).min(columns / 2);
    let words: Vec<Word<'_>> = words(text).collect();
    let room = |indent: usize| columns.saturating_sub(indent) as f64;
    let lines = wrap_first_fit(&words, &[room(own), room(indent)]);
    let mut at = start + own;
    for (index, line) in lines.iter().enumerate() {
        let length: usize = line.iter().map(|word| word.len() + word.whitespace.len()).sum();
        let spaces = line.last().map_or(0, |word| word.whitespace.len());
        at += length;
        if index + 1 < lines.len() {
            all.push((at - spaces..at, format!("\n{}", " ".repeat(indent))));
        }
    }
}

/// Splits a line after each run of spaces that is not between backticks.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(end_of_word(rest));
        rest = after;
        Some(Word::from(word))
    }))
}

/// Returns where the first word of a line ends, with the spaces after it.
fn end_of_word(line: &str) -> usize {
    let (mut quoted, mut spaces) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            ' ' if !quoted => spaces = true,
            _ if spaces => return at,
            // A backtick without its counterpart quotes nothing.
            '`' => quoted = !quoted && line[at + 1..].contains('`'),
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_commands_stay_whole() {
        let text = "run `bitops-compose lock dev`, and commit the lock";
        assert_eq!(
            wrapped(text, "hint: ", "      ", 30),
            "hint: run\n      `bitops-compose lock dev`,\n      and commit the lock"
        );
        assert_eq!(wrapped(text, "", "", 99), text);
        assert_eq!(
            wrapped("see https://example.com/a/long/address for more", "", "  ", 10),
            "see\n  https://example.com/a/long/address\n  for more"
        );
        assert_eq!(wrapped("a ` b c", "", "", 4), "a `\nb c");
        assert_eq!(wrapped("", "", "  ", 4), "");
    }

    #[test]
    fn columns_are_those_of_a_terminal() {
        assert_eq!(wrapped("日本 日本 ab", "", " ", 9), "日本 日本\n ab");
        assert_eq!(wrapped("日本 日本 ab", "", " ", 8), "日本\n 日本 ab");
    }

    fn broken(report: &str, columns: usize) -> String {
        let mut text = compose_model::StyledText::new();
        text.push(report);
        text.replace(&breaks(report, columns));
        text.into_string()
    }

    #[test]
    fn a_report_is_broken_below_the_level_of_each_line() {
        assert_eq!(
            broken("head\n  a line that is long\n  short\n", 16),
            "head\n  a line that is\n      long\n  short\n"
        );
        assert_eq!(
            broken("  https://example.com/a/long/address  (locked)", 20),
            "  https://example.com/a/long/address\n      (locked)"
        );
        assert_eq!(
            broken("run `bitops-compose lock dev` now", 20),
            "run\n    `bitops-compose lock dev`\n    now"
        );
        assert_eq!(broken("日本 日本 日本\n", 10), "日本 日本\n    日本\n");
        let fits = "a\n\n  b c\n";
        assert_eq!(broken(fits, 6), fits);
    }

    #[test]
    fn a_diff_in_a_report_stays() {
        let diff = "--- a long name\n+++ a long name\n@@ -1 +1 @@\n-some long line\n \n+some long line\n";
        assert_eq!(
            broken(&format!("{diff}\nsome long line\n"), 10),
            format!("{diff}\nsome long\n    line\n")
        );
    }

    #[test]
    fn line_breaks_stay() {
        assert_eq!(wrapped("a b\n\nc", "- ", "  ", 80), "- a b\n\n  c");
    }
}
