//! `include`, `exclude` and `hooks`: which files of a source take part.

use compose_model::{Cause, ExitCode, SourceSpec, TreePath, text};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The directories that the pipeline runs hook scripts from.
pub const HOOK_DIRECTORIES: [&str; 2] = ["bitops.before-deploy.d", "bitops.after-deploy.d"];

/// Decides for each file of a source's environment whether it takes part. Globs are those of a `.gitignore` in the
/// environment's directory: a pattern without an inner `/` matches at any depth, a directory's pattern holds for
/// all below it, `!` takes back, and of several matches the last one counts.
#[derive(Clone, Debug)]
pub struct Filter {
    include: Option<Gitignore>,
    exclude: Gitignore,
    hooks: bool,
}

/// A glob that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` holds `{glob}`, which is no glob: {why}")]
pub struct FilterError {
    /// `include` or `exclude`.
    pub key: &'static str,
    /// The glob, escaped.
    pub glob: String,
    /// Why.
    pub why: String,
}

impl Cause for FilterError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Config
    }
}

impl Filter {
    /// The filter of one source.
    pub fn new(spec: &SourceSpec) -> Result<Self, FilterError> {
        let include = match spec.include.as_slice() {
            [] => None,
            globs => Some(globs_of("include", globs)?),
        };
        Ok(Self {
            include,
            exclude: globs_of("exclude", &spec.exclude)?,
            hooks: spec.hooks,
        })
    }

    /// Does every file take part? Then nobody needs to know a file's name before it is fetched.
    pub fn keeps_all(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty() && self.hooks
    }

    /// Does a file take part? `path` is relative to the environment. `exclude` wins over `include`.
    pub fn keeps(&self, path: &TreePath) -> bool {
        self.left_out_by(path).is_none()
    }

    /// The key that leaves a file out; `None`: it takes part.
    pub fn left_out_by(&self, path: &TreePath) -> Option<&'static str> {
        let matches = |globs: &Gitignore| {
            globs
                .matched_path_or_any_parents(path.as_str(), false)
                .is_ignore()
        };
        if !self.hooks && is_hook(path) {
            return Some("hooks");
        }
        if matches(&self.exclude) {
            return Some("exclude");
        }
        self.include
            .as_ref()
            .is_some_and(|include| !matches(include))
            .then_some("include")
    }
}

/// Does the file stand in a hook directory, at any depth?
pub fn is_hook(path: &TreePath) -> bool {
    path.components()
        .rev()
        .skip(1)
        .any(|component| HOOK_DIRECTORIES.contains(&component))
}

/// The glob that means this path alone, as it stands in a YAML double-quoted string.
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

fn globs_of(key: &'static str, globs: &[String]) -> Result<Gitignore, FilterError> {
    let error = |glob: &str, error: ignore::Error| FilterError {
        key,
        glob: text::escape(glob, 80),
        why: text::escape(&plain(&error), 200),
    };
    let mut builder = GitignoreBuilder::new("");
    for glob in globs {
        builder.add_line(None, glob).map_err(|why| error(glob, why))?;
    }
    builder.build().map_err(|why| error("", why))
}

/// The reason alone: the glob is named already.
fn plain(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::spec;

    fn kept(include: &[&str], exclude: &[&str], hooks: bool) -> Vec<&'static str> {
        let mut spec = spec("https://host/repo", "eks");
        spec.include = include.iter().map(ToString::to_string).collect();
        spec.exclude = exclude.iter().map(ToString::to_string).collect();
        spec.hooks = hooks;
        let filter = Filter::new(&spec).unwrap();
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
        let keeps_all = |change: fn(&mut SourceSpec)| {
            let mut spec = spec("https://host/repo", "eks");
            change(&mut spec);
            Filter::new(&spec).unwrap().keeps_all()
        };
        assert!(keeps_all(|_| {}));
        assert!(!keeps_all(|spec| spec.include = vec!["*.tf".to_owned()]));
        assert!(!keeps_all(|spec| spec.exclude = vec!["README.md".to_owned()]));
        assert!(!keeps_all(|spec| spec.hooks = false));
    }

    #[test]
    fn nothing_said_keeps_everything() {
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
    fn hooks_are_left_out_at_any_depth() {
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
    fn a_broken_glob_is_named() {
        let mut spec = spec("https://host/repo", "eks");
        spec.exclude = vec!["fine".to_owned(), "{a".to_owned()];
        let error = Filter::new(&spec).unwrap_err();
        assert_eq!((error.key, error.glob.as_str()), ("exclude", "{a"));
        assert!(
            error
                .to_string()
                .starts_with("`exclude` holds `{a`, which is no glob: "),
            "{error}"
        );
    }
}
