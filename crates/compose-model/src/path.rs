//! Paths inside a tree.

use std::{fmt, str::FromStr};

/// A relative `/`-separated path without empty, `.`, `..` or `.git` components, without backslashes and
/// control characters: it can be joined to a directory without leaving it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// Bytes of a whole path: `PATH_MAX`.
const LONGEST: usize = 4096;

/// Why a text is no [`TreePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing, or a repeated or trailing slash.
    #[error("a path component is empty")]
    Empty,
    /// Starts with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// `.` or `..`.
    #[error("`.` and `..` are not allowed in the path")]
    Dots,
    /// `.git` in any case.
    #[error("`.git` is not allowed in the path")]
    DotGit,
    /// A backslash, a control character or a bidirectional override.
    #[error("the path holds a backslash or a control character")]
    Character,
    /// Over 255 bytes in one component, or 4,096 in all.
    #[error("the path is too long")]
    TooLong,
}

impl TreePath {
    /// Checks a path.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
        let text = text.into();
        if text.starts_with('/') {
            return Err(InvalidPath::Absolute);
        }
        if text.len() > LONGEST {
            return Err(InvalidPath::TooLong);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Everything above the last component; `None` at the top.
    pub fn parent(&self) -> Option<TreePath> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| TreePath(parent.to_owned()))
    }

    /// The components, from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// `self/other`.
    pub fn join(&self, other: &TreePath) -> TreePath {
        TreePath(format!("{}/{}", self.0, other.0))
    }

    /// `self/name`, where `name` is one component.
    pub fn child(&self, name: &str) -> Result<TreePath, InvalidPath> {
        if name.contains('/') {
            return Err(InvalidPath::Character);
        }
        check_component(name)?;
        if self.0.len() + 1 + name.len() > LONGEST {
            return Err(InvalidPath::TooLong);
        }
        Ok(TreePath([&self.0, "/", name].concat()))
    }

    /// Every directory above the path, nearest first, without the path itself.
    pub fn ancestors(&self) -> impl Iterator<Item = TreePath> + '_ {
        std::iter::successors(self.parent(), TreePath::parent)
    }

    /// What remains below `base`; `None` when the path is not below it.
    pub fn strip_prefix(&self, base: &TreePath) -> Option<TreePath> {
        let rest = self.0.strip_prefix(&base.0)?.strip_prefix('/')?;
        Some(TreePath(rest.to_owned()))
    }

    /// The same path with another last component.
    pub fn with_file_name(&self, name: &str) -> Result<TreePath, InvalidPath> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => TreePath::new(format!("{parent}/{name}")),
            None => TreePath::new(name),
        }
    }

    /// The path as seen from a directory of the same tree: `../` for each level that must be left.
    pub fn relative_to(&self, base: &TreePath) -> String {
        if let Some(below) = self
            .0
            .strip_prefix(&base.0)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            return below.to_owned();
        }
        let mut base_parts = base.components().peekable();
        let mut parts = self.components().peekable();
        while base_parts.peek().is_some() && base_parts.peek() == parts.peek() {
            base_parts.next();
            parts.next();
        }
        let mut all: Vec<&str> = base_parts.map(|_| "..").collect();
        all.extend(parts);
        all.join("/")
    }
}

/// Checks one component of a path, which holds no `/`.
pub fn check_component(component: &str) -> Result<(), InvalidPath> {
    if component.is_empty() {
        return Err(InvalidPath::Empty);
    }
    if component == "." || component == ".." {
        return Err(InvalidPath::Dots);
    }
    if component.eq_ignore_ascii_case(".git") {
        return Err(InvalidPath::DotGit);
    }
    if component.len() > 255 {
        return Err(InvalidPath::TooLong);
    }
    let odd = |c| c == '\\' || crate::text::is_unprintable(c);
    // Nearly all names are such, and to decode every character of every name takes its time.
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !component.bytes().all(plain) && component.chars().any(odd) {
        return Err(InvalidPath::Character);
    }
    Ok(())
}

impl FromStr for TreePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_tree() {
        for (text, why) in [
            ("", InvalidPath::Empty),
            ("a//b", InvalidPath::Empty),
            ("a/", InvalidPath::Empty),
            ("/etc", InvalidPath::Absolute),
            ("../x", InvalidPath::Dots),
            ("a/./b", InvalidPath::Dots),
            ("a/.GIT/config", InvalidPath::DotGit),
            ("a\\b", InvalidPath::Character),
            ("a\nb", InvalidPath::Character),
            ("a\u{202e}b", InvalidPath::Character),
        ] {
            assert_eq!(TreePath::new(text), Err(why), "{text:?}");
        }
        assert_eq!(TreePath::new("x".repeat(256)), Err(InvalidPath::TooLong));
        assert!(TreePath::new("stacks/eks/.gitignore").is_ok());
    }

    #[test]
    fn a_child_is_checked_as_a_whole_path_is() {
        let dir = TreePath::new("stacks/eks").unwrap();
        for name in ["main.tf", "a b", "é", ".gitignore"] {
            assert_eq!(
                dir.child(name),
                TreePath::new(format!("{dir}/{name}")),
                "{name:?}"
            );
            assert!(dir.child(name).is_ok());
        }
        let long = "x".repeat(256);
        for name in ["", ".", "..", ".git", "a\\b", "a\nb", "a\u{202e}b", &long] {
            assert_eq!(
                dir.child(name),
                TreePath::new(format!("{dir}/{name}")),
                "{name:?}"
            );
            assert!(dir.child(name).is_err(), "{name:?}");
        }
        assert!(dir.child("a/b").is_err(), "two components");
        let deep = TreePath::new(vec!["x".repeat(250); 16].join("/")).unwrap();
        assert!(deep.child(&"x".repeat(4096 - 1 - deep.as_str().len())).is_ok());
        assert_eq!(
            deep.child(&"x".repeat(4096 - deep.as_str().len())),
            Err(InvalidPath::TooLong)
        );
    }

    #[test]
    fn relative_paths_leave_the_base_only_as_far_as_needed() {
        let base = TreePath::new("stacks/dev").unwrap();
        let from = |text: &str| TreePath::new(text).unwrap().relative_to(&base);
        assert_eq!(from("stacks/dev/terraform/main.tf"), "terraform/main.tf");
        assert_eq!(from("_scripts/x.sh"), "../../_scripts/x.sh");
        assert_eq!(from("stacks/_x/y"), "../_x/y");
    }
}
