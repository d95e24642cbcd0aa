//! Which operations repo and which environments a command for people means.
//!
//! | given | operations repo | environment |
//! |---|---|---|
//! | `--ops-repo DIR`, or a mount | that one | a name, or a path that leads into it |
//! | neither | the nearest directory upwards with `.git`, else the current directory, or its parent where it is an environment itself | a name, or a path from the current directory |
//!
//! Without a name it is `BITOPS_ENVIRONMENT`, else the environment around the current directory.

use std::{
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
};

use compose_model::{Diagnostic, ExitCode, file_name};
use compose_plan::config::mentions_list;

use crate::{
    bypass,
    cli::{Asked, Place},
    environment, flags, own_config,
    shown_path::shown_path,
    workspace::{OPERATIONS, Workspaces},
};

/// The greatest depth at which `--all` looks for environments.
const MAX_DEPTH: usize = 8;

/// The environments that a command is about, in the order they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The user's operations repo.
    pub(crate) root: PathBuf,
    /// The environments as BitOps would be given them, relative to the root.
    pub(crate) environments: Vec<String>,
}

/// Returns the environments that are meant.
pub(crate) fn select(place: &Place, asked: Asked<'_>) -> Result<Selection, Diagnostic> {
    let here = here()?;
    match asked {
        Asked::All => {
            let root = operations_below(root(place, None)?, |root| !with_sources(root).is_empty());
            let environments = with_sources(&root);
            if environments.is_empty() {
                return Err(nothing_for_all(&root));
            }
            Ok(Selection { root, environments })
        }
        Asked::Words([]) => {
            let named = named_by_variables();
            let root = root(place, named.as_deref())?;
            let name = named.or_else(|| environment_around(&root, &here));
            let name = name.ok_or_else(|| no_environment(&root))?;
            Ok(Selection {
                environments: vec![name],
                root,
            })
        }
        Asked::Words(words) => {
            let mut selection: Option<Selection> = None;
            for word in words {
                let (root, name) = named(place, word, &here)?;
                let selected = selection.get_or_insert_with(|| Selection {
                    root: root.clone(),
                    environments: Vec::new(),
                });
                if selected.root != root {
                    return Err(two_repos(&selected.root, &root));
                }
                if !selected.environments.contains(&name) {
                    selected.environments.push(name);
                }
            }
            selection.ok_or_else(|| no_environment(&here))
        }
    }
}

/// Returns the environment for a command that makes one: as [`select`] does, else the current directory, which has no
/// config yet.
pub(crate) fn select_new(place: &Place, asked: Asked<'_>) -> Result<Selection, Diagnostic> {
    let selected = select(place, asked);
    if let (Err(_), Asked::Words([])) = (&selected, asked) {
        let root = root(place, None)?;
        let name = real(&here()?).zip(root.canonicalize().ok());
        if let Some(name) = name.and_then(|(here, root)| relative(&here, &root)) {
            return Ok(Selection {
                environments: vec![name],
                root,
            });
        }
    }
    selected
}

/// Returns the operations repo of a command for people, for a certain environment if one is named.
///
/// A place in a composition means the user's own repo below it.
pub(crate) fn root(place: &Place, environment: Option<&str>) -> Result<PathBuf, Diagnostic> {
    if let Some(root) = fixed(place, environment)? {
        return Ok(root);
    }
    let root = root_around(&here()?);
    Ok(operations_below(root, |root| {
        environment.is_none_or(|name| root.join(name).is_dir())
    }))
}

/// Returns the options of a command line that mean an environment again, from the same current directory. `name` is
/// the option that names the environment.
pub(crate) fn options(place: &Place, root: &Path, environment: &str, name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(dir) = &flags::get().directory {
        option("-C", dir.display().to_string());
    }
    if let Some(dir) = &place.ops_repo {
        option("--ops-repo", dir.display().to_string());
    }
    let found = select(place, Asked::Words(&[environment.to_owned()]));
    let is_it = found.is_ok_and(|found| found.root == root && found.environments == [environment]);
    let path = if is_it {
        environment.to_owned()
    } else {
        root.join(environment).display().to_string()
    };
    option(name, path);
    words
}

