//! Decodes bytes as text. Every file that is read as YAML, JSON or HCL is decoded here.

use std::borrow::Cow;

use crate::{
    error::{Error, Problem},
    limits::MAX_BYTES,
};

/// The byte-order mark, which is not part of a text.
const BOM: char = '\u{feff}';

/// The text of a YAML file without its byte-order mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'t> {
    /// The text; borrowed if the file is UTF-8.
    pub text: Cow<'t, str>,
    /// Whether the file starts with a byte-order mark in UTF-8.
    pub bom: bool,
}

/// The text of a file that may only be UTF-8, without its byte-order mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8<'t> {
    /// The text.
    pub text: &'t str,
    /// Whether the file starts with a byte-order mark.
    pub bom: bool,
}

/// Decodes a YAML file as PyYAML does: as UTF-16 if it starts with the byte-order mark of UTF-16,
/// or else as UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Error> {
    Ok(match read_text(bytes)? {
        Cow::Borrowed(text) => Decoded {
            text: Cow::Borrowed(without_bom(text)),
            bom: text.starts_with(BOM),
        },
        text => Decoded { text, bom: false },
    })
}

/// Decodes a file of a format that is always UTF-8.
pub fn decode_utf8(bytes: &[u8]) -> Result<Utf8<'_>, Error> {
    check_size(bytes)?;
    let text = utf8(bytes, Problem::NotUtf8)?;
    Ok(Utf8 {
        text: without_bom(text),
        bom: text.starts_with(BOM),
    })
}

/// Decodes a YAML file like [`decode`], but keeps a byte-order mark of UTF-8 in the text, so that
/// an edit preserves it.
pub fn read_text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    check_size(bytes)?;
    let Some((units, rest)) = utf16(bytes) else {
        return utf8(bytes, Problem::Encoding).map(Cow::Borrowed);
    };
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(Cow::Owned(text)),
        _ => Err(Error {
            problem: Problem::Encoding,
            at: 0,
        }),
    }
}

/// Decodes a YAML file of any size for a look at its words. What is not text becomes U+FFFD.
pub fn decode_lossy(bytes: &[u8]) -> Cow<'_, str> {
    match utf16(bytes) {
        Some((units, _)) => char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        None => String::from_utf8_lossy(bytes),
    }
}

/// Returns whether a YAML file is in UTF-16, by its byte-order mark.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

/// Returns the units of a file in UTF-16 without its byte-order mark, and a last half of one.
fn utf16(bytes: &[u8]) -> Option<(impl Iterator<Item = u16>, &[u8])> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    Some((pairs.iter().map(move |pair| unit(*pair)), rest))
}

/// Returns the text without its byte-order mark, if it has one.
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix(BOM).unwrap_or(text)
}

fn check_size(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error {
            problem: Problem::TooLarge(bytes.len()),
            at: 0,
        });
    }
    Ok(())
}

fn utf8(bytes: &[u8], problem: Problem) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|invalid| Error {
        problem,
        at: invalid.valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_read_by_its_byte_order_mark() {
        for swap in [false, true] {
            let units = "\u{feff}a: ä😀\n".encode_utf16();
            let bytes: Vec<u8> = units
                .flat_map(|unit| {
                    if swap {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect();
            let decoded = decode(&bytes).unwrap();
            assert_eq!((&*decoded.text, decoded.bom), ("a: ä😀\n", false));
            assert_eq!(
                decode(&bytes[..bytes.len() - 1]).unwrap_err().problem,
                Problem::Encoding
            );
        }
        assert_eq!(
            decode("\u{feff}a".as_bytes()).unwrap(),
            Decoded {
                text: "a".into(),
                bom: true
            }
        );
        assert_eq!(
            decode(b"ab\xff").unwrap_err(),
            Error {
                problem: Problem::Encoding,
                at: 2
            }
        );
    }
}
