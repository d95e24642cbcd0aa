//! The bytes of a file as text.

use compose_yaml::{MAX_BYTES, Problem};

use crate::refusal::{Reason, Refusal};

/// A file's text without its byte-order mark.
pub(crate) struct SourceText<'t> {
    pub(crate) text: &'t str,
    /// Did the file start with a byte-order mark?
    pub(crate) bom: bool,
}

/// Decodes a file, and refuses one that is too large.
pub(crate) fn decode(bytes: &[u8]) -> Result<SourceText<'_>, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Reason::Unreadable(Problem::TooLarge(bytes.len())).into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::Unreadable(Problem::NotUtf8))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => SourceText { text, bom: true },
        None => SourceText { text, bom: false },
    })
}
