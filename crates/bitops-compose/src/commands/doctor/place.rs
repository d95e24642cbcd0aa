//! The operations repo: where it is, how it was found, and what BitOps sees of it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use compose_model::{Diagnostic, ExitCode, Settings};
use compose_tree::Mount;

use super::check::{Checks, Group};
use crate::{
    bypass,
    cli::{Asked, Place, Targets},
    environment,
    report::Printer,
    shown_path::shown_path,
    target::{self, Selection},
};

/// The most names of environments in a message.
const MOST_NAMES: usize = 12;

/// The operations repo that was found, and the environments that are meant.
pub(super) struct Found {
    pub(super) selection: Selection,
    pub(super) checks: Checks,
}

/// Looks for the operations repo as every command does.
pub(super) fn look(targets: &Targets, settings: &Settings) -> Found {
    let mut checks = Checks::new(Group::Place);
    let printer = Printer::plain();
    let place = &targets.place;
    let asked = targets.asked();
    let mount = match locate(asked) {
        Ok(mount) => mount,
        Err(problem) => {
            checks.problem("mount", &printer, &problem);
            if place.ops_repo.is_none() {
                let nowhere = std::env::current_dir().unwrap_or_default();
                return found(nowhere, Vec::new(), checks);
            }
            None
        }
    };
    if mount.is_none() && place.ops_repo.is_none() && bypass::in_image() {
        checks.error(
            "mount",
            ExitCode::Config,
            format!("nothing is mounted at {}", settings.ops_repo.display()),
            format!(
                "mount the operations repo: `-v \"$PWD\":{}`; or name one with --ops-repo DIR",
                settings.ops_repo.display()
            ),
        );
    }
    let (root, environments, problem) = match target::select(place, asked) {
        Ok(Selection { root, environments }) => (root, environments, None),
        Err(problem) => match target::root(place, None) {
            Ok(root) => (root, Vec::new(), Some(problem)),
            Err(problem) => {
                checks.problem("operations-repo", &printer, &problem);
                let nowhere = std::env::current_dir().unwrap_or_default();
                return found(nowhere, Vec::new(), checks);
            }
        },
    };
    repo(&mut checks, place, &root, mount.as_ref());
    if let Some(mount) = &mount {
        link(&mut checks, &printer, settings, mount);
    }
    named(&mut checks, &root);
    if let Some(problem) = problem {
        match asked {
            Asked::Words([]) => checks.problem("environment", &printer, &problem.into_warning()),
            _ => checks.problem("environment", &printer, &problem),
        }
    }
    found(root, environments, checks)
}

fn found(root: PathBuf, environments: Vec<String>, checks: Checks) -> Found {
    Found {
        selection: Selection { root, environments },
        checks,
    }
}

/// Returns the operations repo of the image, or the CI's checkout in its place.
fn locate(asked: Asked<'_>) -> Result<Option<Mount>, Diagnostic> {
    let first = match asked {
        Asked::Words([first, ..]) => Some(first.into()),
        _ => environment::from_variables(),
    };
    let places = target::workspaces().map(|all| all.places()).unwrap_or_default();
    bypass::locate_only(first.as_deref().filter(|name: &&OsStr| !name.is_empty()), &places)
}

/// Says where the operations repo is, and why it is this one.
fn repo(checks: &mut Checks, place: &Place, root: &Path, mount: Option<&Mount>) {
    let how = match mount {
        _ if place.ops_repo.is_some() => "named by --ops-repo",
        Some(mount) if target::workspaces().is_some_and(|all| all.hold(mount)) => "the checkout of the CI",
        Some(_) => "at the path that BitOps reads",
        None if root.join(".git").exists() => "the nearest directory upwards with .git",
        None => "by the current directory",
    };
    let shown = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let shown = shown_path(&shown.components().collect::<PathBuf>());
    let shown = shown.display();
    if root.is_dir() {
        checks.ok(
            "operations-repo",
            format!("the operations repo is {shown} ({how})"),
        );
    } else {
        checks.error(
            "operations-repo",
            ExitCode::Config,
            format!("the operations repo {shown} ({how}) is not a directory"),
            "name it with --ops-repo DIR, or mount it",
        );
    }
}

/// Says where the path leads that BitOps reads.
fn link(checks: &mut Checks, printer: &Printer, settings: &Settings, mount: &Mount) {
    if let Err(error) = mount.check_switchable() {
        checks.problem("link", printer, &error.into());
        return;
    }
    let mut way = settings.ops_repo.display().to_string();
    let mut at = settings.ops_repo.clone();
    // The home's own link is the second one.
    for _ in 0..2 {
        let Ok(target) = fs::read_link(&at) else { break };
        way.push_str(&format!(" -> {}", target.display()));
        at = at.parent().unwrap_or(Path::new("/")).join(target);
    }
    checks.ok("link", format!("a composition can be switched in: {way}"));
}

/// Lists the environments.
fn named(checks: &mut Checks, root: &Path) {
    let all = target::environments(root);
    let with_sources = target::with_sources(root);
    let mut names: Vec<&String> = all.iter().chain(&with_sources).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        if root.is_dir() {
            checks.warning(
                "environments",
                "no directory of the operations repo has a bitops.config.yaml",
                "name the operations repo with --ops-repo DIR or -C DIR",
            );
        }
        return;
    }
    let shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| {
            let mark = if with_sources.contains(name) {
                " (with sources)"
            } else {
                ""
            };
            format!("{name}{mark}")
        })
        .collect();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    checks.ok(
        "environments",
        format!("environments: {}{more}", shown.join(", ")),
    );
}
