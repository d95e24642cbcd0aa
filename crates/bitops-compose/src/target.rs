//! Which operations repo and which environment a command for people means.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use compose_model::{Diagnostic, ExitCode, file_name};

use crate::{bypass, cli::Target, workspace::Workspaces};

/// Returns the operations repo of a command for people.
///
/// A place in a composition means the user's own repo below it.
pub(crate) fn root(target: &Target) -> Result<PathBuf, Diagnostic> {
    if let Some(dir) = &target.ops_repo {
        return Ok(compose_tree::users_path(dir));
    }
    let environment = named_environment(target);
    let workspaces = workspaces();
    let places = workspaces.as_ref().map(Workspaces::places).unwrap_or_default();
    if let Some(mount) = bypass::locate_only(environment.as_deref().map(OsStr::new), &places)? {
        return Ok(mount.root().to_owned());
    }
    let dir = std::env::current_dir()
        .map_err(|error| Diagnostic::because_of("the current directory cannot be found", error))?;
    Ok(compose_tree::users_path(&dir))
}

/// Returns where the operations repo may be for a command in the image with nothing mounted.
///
/// On a runner itself, the current directory decides.
fn workspaces() -> Option<Workspaces> {
    let workspaces = Workspaces::from_env(&|name| std::env::var_os(name))?;
    (workspaces.are_asked_for() || bypass::in_image()).then_some(workspaces)
}

/// Returns the problem that nothing is mounted and no workspace has the environment, if that is so.
pub(crate) fn nowhere(target: &Target, environment: &str) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(workspaces) = workspaces().filter(|workspaces| !workspaces.have(environment.as_ref())) else {
        return Ok(None);
    };
    if target.ops_repo.is_some() {
        return Ok(None);
    }
    let mount = bypass::locate_only(Some(environment.as_ref()), &workspaces.places())?;
    let is_mounted = mount.is_some_and(|mount| !workspaces.hold(&mount));
    Ok((!is_mounted).then(|| workspaces.nowhere(environment)))
}

/// Returns the environment that a command for people is about.
pub(crate) fn named_environment(target: &Target) -> Option<String> {
    let of_bitops = || bypass::environment().map(|name| name.to_string_lossy().into_owned());
    let named = target.environment.clone().or_else(of_bitops);
    named.filter(|name| !name.is_empty())
}

/// Returns whether the operations repo has an environment of that name with a config.
pub(crate) fn is_environment(root: &Path, name: &str) -> bool {
    root.join(name).join(file_name::CONFIG).is_file()
}

/// Returns the problem that no environment is named, with those that exist.
pub(crate) fn no_environment(root: &Path) -> Diagnostic {
    let problem = Diagnostic::new(ExitCode::Usage, "no environment is named");
    match environments(root).as_slice() {
        [] => problem.hint("name one as an argument, or set BITOPS_ENVIRONMENT"),
        names => problem.hint(format!(
            "name one as an argument, or set BITOPS_ENVIRONMENT; there are: {}",
            names.join(", ")
        )),
    }
}

/// Lists the directories of an operations repo that hold a `bitops.config.yaml`.
pub(crate) fn environments(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join(file_name::CONFIG).is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
