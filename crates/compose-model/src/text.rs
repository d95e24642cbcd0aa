//! Text that came from elsewhere, made fit to print; and "did you mean".

/// Control characters (C0, DEL, C1), bidirectional controls, line and paragraph separators, the BOM.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with unprintable characters escaped (`\u{1b}`, `\n`) and cut after `limit` characters.
///
/// For everything that a remote sent: ref names, side-band text, error bodies, tree entries.
pub fn escape(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        if is_unprintable(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The candidate nearest to `word`, when it is near enough to be a slip of the keyboard.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, candidates, 1).into_iter().next()
}

/// Up to `count` candidates that are near to `word`, nearest first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let folded = word.to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&folded, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored
        .into_iter()
        .take(count)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// How many slips of the keyboard lie between two words: characters put in, left out, replaced or swapped with their neighbour.
pub fn edit_distance(one: &str, other: &str) -> usize {
    strsim::osa_distance(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_survives() {
        assert_eq!(
            escape("a\x1b[31mb\n\u{202e}c\u{9b}", 99),
            "a\\u{1b}[31mb\\n\\u{202e}c\\u{9b}"
        );
        assert_eq!(escape("abcdef", 3), "abc…");
    }

    #[test]
    fn only_near_words_are_offered() {
        assert_eq!(
            did_you_mean("enviroment", ["environment", "repo"]),
            Some("environment")
        );
        assert_eq!(did_you_mean("zebra", ["environment", "repo"]), None);
    }
}
