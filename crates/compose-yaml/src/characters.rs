//! The characters that PyYAML accepts.

/// Returns whether PyYAML accepts a character at all (`Reader.NON_PRINTABLE`).
pub(crate) fn is_readable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