/// Returns the operations repo that an option or a mount names.
fn fixed(place: &Place, environment: Option<&str>) -> Result<Option<PathBuf>, Diagnostic> {
    if let Some(dir) = &place.ops_repo {
        return Ok(Some(compose_tree::users_path(dir)));
    }
    let workspaces = workspaces();
    let places = workspaces.as_ref().map(Workspaces::places).unwrap_or_default();
    let mount = bypass::locate_only(environment.map(OsStr::new), &places)?;
    Ok(mount.map(|mount| mount.root().to_owned()))
}

/// Returns the operations repo and the name of the environment that a word means.
fn named(place: &Place, word: &str, here: &Path) -> Result<(PathBuf, String), Diagnostic> {
    if let Some(root) = fixed(place, Some(word))? {
        let name = name_in(&root, word, here);
        return Ok((root, name));
    }
    let around = root_around(here);
    let is_name = !word.starts_with('.') && !word.contains('/') && is_environment(&around, word);
    if !is_name && let Some(dir) = real(&here.join(word)).filter(|dir| dir.is_dir()) {
        let root = checkout_of(&dir).unwrap_or_else(|| {
            if is_below(&dir, &around) {
                around.clone()
            } else {
                root_of(&dir)
            }
        });
        if let Some(name) = relative(&dir, &root) {
            return Ok((root, name));
        }
    }
    let root = operations_below(around, |root| root.join(word).is_dir());
    Ok((root, word.to_owned()))
}

/// Returns the name of an environment in a certain operations repo: the word itself, or what is left of a path
/// that leads into the repo.
fn name_in(root: &Path, word: &str, here: &Path) -> String {
    if !word.starts_with('/') && root.join(word).is_dir() {
        return word.to_owned();
    }
    let inside = real(&here.join(word)).zip(root.canonicalize().ok());
    let name = inside.and_then(|(path, root)| relative(&path, &root).filter(|_| path.is_dir()));
    name.unwrap_or_else(|| word.to_owned())
}

/// Returns the operations repo that the current directory is in.
fn root_around(here: &Path) -> PathBuf {
    checkout_of(here).unwrap_or_else(|| {
        let parent = topmost_environment(here).and_then(Path::parent);
        parent.unwrap_or(here).to_owned()
    })
}

/// Returns the operations repo of an environment's directory outside of the directory in which the command runs.
fn root_of(environment: &Path) -> PathBuf {
    let parent = environment.parent().unwrap_or(environment);
    let above = topmost_environment(environment).and_then(Path::parent);
    above.unwrap_or(parent).to_owned()
}

/// Returns the nearest directory upwards that holds `.git`, or its directory `operations` if that is on the way.
fn checkout_of(dir: &Path) -> Option<PathBuf> {
    let root = dir.ancestors().find(|dir| dir.join(".git").exists())?;
    let operations = root.join(OPERATIONS);
    if dir.starts_with(&operations) && !is_environment(root, OPERATIONS) {
        return Some(operations);
    }
    Some(root.to_owned())
}

/// Returns the directory `operations` of a checkout that has not itself what is looked for: the convention of
/// BitOps' actions.
fn operations_below(root: PathBuf, has: impl Fn(&Path) -> bool) -> PathBuf {
    let operations = root.join(OPERATIONS);
    if !has(&root) && has(&operations) && operations.is_dir() {
        operations
    } else {
        root
    }
}

/// Returns the topmost of the directories from this one upwards that is an environment. One that names sources
/// goes before one that does not: a deployment's directory has a config of its own.
fn topmost_environment(dir: &Path) -> Option<&Path> {
    let topmost = |is_it: fn(&Path) -> bool| dir.ancestors().filter(|dir| is_it(dir)).last();
    topmost(names_sources).or_else(|| topmost(has_config))
}

/// Returns the environment of the operations repo that a directory is in.
fn environment_around(root: &Path, dir: &Path) -> Option<String> {
    let (root, dir) = (root.canonicalize().ok()?, dir.canonicalize().ok()?);
    let below = dir.strip_prefix(&root).ok()?;
    environment_above(&root, below, names_sources).or_else(|| environment_above(&root, below, has_config))
}

