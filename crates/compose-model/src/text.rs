//! Escaping of untrusted text, and "did you mean".

/// Returns whether a character must not be printed: control characters (C0, DEL, C1), bidirectional
/// controls, line and paragraph separators, and invisible characters, by which two names that
/// look the same differ: zero-width ones, the byte order mark, invisible operators, fillers, and tags.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, grapheme joiner, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
            // Hangul fillers.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            // Zero-width spaces and joiners, directional marks; separators, embeddings and overrides.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // The word joiner, invisible operators, isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}'
            // The byte order mark, interlinear annotations.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags, and the supplement of variation selectors.
            | '\u{e0000}'..='\u{e0fff}')
}

/// Escapes unprintable characters (`\u{1b}`, `\n`) and cuts the text after `limit` characters.
///
/// It is used for everything that a remote sent: ref names, side-band text, error pages, tree
/// entries.
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

/// Returns a number with its noun: `1 file`, `2 files`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Returns the candidate nearest to `word`, if it is near enough to be a typing error.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, candidates, 1).into_iter().next()
}

/// Returns up to `count` candidates that are near to `word`, nearest first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    scored(word, candidates)
        .into_iter()
        .filter(|(score, _)| *score > 0.8)
        .take(count)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// Returns all candidates, those that are most similar to `word` first.
pub fn by_similarity<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    scored(word, candidates)
        .into_iter()
        .map(|(_, candidate)| candidate)
        .collect()
}

fn scored<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<(f64, &'a str)> {
    let folded = word.to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&folded, &candidate.to_lowercase()),
                candidate,
            )
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored
}

/// Returns the number of typing errors between two words: characters inserted, omitted, replaced,
/// or swapped with their neighbour.
pub fn edit_distance(one: &str, other: &str) -> usize {
    strsim::osa_distance(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            escape("a\x1b[31mb\n\u{202e}c\u{9b}", 99),
            "a\\u{1b}[31mb\\n\\u{202e}c\\u{9b}"
        );
        assert_eq!(escape("abcdef", 3), "abc…");
    }

    #[test]
    fn invisible_characters_are_escaped() {
        for c in [
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{2066}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(
                escape(&format!("a{c}b"), 99),
                format!("a\\u{{{:x}}}b", u32::from(c))
            );
        }
        // Letters, marks on letters and the presentation of emoji are seen.
        let seen = "Ünïcode e\u{301} \u{26a0}\u{fe0f} 日本";
        assert_eq!(escape(seen, 99), seen);
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(
            did_you_mean("enviroment", ["environment", "repo"]),
            Some("environment")
        );
        assert_eq!(did_you_mean("zebra", ["environment", "repo"]), None);
    }
}
