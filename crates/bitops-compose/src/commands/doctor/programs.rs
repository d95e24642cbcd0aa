//! The programs that some sources and commands need.

use std::{
    env,
    io::{self, Read},
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use compose_model::{RepoUrl, url::Scheme};
use rustix::fs::OFlags;

use super::{
    check::{Checks, Group},
    disk,
};
use crate::launch;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// The most bytes of a version.
const LONGEST: usize = 200;

/// Looks for the programs. `repos` are the addresses of all sources.
pub(super) fn look(repos: &[RepoUrl]) -> Checks {
    let mut checks = Checks::new(Group::Programs);
    checks.ok(
        "bitops-compose",
        format!(
            "bitops-compose {} on {} {}, uid {}",
            env!("BITOPS_COMPOSE_VERSION"),
            env::consts::OS,
            env::consts::ARCH,
            disk::user()
        ),
    );
    let of = |scheme: Scheme| repos.iter().find(|repo| repo.scheme() == scheme);
    let needed = |repo: Option<&RepoUrl>| repo.map(|repo| format!("{repo} is fetched with it"));
    program(
        &mut checks,
        "git",
        "--version",
        needed(of(Scheme::File)),
        "`adopt`, `plan --against` and sources on this machine's disk",
    );
    program(
        &mut checks,
        "ssh",
        "-V",
        needed(of(Scheme::Ssh)),
        "sources at ssh addresses",
    );
    checks
}

fn program(checks: &mut Checks, name: &'static str, flag: &str, needed: Option<String>, needs_it: &str) {
    match (launch::look_up(name, Path::new("/")), needed) {
        (Ok(path), _) => {
            let said = version(&path, flag).unwrap_or_else(|| "its version is not known".to_owned());
            checks.ok(name, format!("{} ({said})", path.display()));
        }
        (Err(_), Some(needed)) => checks.warning(
            name,
            format!("`{name}` was not found, and {needed}"),
            format!("install {name}, or correct PATH"),
        ),
        (Err(_), None) => checks.ok(name, format!("`{name}` was not found; only {needs_it} need it")),
    }
}

/// Returns the first line of what a program says of its version. ssh writes it to its standard error.
fn version(path: &Path, flag: &str) -> Option<String> {
    let mut command = Command::new(path);
    command
        .arg(flag)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    launch::leave_tokens(&mut command);
    let mut child = command.spawn().ok()?;
    let began = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(LOOK);
    }
    let mut said = what_is_there(child.stdout.take()?);
    if said.is_empty() {
        said = what_is_there(child.stderr.take()?);
    }
    let line = said.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.to_owned())
}
/// Returns the beginning of what a pipe holds. It does not wait for processes that keep it open.
fn what_is_there(mut pipe: impl Read + AsFd) -> String {
    let mut bytes = vec![0; LONGEST];
    let read = rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)
        .map_err(io::Error::from)
        .and_then(|()| pipe.read(&mut bytes));
    String::from_utf8_lossy(&bytes[..read.unwrap_or(0)]).into_owned()
}
