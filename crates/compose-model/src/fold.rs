//! Folding of names that are the same on file systems without case or Unicode normalization.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Folds a name as macOS and Windows may do: names with equal folds may be the same file there.
pub fn fold_name(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(name.to_ascii_lowercase());
        }
        return Cow::Borrowed(name);
    }
    // Lower-casing may compose or decompose characters, so the name is normalized before and after
    // it.
    Cow::Owned(name.nfd().flat_map(char::to_lowercase).nfc().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_normal_form_are_ignored() {
        for (a, b) in [
            ("README.md", "readme.MD"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAF\u{c9}", "cafe\u{301}"),
        ] {
            assert_eq!(fold_name(a), fold_name(b), "{a} {b}");
        }
        for (a, b) in [("a-b", "a_b"), ("\u{e9}", "e"), ("main.tf", "main.tfvars")] {
            assert_ne!(fold_name(a), fold_name(b), "{a} {b}");
        }
    }
}
