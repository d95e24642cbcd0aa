//! Writes text as a scalar.

use std::fmt::Write as _;

use compose_model::text::is_unprintable;

use crate::characters::is_readable;

/// The words that some reader of YAML 1.1 or 1.2 loads as something other than text.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Returns a scalar that every reader of YAML loads as this text. It is written without quotes only
/// if no reader can take it for anything else.
///
/// The scalar is on one line and is valid in block and flow collections, as a key and as a value.
///
/// ```
/// use compose_yaml::quote;
///
/// assert_eq!(quote("stacks/eks"), "stacks/eks");
/// assert_eq!(quote("1.10"), "\"1.10\"");
/// assert_eq!(quote("No"), "\"No\"");
/// ```
pub fn quote(text: &str) -> String {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.:@~+%-".contains(&byte);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(is_fine)
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain {
        text.to_owned()
    } else {
        double_quote(text)
    }
}

/// Returns the text as a scalar in double quotes.
pub fn double_quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a string cannot fail.
            c if is_unprintable(c) || !is_readable(c) => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Scalar, Tree};

    proptest! {
        #[test]
        fn a_quoted_text_is_read_as_itself(text in any::<String>()) {
            for scalar in [quote(&text), double_quote(&text)] {
                for document in [format!("{scalar}: x"), format!("x: {scalar}"), format!("[{scalar}, {{{scalar}: 1}}]")] {
                    let tree = Tree::parse(document).unwrap();
                    let found = (0..tree.nodes.len()).filter_map(|node| tree.scalar(node));
                    prop_assert!(found.into_iter().any(|found| found == Scalar::String(text.as_str().into())), "{scalar}");
                }
            }
        }

        #[test]
        fn no_word_is_taken_for_something_else(text in "[A-Za-z/][A-Za-z0-9/_.:@~+%-]{0,6}") {
            let tree = Tree::parse(format!("[{}]", quote(&text))).unwrap();
            prop_assert_eq!(tree.scalar(1), Some(Scalar::String(text.into())));
        }
    }
}
