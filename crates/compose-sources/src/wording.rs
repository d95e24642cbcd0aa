//! Every message about sources, with its remedy.
//!
//! A message takes what it is about and gives a [`Diagnostic`]. Messages about versions, fetching and signatures
//! themselves are the errors of `compose-plan`, `compose-git` and `compose-signatures`; those in here wrap them.

use std::{io, path::Path, str::Utf8Error, sync::Arc};

use compose_model::{
    Diagnostic, ExitCode, RefEntry, RepoUrl, Severity, SourceSpec, TreeId, TreePath, env, filter::glob, text,
};
use compose_plan::{
    layer::Part,
    lock::{self, Locked},
    resolve::{ResolveError, Resolved},
};
use compose_signatures::Unverified;

/// The number of environments that a message lists. A catalog may have a thousand.
const LISTED: usize = 20;

/// A task panicked.
pub(crate) fn unexpected_end(of: &str, error: tokio::task::JoinError) -> Diagnostic {
    Diagnostic::new(ExitCode::Bug, format!("{of} ended in an unexpected way")).because(error)
}

/// The graph ordered a node that nothing fetched.
pub(crate) fn ordered_but_not_fetched() -> Diagnostic {
    Diagnostic::new(ExitCode::Bug, "a source was ordered and not fetched")
}

/// The lock file cannot be read.
pub(crate) fn unreadable_lock(name: &str, error: io::Error) -> Diagnostic {
    Diagnostic::because_of(format!("cannot read {name}"), error)
}

/// The lock file is not text.
pub(crate) fn lock_not_utf8(name: &str, error: Utf8Error) -> Diagnostic {
    Diagnostic::new(ExitCode::Config, format!("{name} is not valid UTF-8"))
        .because(error)
        .hint(lock::RESTORE)
}

/// A command needs the lock file, and there is none.
pub(crate) fn no_lock(name: &str) -> Diagnostic {
    Diagnostic::new(ExitCode::Config, format!("there is no {name}")).hint("run `bitops-compose lock` first")
}

/// The setting that requires a lock is set, and there is none.
pub(crate) fn no_required_lock(name: &str) -> Diagnostic {
    let message = format!("there is no {name}, and {} asks for one", env::LOCKED);
    Diagnostic::new(ExitCode::Config, message).hint("run `bitops-compose lock`, and commit the lock")
}

/// Turns the warning that lock and config differ into the error of a comparison, with the command that ends it.
pub(crate) fn differs(mut warning: Diagnostic, environment: &TreePath) -> Diagnostic {
    warning.severity = Severity::Error;
    warning.hints = vec![lock_command(environment)];
    warning
}

/// An environment that names sources has no lock file to compare.
pub(crate) fn no_lock_to_compare(name: &str, environment: &TreePath) -> Diagnostic {
    Diagnostic::new(ExitCode::Config, format!("there is no {name}")).hint(lock_command(environment))
}

fn lock_command(environment: &TreePath) -> String {
    format!("run `bitops-compose lock {environment}`, and commit the lock")
}

/// The lock file cannot be written.
pub(crate) fn unwritten_lock(file: &str, error: io::Error) -> Diagnostic {
    Diagnostic::new(ExitCode::CannotWrite, format!("cannot write {file}")).because(error)
}

/// An environment's config cannot be written.
pub(crate) fn unwritten_config(file: &str, error: io::Error) -> Diagnostic {
    Diagnostic::new(ExitCode::CannotWrite, format!("cannot write {file}")).because(error)
}

/// An environment's config was changed by something else while a command worked on it.
pub(crate) fn changed_config(file: &str) -> Diagnostic {
    Diagnostic::new(
        ExitCode::Config,
        format!("{file} was changed meanwhile, and was not written"),
    )
    .hint("run the command again")
}

/// The lock is a link that leads out of the operations repo, or nowhere.
pub(crate) fn lock_elsewhere(name: &str, error: io::Error) -> Diagnostic {
    Diagnostic::new(ExitCode::CannotWrite, format!("cannot write {name}"))
        .because(error)
        .hint("replace the link by a file, or remove it")
}

/// Turns the warning that the lock does not answer a request into an error, which names the setting that makes it one.
pub(crate) fn refused_as_not_locked(mut warning: Diagnostic) -> Diagnostic {
    warning.severity = Severity::Error;
    warning.message.push_str(&format!(", and {} is set", env::LOCKED));
    warning
}

/// Adds to the warning that the lock does not answer a request what happens instead.
pub(crate) fn resolved_without_lock(mut warning: Diagnostic) -> Diagnostic {
    warning
        .message
        .push_str("; it is resolved as if there were no lock");
    warning
}

