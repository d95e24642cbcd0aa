//! Finds the operations repo where none is mounted: the place that was named for it, or the CI's
//! own checkout.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use compose_model::{Diagnostic, ExitCode, env, settings::Lookup, text};
use compose_tree::Mount;

/// The directory that holds the operations repo in a checkout that is not one itself: the
/// convention of BitOps' actions.
pub(crate) const OPERATIONS: &str = "operations";

/// The checkouts to look into, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Workspaces {
    /// The checkouts, each with the variable that names it.
    checkouts: Vec<(&'static str, PathBuf)>,
}

impl Workspaces {
    /// Returns [`env::WORKSPACE`] alone, else the checkouts of the CIs whose marks are set.
    ///
    /// `None` means that there is nowhere to look.
    pub(crate) fn from_env(lookup: Lookup<'_>) -> Option<Self> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        if let Some(place) = set(env::WORKSPACE) {
            let checkouts = vec![(env::WORKSPACE, absolute(place, lookup))];
            return Some(Self { checkouts });
        }
        let marked = |mark: &str| set(mark).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
        let checkouts: Vec<_> = env::CHECKOUTS
            .into_iter()
            .filter(|(_, mark)| marked(mark))
            .filter_map(|(name, _)| Some((name, absolute(set(name)?, lookup))))
            .collect();
        (!checkouts.is_empty()).then_some(Self { checkouts })
    }

    /// Returns whether [`env::WORKSPACE`] named the checkout, rather than a CI's marks.
    pub(crate) fn are_asked_for(&self) -> bool {
        self.checkouts.iter().any(|(name, _)| *name == env::WORKSPACE)
    }

    /// Returns the directories that may be the operations repo, in order.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let both = |(_, checkout): &(&str, PathBuf)| [checkout.clone(), checkout.join(OPERATIONS)];
        self.checkouts.iter().flat_map(both).collect()
    }

    /// Returns whether any of them has the environment.
    pub(crate) fn have(&self, environment: &Path) -> bool {
        let mut places = self.places().into_iter();
        places.any(|place| place.join(environment).is_dir())
    }

    /// Returns whether the operations repo that was found is one of them, and not a mount.
    ///
    /// A link in a mount's place leads to a workspace of an earlier run, whether or not it is one
    /// of these.
    pub(crate) fn hold(&self, found: &Mount) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let root = real(found.root());
        found.home().join("mount").is_symlink()
            || root.is_some_and(|root| {
                self.places()
                    .iter()
                    .any(|place| real(place).as_ref() == Some(&root))
            })
    }

    /// Returns the problem that none of them has the environment, which BitOps would pass over with
    /// success.
    pub(crate) fn nowhere(&self, environment: &str) -> Diagnostic {
        let problem = Diagnostic::new(
            ExitCode::Config,
            format!("there is no environment `{}`", text::escape(environment, 200)),
        );
        let seen = self.checkouts.iter().map(|(name, checkout)| {
            let place = checkout.display();
            if checkout.is_dir() {
                format!("neither {place} (of {name}) nor {place}/{OPERATIONS} has such a directory")
            } else {
                format!("{place} (of {name}) is not there")
            }
        });
        seen.fold(problem, Diagnostic::reason).hint(format!(
            "nothing is mounted as the operations repo: mount it, check it out there, or name its directory in {}",
            env::WORKSPACE
        ))
    }
}

/// Makes the path absolute and expands its `~`, which CircleCI's path has.
fn absolute(place: OsString, lookup: Lookup<'_>) -> PathBuf {
    let path = PathBuf::from(place);
    let path = match (
        path.strip_prefix("~"),
        lookup("HOME").filter(|home| !home.is_empty()),
    ) {
        (Ok(below), Some(home)) => Path::new(&home).join(below),
        _ => path,
    };
    // Joining with nothing leaves a slash at the end, which is removed.
    let path = std::path::absolute(&path).unwrap_or(path);
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Vec<(&'static str, String)>> {
        let lookup = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| OsString::from(value))
        };
        let workspaces = Workspaces::from_env(&lookup)?;
        let text = |(name, path): (_, PathBuf)| (name, path.to_str().unwrap().to_owned());
        Some(workspaces.checkouts.into_iter().map(text).collect())
    }

    #[test]
    fn a_checkout_counts_beside_its_own_cis_mark_only() {
        for (name, mark) in env::CHECKOUTS {
            assert_eq!(
                of(&[(name, "/w"), (mark, "1")]),
                Some(vec![(name, "/w".to_owned())])
            );
            assert_eq!(of(&[(name, "/w")]), None, "{name}");
            assert_eq!(of(&[(name, "/w"), (mark, "")]), None, "{name}");
            assert_eq!(of(&[(name, "/w"), (mark, "false")]), None, "{name}");
            assert_eq!(of(&[(name, ""), (mark, "true")]), None, "{name}");
            for (other, _) in env::CHECKOUTS.into_iter().filter(|(other, _)| *other != name) {
                assert_eq!(
                    of(&[(other, "/w"), (mark, "true")]),
                    None,
                    "{other} beside {mark}"
                );
            }
        }
    }

    #[test]
    fn a_named_workspace_takes_precedence_over_every_ci() {
        let ci = [("GITHUB_WORKSPACE", "/w"), ("GITHUB_ACTIONS", "true")];
        let named = [&ci[..], &[("BITOPS_COMPOSE_WORKSPACE", "/named/")]].concat();
        assert_eq!(
            of(&named),
            Some(vec![("BITOPS_COMPOSE_WORKSPACE", "/named".to_owned())])
        );
    }

    #[test]
    fn circles_tilde_is_the_home() {
        let circle = |place, home: &str| {
            let variables = [
                ("CIRCLE_WORKING_DIRECTORY", place),
                ("CIRCLECI", "true"),
                ("HOME", home),
            ];
            of(&variables).unwrap().remove(0).1
        };
        assert_eq!(circle("~/project", "/root"), "/root/project");
        assert_eq!(circle("~", "/root"), "/root");
        assert_eq!(circle("/w/~/x", "/root"), "/w/~/x");
    }
}
