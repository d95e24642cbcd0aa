//! `include`, `exclude` and `hooks`: the filter for a source's files.

use std::{fmt, sync::Arc};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::{TreePath, text};

/// The directories that the pipeline runs hook scripts from.
pub const HOOK_DIRECTORIES: [&str; 2] = ["bitops.before-deploy.d", "bitops.after-deploy.d"];

/// The filter for the files of a directory. It is compiled once, when a source's entry is parsed, and
/// is cheap to clone. Filters with the same rules are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    include: Globs,
    exclude: Globs,
    hooks: bool,
}

/// The key of a source's entry that excludes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterKey {
    /// `include`, which does not match the file.
    Include,
    /// `exclude`, which matches the file.
    Exclude,
    /// `hooks: false`; the file is in a hook directory.
    Hooks,
}

impl FilterKey {
    /// Returns the key as it is written in a config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Hooks => "hooks",
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::all()
    }
}

impl Filter {
    /// Returns the filter that keeps every file.
    pub fn all() -> Self {
        Self::new(Globs::default(), Globs::default(), true)
    }

    /// Returns the filter of an entry. An empty `include` matches everything.
    pub fn new(include: Globs, exclude: Globs, hooks: bool) -> Self {
        Self {
            include,
            exclude,
            hooks,
        }
    }

    /// Returns whether the filter keeps every file. Then files can be fetched before their names are
    /// known.
    pub fn keeps_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty() && self.hooks
    }

    /// Returns whether the filter keeps a file. `path` is relative to the directory.
    pub fn keeps(&self, path: &TreePath) -> bool {
        self.left_out_by(path).is_none()
    }

    /// Returns the key that excludes a file; `None` if the file is kept. `exclude` wins over `include`.
    pub fn left_out_by(&self, path: &TreePath) -> Option<FilterKey> {
        if !self.hooks && is_hook(path) {
            Some(FilterKey::Hooks)
        } else if self.exclude.match_path(path) {
            Some(FilterKey::Exclude)
        } else if !self.include.is_empty() && !self.include.match_path(path) {
            Some(FilterKey::Include)
        } else {
            None
        }
    }

    /// Returns the globs of `include` as they were written.
    pub fn included(&self) -> &[String] {
        self.include.texts()
    }

    /// Returns the globs of `exclude` as they were written.
    pub fn excluded(&self) -> &[String] {
        self.exclude.texts()
    }

    /// Returns whether the filter keeps hook scripts.
    pub fn keeps_hooks(&self) -> bool {
        self.hooks
    }

    /// Returns the same filter with hook scripts excluded as well.
    #[must_use]
    pub fn without_hooks(self) -> Self {
        Self { hooks: false, ..self }
    }
}

/// Globs with the rules of a `.gitignore` in the directory: a pattern without an inner `/` matches at
/// any depth, a pattern that matches a directory matches everything below it, `!` negates, and the
/// last matching pattern decides.
#[derive(Clone, Default)]
pub struct Globs(Option<Arc<Compiled>>);

struct Compiled {
    texts: Vec<String>,
    globs: Gitignore,
}

impl Globs {
    /// Compiles globs.
    ///
    /// # Errors
    ///
    /// If a text is not a valid glob; [`Globs::check`] tells which.
    pub fn new(texts: Vec<String>) -> Result<Self, GlobError> {
        if texts.is_empty() {
            return Ok(Self::default());
        }
        let mut builder = builder();
        for text in &texts {
            builder.add_line(None, text)?;
        }
        let globs = builder.build()?;
        Ok(Self(Some(Arc::new(Compiled { texts, globs }))))
    }

    /// Checks that a text is a valid glob.
    pub fn check(text: &str) -> Result<(), GlobError> {
        builder().add_line(None, text)?;
        Ok(())
    }

    /// Returns whether there are no globs.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn texts(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |compiled| &compiled.texts)
    }

    fn match_path(&self, path: &TreePath) -> bool {
        let matches = |compiled: &Arc<Compiled>| {
            let found = compiled.globs.matched_path_or_any_parents(path.as_str(), false);
            found.is_ignore()
        };
        self.0.as_ref().is_some_and(matches)
    }
}

fn builder() -> GitignoreBuilder {
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    builder
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.texts() == other.texts()
    }
}

impl Eq for Globs {}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts().fmt(f)
    }
}

/// The reason why a text is not a valid glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GlobError(String);

impl From<ignore::Error> for GlobError {
    fn from(error: ignore::Error) -> Self {
        // Only the reason: the message around it names the glob.
        let why = match error {
            ignore::Error::Glob { err, .. } => err,
            other => other.to_string(),
        };
        Self(text::escape(&why, 200))
    }
}

/// A file that the filter excludes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The path, relative to the listed directory.
    pub path: TreePath,
    /// The key that excludes it.
    pub by: FilterKey,
}

/// Returns whether a file is in a hook directory, at any depth.
pub fn is_hook(path: &TreePath) -> bool {
    path.components()
        .rev()
        .skip(1)
        .any(|component| HOOK_DIRECTORIES.contains(&component))
}

