//! Bytes as text.

use std::borrow::Cow;

use crate::{
    error::{Error, Problem},
    tree::MAX_BYTES,
};

/// A file's text without its byte-order mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'t> {
    /// The text; borrowed if the file is UTF-8.
    pub text: Cow<'t, str>,
    /// The file starts with a byte-order mark in UTF-8.
    pub bom: bool,
}

/// Decodes a file as PyYAML does: UTF-16 if it starts with a byte-order mark of that, else UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Error> {
    let error = |problem| Error { problem, at: 0 };
    if bytes.len() > MAX_BYTES {
        return Err(error(Problem::TooLarge(bytes.len())));
    }
    let units: Option<fn([u8; 2]) -> u16> = match bytes {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    let Some(unit) = units else {
        let text = std::str::from_utf8(bytes).map_err(|invalid| Error {
            problem: Problem::Encoding,
            at: invalid.valid_up_to(),
        })?;
        let (text, bom) = match text.strip_prefix('\u{feff}') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let text = Cow::Borrowed(text);
        return Ok(Decoded { text, bom });
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(Decoded {
            text: Cow::Owned(text),
            bom: false,
        }),
        _ => Err(error(Problem::Encoding)),
    }
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
