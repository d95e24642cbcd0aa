//! The cache of fetched objects.

use std::{env, fs, io::ErrorKind, path::Path};

use compose_git::Cache;
use compose_model::{ExitCode, Settings, text::counted};

use super::{
    check::{Checks, Group},
    disk, home,
};
use crate::settings;

/// What a run does without a cache.
const OTHERWISE: &str = "every run fetches everything again, into the temporary directory";

/// Looks at the cache, and at the temporary directory that takes its place.
pub(super) fn look(settings: &Settings) -> Checks {
    let mut checks = Checks::new(Group::Cache);
    let dir = settings::cache_dir(settings);
    if !is_usable(&mut checks, &dir) {
        let temporary = env::temp_dir();
        if !disk::is_writable(&temporary) {
            checks.error(
                "temporary-directory",
                ExitCode::CannotWrite,
                format!("{} cannot be written either", temporary.display()),
                "set TMPDIR to a writable directory",
            );
        }
        return checks;
    }
    if dir.is_dir() {
        content(&mut checks, &dir, settings.cache_limit);
    }
    home::space(&mut checks, existing(&dir), "for the cache");
    checks
}

/// Says whether the cache can be written.
fn is_usable(checks: &mut Checks, dir: &Path) -> bool {
    let shown = dir.display();
    let remedy = "set BITOPS_COMPOSE_CACHE to a directory that this user may write";
    let warn = |checks: &mut Checks, why: String| {
        checks.warning("cache", format!("{why}, so {OTHERWISE}"), remedy);
        false
    };
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => warn(checks, format!("{shown} is not a directory")),
        Ok(found) if !disk::is_writable(dir) => {
            let message = format!(
                "{shown} belongs to {} and cannot be written by this user (uid {}); what it holds is read, and the rest is \
                 fetched into the temporary directory in every run",
                disk::owner(&found),
                disk::user()
            );
            checks.warning("cache", message, remedy);
            // What it holds is of interest.
            true
        }
        Ok(_) => {
            checks.ok("cache", format!("{shown} can be written"));
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !dir.is_symlink() => {
            let above = existing(dir);
            if above.is_dir() && disk::is_writable(above) {
                checks.ok(
                    "cache",
                    format!("{shown} does not exist yet; the first fetch creates it"),
                );
                true
            } else {
                warn(checks, format!("{shown} does not exist and cannot be created"))
            }
        }
        Err(error) => warn(checks, format!("{shown} cannot be used: {error}")),
    }
}

/// Returns the nearest directory upwards that exists.
fn existing(dir: &Path) -> &Path {
    let mut above = dir.ancestors();
    above.find(|dir| dir.exists()).unwrap_or(Path::new("/"))
}

/// Says what the cache holds.
fn content(checks: &mut Checks, dir: &Path, limit: Option<u64>) {
    let entries = match Cache::reached(dir).list() {
        Ok(entries) => entries,
        Err(error) => {
            checks.warning(
                "content",
                format!("{error}, so {OTHERWISE}"),
                "let this user read it, or remove it: everything in it can be fetched again",
            );
            return;
        }
    };
    let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let limit = match limit {
        None => "no limit".to_owned(),
        Some(limit) => format!("the limit is {}", disk::bytes(limit)),
    };
    let repos = counted(entries.len(), "repo");
    checks.ok("content", format!("{repos}, {}; {limit}", disk::bytes(bytes)));
}
