//! Paths inside a git tree.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use crate::file_name;

/// A relative `/`-separated path without empty, `.`, `..` or `.git` components, and without
/// backslashes and control characters. It can be joined to a directory without leaving it.
///
/// Clones, parents and relative parts share one string, so that splitting a path copies nothing.
#[derive(Clone)]
pub struct TreePath {
    text: Arc<str>,
    /// The part of the text that is the path; it consists of whole components.
    start: u32,
    end: u32,
}

/// The most bytes of a path: `PATH_MAX`.
const LONGEST: usize = 4096;

/// Why a text is not a [`TreePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// A component is empty: the path is empty, or has a repeated or trailing slash.
    #[error("a path component is empty")]
    Empty,
    /// The path starts with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// A component is `.` or `..`.
    #[error("`.` and `..` are not allowed in the path")]
    Dots,
    /// A component is `.git`, in any case.
    #[error("`.git` is not allowed in the path")]
    DotGit,
    /// The path contains a backslash, a control character, a bidirectional override or an
    /// invisible character.
    #[error("the path contains a backslash, a control character or an invisible character")]
    Character,
    /// A component has over 255 bytes, or the path over 4,096.
    #[error("the path is too long")]
    TooLong,
}

impl TreePath {
    /// Creates a path after checking it.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidPath> {
        let text = text.as_ref();
        if text.starts_with('/') {
            return Err(InvalidPath::Absolute);
        }
        if text.len() > LONGEST {
            return Err(InvalidPath::TooLong);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self::from_valid(text))
    }

    /// Creates a path from a text that is known to be valid. Its length is bounded and fits `u32`.
    fn from_valid(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let end = text.len() as u32;
        Self { text, start: 0, end }
    }

    /// Returns the path that consists of some adjacent components.
    fn part(&self, range: Range<usize>) -> Self {
        Self {
            text: Arc::clone(&self.text),
            start: self.start + range.start as u32,
            end: self.start + range.end as u32,
        }
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.text[self.start as usize..self.end as usize]
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        let text = self.as_str();
        text.rsplit('/').next().unwrap_or(text)
    }

    /// Returns the path without its last component; `None` for a single component.
    pub fn parent(&self) -> Option<TreePath> {
        let end = self.as_str().rfind('/')?;
        Some(self.part(0..end))
    }

    /// Returns the components from the top down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split('/')
    }

    /// Returns `self/other`.
    pub fn join(&self, other: &TreePath) -> TreePath {
        Self::from_valid([self.as_str(), "/", other.as_str()].concat())
    }

    /// Returns the path of the config of the environment that this path is.
    pub fn environment_config(&self) -> TreePath {
        Self::from_valid([self.as_str(), "/", file_name::CONFIG].concat())
    }

    /// Returns `self/name`, where `name` is one component.
    pub fn child(&self, name: &str) -> Result<TreePath, InvalidPath> {
        if name.contains('/') {
            return Err(InvalidPath::Character);
        }
        check_component(name)?;
        if self.as_str().len() + 1 + name.len() > LONGEST {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self::from_valid([self.as_str(), "/", name].concat()))
    }

    /// Returns all directories above the path, nearest first, without the path itself.
    pub fn ancestors(&self) -> impl Iterator<Item = TreePath> + '_ {
        std::iter::successors(self.parent(), TreePath::parent)
    }

    /// Returns the path relative to `base`, or `None` if the path is not below it.
    pub fn strip_prefix(&self, base: &TreePath) -> Option<TreePath> {
        let rest = self.below(base)?;
        let length = self.as_str().len();
        Some(self.part(length - rest.len()..length))
    }

    /// Returns the path without `tail` at its end, or `None` if it does not end in `tail` or equals
    /// it.
    pub fn strip_suffix(&self, tail: &TreePath) -> Option<TreePath> {
        let above = self.as_str().strip_suffix(tail.as_str())?.strip_suffix('/')?;
        Some(self.part(0..above.len()))
    }

    /// Returns the path relative to `base` as text; see [`TreePath::strip_prefix`].
    pub fn below(&self, base: &TreePath) -> Option<&str> {
        self.as_str().strip_prefix(base.as_str())?.strip_prefix('/')
    }

    /// Returns the path with its last component replaced.
    pub fn with_file_name(&self, name: &str) -> Result<TreePath, InvalidPath> {
        match self.as_str().rsplit_once('/') {
            Some((parent, _)) => TreePath::new(format!("{parent}/{name}")),
            None => TreePath::new(name),
        }
    }

    /// Returns the path relative to a directory of the same tree, with `../` for each level to
    /// leave.
    pub fn relative_to(&self, base: &TreePath) -> Cow<'_, str> {
        if let Some(below) = self.below(base) {
            return Cow::Borrowed(below);
        }
        let mut base_parts = base.components().peekable();
        let mut parts = self.components().peekable();
        while base_parts.peek().is_some() && base_parts.peek() == parts.peek() {
            base_parts.next();
            parts.next();
        }
        let mut all: Vec<&str> = base_parts.map(|_| "..").collect();
        all.extend(parts);
        Cow::Owned(all.join("/"))
    }
}

impl PartialEq for TreePath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TreePath {}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares paths by the bytes of their text.
impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for TreePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// Checks one component of a path, which must not contain `/`.
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
    // A quick check for nearly all names: decoding every character takes time.
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
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_paths_are_refused() {
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
    fn a_child_is_checked_like_a_whole_path() {
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
    fn parts_of_a_path_equal_paths_of_their_own() {
        let path = |text: &str| TreePath::new(text).unwrap();
        let whole = path("stacks/eks/helm/app.yaml");
        let below = whole.strip_prefix(&path("stacks")).unwrap();
        assert_eq!(below, path("eks/helm/app.yaml"));
        assert_eq!(below.strip_prefix(&path("eks")), Some(path("helm/app.yaml")));
        assert_eq!(below.parent(), Some(path("eks/helm")));
        assert_eq!(
            below.ancestors().collect::<Vec<_>>(),
            [path("eks/helm"), path("eks")]
        );
        assert_eq!(below.strip_suffix(&path("helm/app.yaml")), Some(path("eks")));
        assert_eq!(below.join(&path("x")), path("eks/helm/app.yaml/x"));
        assert_eq!(below.child("x"), Ok(path("eks/helm/app.yaml/x")));
        assert_eq!(below.file_name(), "app.yaml");
        assert_eq!(
            format!("{below} {below:?}"),
            "eks/helm/app.yaml \"eks/helm/app.yaml\""
        );
        // Only whole components are stripped.
        for other in ["stack", "stacks/ek", "eks", "stacks/eks/helm/app.yaml"] {
            assert!(whole.strip_prefix(&path(other)).is_none(), "{other}");
        }
        for other in ["pp.yaml", "elm/app.yaml", "helm", "stacks/eks/helm/app.yaml"] {
            assert!(whole.strip_suffix(&path(other)).is_none(), "{other}");
        }
        assert_eq!(whole.below(&path("stacks/eks")), Some("helm/app.yaml"));
    }

    #[test]
    fn relative_paths_ascend_only_as_far_as_needed() {
        let base = TreePath::new("stacks/dev").unwrap();
        let from = |text: &str| TreePath::new(text).unwrap().relative_to(&base).into_owned();
        assert_eq!(from("stacks/dev/terraform/main.tf"), "terraform/main.tf");
        assert_eq!(from("_scripts/x.sh"), "../../_scripts/x.sh");
        assert_eq!(from("stacks/_x/y"), "../_x/y");
    }
}
