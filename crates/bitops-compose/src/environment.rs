//! An environment's name, which BitOps joins to the operations repo's path as it is.

use std::{ffi::OsString, fs, path::Path};

use compose_model::{Diagnostic, ExitCode, TreePath, env, path::InvalidPath};

/// Returns the environment's name as BitOps finds it.
pub(crate) fn from_variables() -> Option<OsString> {
    std::env::var_os(env::BITOPS_ENVIRONMENT).or_else(|| std::env::var_os(env::ENVIRONMENT))
}

/// The environment that a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Its directory, relative to the operations repo's root.
    pub(crate) path: TreePath,
    /// Directories that the name enters and leaves again by `..`.
    pub(crate) passed: Vec<TreePath>,
}

impl Environment {
    /// Returns the environment that the name means.
    ///
    /// `./dev`, `dev/`, `dev/.` and `.//dev` are `dev`, as they are to BitOps. So is `prod/../dev`
    /// where `prod` is a directory and not a link, from which `..` would lead elsewhere.
    pub(crate) fn named(root: &Path, name: &str) -> Result<Self, Diagnostic> {
        let wrong = |error: InvalidPath| {
            Diagnostic::new(
                ExitCode::Config,
                format!("the environment's name `{name}` is not a directory of the operations repo"),
            )
            .because(error)
            .hint("name a directory relative to the operations repo's root")
        };
        if name.starts_with('/') {
            return Err(wrong(InvalidPath::Absolute));
        }
        let mut passed = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let left = TreePath::new(names.join("/")).map_err(|_| wrong(InvalidPath::Dots))?;
                    if fs::symlink_metadata(root.join(left.as_str())).is_ok_and(|meta| meta.is_symlink()) {
                        return Err(wrong(InvalidPath::Dots).reason(format!("{left} is a link")));
                    }
                    names.pop();
                    passed.push(left);
                }
                part => names.push(part),
            }
        }
        // A name of nothing but dots is not an environment.
        let text = if names.is_empty() { "." } else { &names.join("/") };
        let path = TreePath::new(text).map_err(wrong)?;
        Ok(Self { path, passed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_bitops_joins_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("prod")).unwrap();
        std::os::unix::fs::symlink("prod", root.path().join("link")).unwrap();
        let named = |name: &str| {
            let environment = Environment::named(root.path(), name).ok()?;
            let passed = environment.passed.iter().map(|path| path.as_str().to_owned());
            Some((environment.path.as_str().to_owned(), passed.collect::<Vec<_>>()))
        };
        for name in ["dev", "./dev", "dev/", "dev/.", ".//dev", "dev//"] {
            assert_eq!(named(name), Some(("dev".to_owned(), vec![])), "{name}");
        }
        assert_eq!(named("stacks/./eks/"), Some(("stacks/eks".to_owned(), vec![])));
        assert_eq!(
            named("prod/../dev"),
            Some(("dev".to_owned(), vec!["prod".to_owned()]))
        );
        for name in [
            "",
            ".",
            "./",
            "..",
            "../x",
            "dev/../..",
            "/dev",
            "link/../dev",
            "prod/..",
            ".git",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