/// Returns the glob that matches only this path, escaped for a YAML double-quoted string.
pub fn glob(path: &str) -> String {
    let escape = |c: char| {
        if "*?[]{}\\!".contains(c) {
            format!("\\\\{c}")
        } else {
            c.to_string()
        }
    };
    path.chars().map(escape).collect::<String>().replace('"', "\\\"")
}

/// Returns the gitignore-style glob that matches only this path.
pub fn exact_glob(path: &str) -> String {
    let mut glob = String::from("/");
    for c in path.chars() {
        if "*?[]{}\\!".contains(c) {
            glob.push('\\');
        }
        glob.push(c);
    }
    if glob.ends_with(' ') {
        glob.truncate(glob.len() - 1);
        glob.push_str("\\ ");
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Globs {
        Globs::new(texts.iter().map(ToString::to_string).collect()).unwrap()
    }

    fn kept(include: &[&str], exclude: &[&str], hooks: bool) -> Vec<&'static str> {
        let filter = Filter::new(globs(include), globs(exclude), hooks);
        let all = [
            "README.md",
            "helm/app/README.md",
            "helm/app/values.yaml",
            "helm/bitops.after-deploy.d/notify.sh",
            "terraform/bitops.before-deploy.d/sub/a.sh",
            "terraform/main.tf",
            "terraform/modules/vpc/main.tf",
        ];
        all.into_iter()
            .filter(|path| filter.keeps(&TreePath::new(*path).unwrap()))
            .collect()
    }

    #[test]
    fn only_a_filter_without_rules_keeps_all() {
        assert!(Filter::all().keeps_all());
        assert!(Filter::new(globs(&[]), globs(&[]), true).keeps_all());
        assert!(!Filter::new(globs(&["*.tf"]), globs(&[]), true).keeps_all());
        assert!(!Filter::new(globs(&[]), globs(&["README.md"]), true).keeps_all());
        assert!(!Filter::all().without_hooks().keeps_all());
    }

    #[test]
    fn a_filter_without_rules_keeps_every_file() {
        assert_eq!(kept(&[], &[], true).len(), 7);
    }

    #[test]
    fn globs_are_those_of_gitignore() {
        assert_eq!(
            kept(&[], &["README.md", "/terraform"], true),
            ["helm/app/values.yaml", "helm/bitops.after-deploy.d/notify.sh"]
        );
        assert_eq!(kept(&["terraform/*.tf"], &[], true), ["terraform/main.tf"]);
        assert_eq!(
            kept(&["terraform/**/*.tf"], &[], true),
            ["terraform/main.tf", "terraform/modules/vpc/main.tf"]
        );
        assert_eq!(
            kept(&[], &["*.md", "!/README.md", "*.d", "*.tf", "*.yaml"], true),
            ["README.md"]
        );
    }

    #[test]
    fn exclude_wins_over_include() {
        assert_eq!(
            kept(&["terraform"], &["modules", "*.d"], true),
            ["terraform/main.tf"]
        );
        assert_eq!(kept(&["*.md"], &["*.md"], true), [""; 0]);
    }

    #[test]
    fn hooks_are_excluded_at_any_depth() {
        assert_eq!(
            kept(&[], &[], false),
            [
                "README.md",
                "helm/app/README.md",
                "helm/app/values.yaml",
                "terraform/main.tf",
                "terraform/modules/vpc/main.tf"
            ]
        );
        assert!(
            !is_hook(&TreePath::new("docs/bitops.before-deploy.d").unwrap()),
            "a file of that name is no hook"
        );
    }

    #[test]
    fn the_key_that_excludes_a_file_is_reported() {
        let filter = Filter::new(globs(&["*.tf", "*.d"]), globs(&["/modules"]), false);
        let by = |path: &str| filter.left_out_by(&TreePath::new(path).unwrap());
        assert_eq!(by("main.tf"), None);
        assert_eq!(by("README.md"), Some(FilterKey::Include));
        assert_eq!(by("modules/main.tf"), Some(FilterKey::Exclude));
        assert_eq!(by("bitops.after-deploy.d/a.sh"), Some(FilterKey::Hooks));
    }

    #[test]
    fn filters_with_the_same_rules_are_equal() {
        let filter = |exclude: &[&str]| Filter::new(globs(&[]), globs(exclude), true);
        assert_eq!(filter(&["*.md"]), filter(&["*.md"]));
        assert_ne!(filter(&["*.md"]), filter(&["*.tf"]));
        assert_ne!(filter(&["*.md"]), filter(&["*.md"]).without_hooks());
        assert_eq!(filter(&[]), Filter::all());
    }

    #[test]
    fn an_invalid_glob_is_reported_with_a_reason() {
        for wrong in ["a[", "b{"] {
            let error = Globs::check(wrong).unwrap_err();
            assert!(!error.to_string().is_empty());
            assert_eq!(Globs::new(vec![wrong.to_owned()]).unwrap_err(), error);
        }
        assert_eq!(Globs::check("*.md"), Ok(()));
    }
}