/// A locked environment has another tree than the lock says, although the commit is the locked one.
pub(crate) fn not_as_locked(spec: &SourceSpec, locked: &Locked, found: Option<TreeId>) -> Diagnostic {
    let (environment, repo, commit) = (&spec.environment, &spec.repo, locked.commit.abbreviated());
    let found = found.map_or_else(
        || "it does not exist".to_owned(),
        |tree| format!("it is the tree {}", tree.abbreviated()),
    );
    let wanted = locked.tree.abbreviated();
    let message = format!(
        "`{environment}` of {repo} is not what was locked: in commit {commit} {found}, and the lock says {wanted}"
    );
    Diagnostic::new(ExitCode::Config, message).hint(lock::RESTORE)
}

/// A source is signed by a trusted key, but not by the one in the lock.
pub(crate) fn other_signer(spec: &SourceSpec, locked: &Locked, wanted: &str, found: &str) -> Diagnostic {
    let (environment, repo, version) = (&spec.environment, &spec.repo, locked.name_and_commit());
    let wanted = text::escape(wanted, 200);
    let message =
        format!("{version} of `{environment}` of {repo} is signed by {found}, and the lock says {wanted}");
    Diagnostic::new(ExitCode::Config, message).hint(format!(
        "if `verify` or the trusted keys were changed on purpose, run `bitops-compose lock`, and commit the lock; otherwise {}",
        lock::RESTORE
    ))
}

/// A commit cannot be fetched. If the commit itself is at fault, the place is that of the `version` or `ref`.
pub(crate) fn not_fetched(error: Arc<compose_git::Error>, spec: &SourceSpec, is_locked: bool) -> Diagnostic {
    let is_gone = matches!(*error, compose_git::Error::NoCommit { .. });
    let is_requested = is_gone || matches!(*error, compose_git::Error::NotACommit { .. });
    let mut problem = Diagnostic::from(error);
    if is_requested {
        problem = problem.with_place(spec.requested_place());
    }
    if is_locked && is_gone {
        problem.hints = vec![
            "the lock names it: `bitops-compose outdated` shows whether its tag or branch moved, and `bitops-compose update` locks what the repo has now"
                .to_owned(),
        ];
    }
    problem
}

/// The repo's refs do not answer a request.
pub(crate) fn unresolved(spec: &SourceSpec, error: ResolveError) -> Diagnostic {
    let message = format!("{}: {error}", spec.repo);
    Diagnostic::because_of(message, error).with_place(spec.requested_place())
}

/// A warning about a request that was resolved.
pub(crate) fn resolved_with_warning(spec: &SourceSpec, warning: &str) -> Diagnostic {
    Diagnostic::warning(format!("{}: {warning}", spec.repo)).with_place(spec.requested_place())
}

/// A tag points to another commit than when the cache last saw it.
pub(crate) fn moved_tag(spec: &SourceSpec, resolved: &Resolved, before: &RefEntry) -> Diagnostic {
    Diagnostic::warning(format!(
        "the tag `{}` of {} was moved: it was at {} when this cache last saw it, and is at {} now",
        text::escape(&resolved.name, 120),
        spec.repo,
        before.target.abbreviated(),
        resolved.commit.abbreviated()
    ))
    .with_place(spec.requested_place())
    .hint("ask the catalog's owner why; with a lock (`bitops-compose lock`) deployments keep to the commits")
}

/// A directory that cannot be composed: one problem for each bad path.
pub(crate) fn unfit(error: compose_git::Error, part: &Part, dir: &TreePath) -> Vec<Diagnostic> {
    let each = error.into_each().into_iter();
    each.map(|error| unfit_entry(error, part, dir)).collect()
}

/// An entry that cannot be composed, with the `exclude` that leaves it out. Globs start at the directory; shared
/// directories have none.
fn unfit_entry(error: compose_git::Error, part: &Part, dir: &TreePath) -> Diagnostic {
    let remedy = match (&error, part) {
        (compose_git::Error::Tree { path, .. }, Part::Environment | Part::DefaultFolder(_)) => path
            .strip_prefix(dir.as_str())
            .filter(|below| below.starts_with('/'))
            .map(|below| {
                format!(
                    "exclude: [\"{}\"] in the source's entry leaves it out",
                    glob(below)
                )
            }),
        _ => None,
    };
    let further = match error {
        compose_git::Error::Tree { further, .. } if further > 0 => Some(format!(
            "correct or exclude {further} further entries of {dir} as well"
        )),
        _ => None,
    };
    let problem = Diagnostic::from(error);
    remedy.into_iter().chain(further).fold(problem, Diagnostic::hint)
}

