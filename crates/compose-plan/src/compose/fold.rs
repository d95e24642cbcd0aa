//! When two names are one on a file system that ignores case and Unicode normal form.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// What macOS and Windows may take a name for: equal folds may be one file there.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(name.to_ascii_lowercase());
        }
        return Cow::Borrowed(name);
    }
    // Lower-casing can compose and decompose, so the normal form is made on both sides of it.
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
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        for (a, b) in [("a-b", "a_b"), ("\u{e9}", "e"), ("main.tf", "main.tfvars")] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }
}
