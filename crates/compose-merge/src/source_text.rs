//! The bytes of a file as text.

use crate::tree::MAX_BYTES;

/// A file's text without its byte-order mark.
pub(crate) struct SourceText<'t> {
    pub(crate) text: &'t str,
    /// Did the file start with a byte-order mark?
    pub(crate) bom: bool,
}

/// Decodes a file, and refuses one that is too large; the error is the reason of an [`Unmergeable`](crate::Unmergeable).
pub(crate) fn decode(bytes: &[u8]) -> Result<SourceText<'_>, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("larger than {} MiB", MAX_BYTES >> 20));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => SourceText { text, bom: true },
        None => SourceText { text, bom: false },
    })
}