/// An entry names a directory that does not exist. Ignoring it would deploy other files than the user expects.
/// `existing` are the directories that the commit has.
pub(crate) fn no_directory(
    spec: &SourceSpec,
    resolved: &Resolved,
    part: &Part,
    dir: &TreePath,
    existing: &[String],
) -> Diagnostic {
    let (key, place) = match part {
        Part::DefaultFolder(_) => ("default-folder", spec.default_folder_place()),
        Part::Environment | Part::Shared(_) => ("shared", spec.shared_place(dir)),
    };
    let tag = text::escape(&resolved.name, 80);
    let message = format!(
        "{} @ {tag} has no directory `{dir}`, which `{key}` names",
        spec.repo
    );
    let near = text::did_you_mean(dir.as_str(), existing.iter().map(String::as_str));
    let problem = Diagnostic::new(ExitCode::Config, message).with_place(place);
    problem.hint(match near {
        Some(near) => format!("did you mean `{}`?", text::escape(near, 80)),
        None => "correct the name, leave it out, or take a version that has it".to_owned(),
    })
}

/// An entry names an environment that does not exist. `existing` are the environments that the commit has.
pub(crate) fn no_environment(spec: &SourceSpec, resolved: &Resolved, existing: &[String]) -> Diagnostic {
    let tag = text::escape(&resolved.name, 80);
    let problem = Diagnostic::new(
        ExitCode::Config,
        format!("{} @ {tag} has no environment `{}`", spec.repo, spec.environment),
    )
    .with_place(spec.environment_place());
    let near = text::did_you_mean(spec.environment.as_str(), existing.iter().map(String::as_str));
    match (near, existing) {
        (_, []) => problem.hint("the repo has no directory that could be an environment"),
        (Some(near), all) => problem.hint(format!(
            "did you mean `{near}`? There are: {}",
            first_environments(all)
        )),
        (None, all) => problem.hint(format!("there are: {}", first_environments(all))),
    }
}

fn first_environments(names: &[String]) -> String {
    let listed = names
        .iter()
        .take(LISTED)
        .map(|name| text::escape(name, 80))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// The file of trusted keys cannot be read.
pub(crate) fn unreadable_keys(path: &Path, error: io::Error) -> Diagnostic {
    let message = format!("cannot read the trusted keys in {}", path.display());
    Diagnostic::because_of(message, error)
        .hint("the file comes from the image, a mount or the operations repo")
}

/// The file of trusted keys that an entry names by a relative path is not in the operations repo.
pub(crate) fn keys_outside(path: &Path, error: io::Error) -> Diagnostic {
    let message = format!("cannot read the trusted keys in {}", path.display());
    Diagnostic::because_of(message, error)
        .hint("name a file of the operations repo, or one in the image or a mount by its absolute path")
}

/// A source is fetched by plain http from another machine, whose address the config has, or the one that git's
/// configuration rewrites the config's to.
pub(crate) fn unprotected(spec: &SourceSpec, rewritten: Option<&RepoUrl>) -> Diagnostic {
    let (from, remedy) = match rewritten {
        None => (String::new(), "use `https://` or ssh"),
        Some(address) => (
            format!(" from {address}, because url.*.insteadOf of git's configuration says so,"),
            "let it name an `https://` or ssh address",
        ),
    };
    let message = format!(
        "{} is fetched{from} without encryption: anybody on the way can change what is deployed",
        spec.repo
    );
    Diagnostic::warning(message)
        .with_place(spec.place.clone())
        .hint(format!(
            "{remedy}; `verify` and a lock protect what is deployed, but not what others read"
        ))
}

/// A source must be signed, but no file of trusted keys is set.
pub(crate) fn no_keys(spec: &SourceSpec) -> Diagnostic {
    let message = format!(
        "`{}` of {} must be signed, and no keys are trusted",
        spec.environment, spec.repo
    );
    Diagnostic::new(ExitCode::Config, message).hint(format!(
        "set {} to a file of trusted keys, or name one with `keys` in the local config's entry",
        env::VERIFY_KEYS
    ))
}

/// A required signature is missing, invalid, or not made by a trusted key.
pub(crate) fn unverified(spec: &SourceSpec, resolved: &Resolved, error: Unverified) -> Diagnostic {
    let name = text::escape(&resolved.name, 80);
    let message = format!("{} @ {name} is not signed as it must be: {error}", spec.repo);
    Diagnostic::because_of(message, error)
}