/// Returns the environment of a path that a person names, with the path relative to the operations repo. The path
/// may be relative to the current directory or to the operations repo, and need not exist: a source may bring it.
pub(crate) fn environment_of_path(root: &Path, path: &str) -> Option<(String, String)> {
    let root = root.canonicalize().ok()?;
    let from_here = here()
        .ok()
        .and_then(|here| without_dots(&here.canonicalize().ok()?.join(path)));
    let from_here = from_here
        .as_deref()
        .and_then(|path| path.strip_prefix(&root).ok());
    let from_root = without_dots(Path::new(path));
    [from_here, from_root.as_deref()]
        .into_iter()
        .flatten()
        .find_map(|path| {
            let environment = environment_above(&root, path.parent()?, names_sources)?;
            Some((environment, path.to_str()?.to_owned()))
        })
}

/// Returns the topmost directory of the path, which is relative to the root, that is an environment.
fn environment_above(root: &Path, below: &Path, is_it: fn(&Path) -> bool) -> Option<String> {
    let mut dirs: Vec<&Path> = below
        .ancestors()
        .filter(|dir| !dir.as_os_str().is_empty())
        .collect();
    dirs.reverse();
    let found = dirs.into_iter().find(|dir| is_it(&root.join(dir)))?;
    found.to_str().map(ToOwned::to_owned)
}

/// Returns a path without `.` and `..`. `None` if it leaves where it begins.
fn without_dots(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// Returns a path without `.`, `..` and links on the way. A link at its end remains: an environment may be one.
fn real(path: &Path) -> Option<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Some(parent.canonicalize().ok()?.join(name)),
        _ => path.canonicalize().ok(),
    }
}

fn relative(path: &Path, root: &Path) -> Option<String> {
    let name = path.strip_prefix(root).ok()?.to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_below(path: &Path, root: &Path) -> bool {
    path != root && path.starts_with(root)
}

fn here() -> Result<PathBuf, Diagnostic> {
    let dir = std::env::current_dir().map_err(|error| {
        Diagnostic::because_of("the current directory cannot be found", error)
            .hint("change to a directory that exists, or name one with -C DIR")
    })?;
    Ok(compose_tree::users_path(&dir))
}

/// Returns where the operations repo may be for a command in the image with nothing mounted.
///
/// On a runner itself, the current directory decides.
pub(crate) fn workspaces() -> Option<Workspaces> {
    let workspaces = Workspaces::from_env(&|name| std::env::var_os(name))?;
    (workspaces.are_asked_for() || bypass::in_image()).then_some(workspaces)
}

/// Returns the problem that nothing is mounted and no workspace has the environment, if that is so.
pub(crate) fn nowhere(place: &Place, environment: &str) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(workspaces) = workspaces().filter(|workspaces| !workspaces.have(environment.as_ref())) else {
        return Ok(None);
    };
    if place.ops_repo.is_some() {
        return Ok(None);
    }
    let mount = bypass::locate_only(Some(environment.as_ref()), &workspaces.places())?;
    let is_mounted = mount.is_some_and(|mount| !workspaces.hold(&mount));
    Ok((!is_mounted).then(|| workspaces.nowhere(environment)))
}

