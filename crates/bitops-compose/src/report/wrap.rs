//! Lines that fit a number of columns.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

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

    #[test]
    fn line_breaks_stay() {
        assert_eq!(wrapped("a b\n\nc", "- ", "  ", 80), "- a b\n\n  c");
    }
}
