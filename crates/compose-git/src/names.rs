//! Names in a tree. git stores them as bytes, which may hold anything.

use std::{borrow::Cow, collections::HashMap};

use compose_model::{fold::fold_name, text::escape};
use gix::bstr::{BStr, ByteSlice};

use crate::error::TreeProblem;

/// The most characters of a hostile name in a message.
const SHOWN: usize = 200;

/// Escapes and bounds a name for messages.
pub(crate) fn printable_name(name: &[u8]) -> String {
    escape(&name.to_str_lossy(), SHOWN)
}

/// Checks the name of one entry and returns it as text. `link` says whether the entry is a symlink.
pub(crate) fn check(name: &BStr, link: bool) -> Result<&str, TreeProblem> {
    let refuse = |why: &str| TreeProblem::Name(why.to_owned());
    let text = std::str::from_utf8(name).map_err(|_| refuse("it is not UTF-8"))?;
    if text.len() > 255 {
        return Err(refuse("it is over 255 bytes long"));
    }
    // This covers `.`, `..`, separators, `.git` in the disguises of NTFS and HFS+, Windows' device
    // names, and `.gitmodules` as a symlink.
    let mode = link.then_some(gix::validate::path::component::Mode::Symlink);
    gix::validate::path::component(name, mode, gix::validate::path::component::Options::default())
        .map_err(|error| refuse(&error.to_string()))?;
    // This covers control characters, bidirectional overrides and invisible characters, which `validate` accepts.
    compose_model::path::check_component(text).map_err(|error| refuse(&error.to_string()))?;
    Ok(text)
}

/// The names of one directory, compared as case-insensitive and normalizing file systems do.
#[derive(Default)]
pub(crate) struct Siblings<'a>(HashMap<Cow<'a, str>, &'a str>);

impl<'a> Siblings<'a> {
    /// Adds a name. Returns an error if it collides with one that was added before.
    pub(crate) fn add(&mut self, name: &'a str) -> Result<(), TreeProblem> {
        match self.0.insert(fold_name(name), name) {
            None => Ok(()),
            Some(other) => Err(TreeProblem::Collision(printable_name(other.as_bytes()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguised_and_invalid_names_are_refused() {
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            ".git",
            ".GIT",
            ".git.",
            ".git ",
            "git~1",
            ".git::$INDEX_ALLOCATION",
            ".g\u{200c}it",
            "a\nb",
            "a\x1bb",
            "a\x7f",
            "a\u{9b}",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{2060}b",
            "a\u{e0041}b",
            &long,
        ] {
            assert!(check(BStr::new(name), false).is_err(), "{name:?}");
        }
        assert!(check(BStr::new(b"\xff\xfe"), false).is_err());
        assert!(check(BStr::new(".gitmodules"), true).is_err());
        for name in [".gitignore", "main.tf", "Ünïcode.yaml", "a b"] {
            assert_eq!(check(BStr::new(name), false), Ok(name));
        }
    }

    #[test]
    fn names_that_differ_only_by_case_or_unicode_form_collide() {
        let collide = |a: &str, b: &str| {
            let mut siblings = Siblings::default();
            siblings.add(a).unwrap();
            siblings.add(b).is_err()
        };
        assert!(collide("README", "readme"));
        assert!(collide("é", "e\u{301}"));
        assert!(collide("É", "e\u{301}"));
        assert!(collide("a", "a"));
        assert!(!collide("a", "b"));
    }
}