/// Returns the environment that BitOps' variables name.
fn named_by_variables() -> Option<String> {
    let name = environment::from_variables()?.to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// Returns whether the operations repo has an environment of that name with a config.
pub(crate) fn is_environment(root: &Path, name: &str) -> bool {
    has_config(&root.join(name))
}

fn has_config(dir: &Path) -> bool {
    dir.join(file_name::CONFIG).is_file()
}

fn names_sources(dir: &Path) -> bool {
    own_config::read_config(&dir.join(file_name::CONFIG)).is_ok_and(|text| mentions_list(&text))
}

/// Returns the problem that no environment is named, with those that exist.
fn no_environment(root: &Path) -> Diagnostic {
    let problem = Diagnostic::new(ExitCode::Usage, "no environment is named");
    match environments(root).as_slice() {
        [] => problem.hint("name one as an argument, or set BITOPS_ENVIRONMENT"),
        names => problem.hint(format!(
            "name one as an argument, or set BITOPS_ENVIRONMENT; there are: {}",
            names.join(", ")
        )),
    }
}

fn two_repos(one: &Path, other: &Path) -> Diagnostic {
    let problem = format!(
        "the environments are in two operations repos, {} and {}",
        shown_path(one).display(),
        shown_path(other).display()
    );
    Diagnostic::new(ExitCode::Usage, problem).hint("run the command once for each")
}

fn nothing_for_all(root: &Path) -> Diagnostic {
    let root = shown_path(root);
    let problem = format!("no environment of {} names sources", root.display());
    Diagnostic::new(ExitCode::Config, problem).hint("name the operations repo with --ops-repo DIR or -C DIR")
}

/// Lists the directories of an operations repo that hold a `bitops.config.yaml`.
pub(crate) fn environments(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| has_config(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Lists the environments that name sources, at any depth. What is below a directory with a config belongs to that
/// environment.
pub(crate) fn with_sources(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect_with_sources(root, "", MAX_DEPTH, &mut found);
    found.sort();
    found
}

fn collect_with_sources(dir: &Path, name: &str, depth: usize, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let own = entry.file_name();
        // Links lead to directories that are found by their own names.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Some(own) = own.to_str().filter(|own| is_dir && !own.starts_with('.')) else {
            continue;
        };
        let (path, name) = (entry.path(), format!("{name}{own}"));
        if has_config(&path) {
            if names_sources(&path) {
                found.push(name);
            }
        } else if depth > 1 {
            collect_with_sources(&path, &format!("{name}/"), depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "default-environments: []\n";

    /// An operations repo `ops` with a git directory, in a directory of its own.
    fn repo() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let ops = dir.path().canonicalize().unwrap().join("ops");
        for (path, text) in [
            ("dev/bitops.config.yaml", LIST),
            ("dev/terraform/bitops.config.yaml", "terraform: {}\n"),
            ("plain/bitops.config.yaml", "bitops: {}\n"),
            ("stacks/eks/bitops.config.yaml", LIST),
            (".hidden/x/bitops.config.yaml", LIST),
            (".git/HEAD", ""),
        ] {
            let file = ops.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        (dir, ops)
    }

    #[test]
    fn the_repo_and_the_environment_around_a_directory_are_found() {
        let (_dir, ops) = repo();
        for (inside, environment) in [
            ("", None),
            ("dev", Some("dev")),
            ("dev/terraform", Some("dev")),
            ("plain", Some("plain")),
            ("stacks", None),
            ("stacks/eks", Some("stacks/eks")),
        ] {
            let here = ops.join(inside);
            assert_eq!(root_around(&here), ops, "{inside}");
            assert_eq!(
                environment_around(&ops, &here).as_deref(),
                environment,
                "{inside}"
            );
        }
        fs::remove_dir_all(ops.join(".git")).unwrap();
        for (inside, root) in [
            ("", ""),
            ("dev", ""),
            ("dev/terraform", ""),
            ("stacks/eks", "stacks"),
        ] {
            // Without git, nothing tells where the repo of a nested environment begins.
            assert_eq!(
                root_around(&ops.join(inside)),
                ops.join(root).components().collect::<PathBuf>(),
                "{inside}"
            );
        }
    }

    #[test]
    fn all_are_those_that_name_sources() {
        let (_dir, ops) = repo();
        assert_eq!(with_sources(&ops), ["dev", "stacks/eks"]);
        assert_eq!(environments(&ops), ["dev", "plain"]);
    }

    #[test]
    fn a_checkout_may_hold_the_repo_in_operations() {
        let (_dir, ops) = repo();
        let checkout = ops.parent().unwrap().join("checkout");
        fs::create_dir_all(checkout.join(".git")).unwrap();
        fs::rename(&ops, checkout.join(OPERATIONS)).unwrap();
        let operations = checkout.join(OPERATIONS);
        assert_eq!(root_around(&operations.join("dev")), operations);
        let has_dev = |root: &Path| root.join("dev").is_dir();
        assert_eq!(operations_below(checkout.clone(), has_dev), operations);
        assert_eq!(operations_below(checkout.clone(), |_| false), checkout);
    }
}
