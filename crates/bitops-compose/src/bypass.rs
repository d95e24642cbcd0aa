//! Stage 0: decides whether there is anything to compose, before any runtime, thread or directory
//! is created.

use std::{
    ffi::{OsStr, OsString},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use compose_model::{
    Diagnostic, ExitCode, Failure, env, file_name,
    settings::{DEFAULT_HOME, DEFAULT_OPS_REPO, is_off},
};
use compose_plan::config::mentions_list;
use compose_tree::{Busy, Located, Mount, Places, Settled};

use rustix::io::Errno;

use crate::{
    environment::{self, Environment},
    ignored,
    own_config::{read_config, text_of, unreadable},
    report::Printer,
    settings, signals,
    wait::{POLL, Wait},
    workspace::Workspaces,
};

/// What stage 0 found.
#[derive(Debug)]
pub(crate) enum Start {
    /// Exec the pipeline at once.
    Bypass,
    /// Compose first.
    Compose(Found),
}

/// An environment's config that names sources, or seems to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mount: Mount,
    /// The name as BitOps got it.
    pub(crate) environment: String,
    pub(crate) text: String,
}

/// Decides whether to compose.
///
/// Besides a look at the mount's links, it reads the environment's config, and the configs beside
/// it whose lists would be ignored.
///
/// From here on, whatever follows, the pipeline's path shows no composition of a killed run.
///
/// `args` are the pipeline's arguments.
pub(crate) fn decide(args: &[OsString]) -> Result<Start, Failure> {
    let lookup = |name: &str| std::env::var_os(name);
    let off = is_off(&lookup)?;
    let mount = match locate(off)? {
        Located::Repo(mount) => mount,
        Located::Nothing(nothing) => {
            nothing.settle()?;
            return Ok(Start::Bypass);
        }
    };
    let found = if off { Looked::Nowhere } else { find(&mount)? };
    match found {
        Looked::Sources { environment, text } => {
            // Another run's composition is waited for later, once there is something to switch to.
            let _ = mount.settle()?;
            ignored::at_deploy(mount.root(), &environment, text.as_bytes(), args)?;
            Ok(Start::Compose(Found {
                mount,
                environment,
                text,
            }))
        }
        Looked::Plain { environment, text } => {
            settle(&mount)?;
            ignored::at_deploy(mount.root(), &environment, &text, args)?;
            Ok(Start::Bypass)
        }
        Looked::Nowhere => {
            settle(&mount)?;
            Ok(Start::Bypass)
        }
    }
}

/// Locates the mount that the environment variables name; a workspace takes its place.
///
/// A named environment that is in no workspace is an error, unless `off`: then the pipeline itself
/// finds out what is missing.
fn locate(off: bool) -> Result<Located, Failure> {
    let Some(workspaces) = Workspaces::from_env(&|name| std::env::var_os(name)) else {
        return Ok(mount(environment::from_variables().as_deref(), &[])?);
    };
    let environment = environment::from_variables().filter(|name| !name.is_empty());
    let located = mount(environment.as_deref(), &workspaces.places())?;
    let Some(environment) = environment.filter(|name| !off && !workspaces.have(Path::new(name))) else {
        return Ok(located);
    };
    match located {
        Located::Repo(mount) if !workspaces.hold(&mount) => return Ok(Located::Repo(mount)),
        // After an error, too, the pipeline's path shows nothing of an earlier run.
        Located::Repo(mount) => drop(mount.settle()?),
        Located::Nothing(nothing) => drop(nothing.settle()?),
    }
    Err(workspaces.nowhere(&environment.to_string_lossy()).into())
}

/// Lets the pipeline see the user's own repo.
///
/// Waits while another run composes this very environment, because the pipeline would deploy that
/// composition. Any other environment in that composition is the user's own.
pub(crate) fn settle(mount: &Mount) -> Result<(), Failure> {
    let Settled::Busy(mut busy) = mount.settle()? else {
        return Ok(());
    };
    let own = environment::from_variables().and_then(|name| {
        let name = name.to_str()?;
        Some(
            Environment::named(mount.root(), name)
                .map_or_else(|_| name.to_owned(), |own| own.path.to_string()),
        )
    });
    let concerns = |busy: &Busy| {
        let same = |other: &String| own.as_ref() == Some(other);
        !mount.is_candidate_shown() || busy.environment.as_ref().is_none_or(same)
    };
    signals::watch();
    let printer = Printer::plain();
    let mut wait = Wait::new(&printer, settings::read()?.timeout);
    while concerns(&busy) {
        if let Some(stopped) = signals::stopped() {
            return Err(stopped.into());
        }
        wait.again(&busy)?;
        std::thread::sleep(POLL);
        match mount.settle()? {
            Settled::Done => break,
            Settled::Busy(still) => busy = still,
        }
    }
    Ok(())
}

/// Locates the operations repo, at the mount or in one of the places, without writing anything.
pub(crate) fn locate_only(
    environment: Option<&OsStr>,
    places: &[PathBuf],
) -> Result<Option<Mount>, Diagnostic> {
    Ok(match mount(environment, places)? {
        Located::Repo(mount) => Some(mount),
        Located::Nothing(_) => None,
    })
}

/// Finds the mount as the environment variables name it.
fn mount(environment: Option<&OsStr>, candidates: &[PathBuf]) -> Result<Located, Diagnostic> {
    // The path has no trailing slash, which would lead through the link that is to be switched.
    let place = |name: &str, default: &str| -> PathBuf {
        let place = PathBuf::from(set(name).unwrap_or_else(|| default.into()));
        place.components().collect()
    };
    Ok(compose_tree::locate(&Places {
        ops_repo: &place(env::OPS_REPO, DEFAULT_OPS_REPO),
        home: &place(env::HOME, DEFAULT_HOME),
        environment,
        candidates,
    })?)
}

/// Returns whether this program runs in the image, or in a system that is laid out like it.
pub(crate) fn in_image() -> bool {
    let home = set(env::HOME).unwrap_or_else(|| DEFAULT_HOME.into());
    Path::new(&home).join("active").is_symlink()
}

/// What a look at the environment's config found.
enum Looked {
    /// No environment is named, or nothing can have the name.
    Nowhere,
    /// There is no config, or it names no sources and concerns only BitOps.
    Plain { environment: String, text: Vec<u8> },
    /// The config names sources, or seems to.
    Sources { environment: String, text: String },
}

fn find(mount: &Mount) -> Result<Looked, Diagnostic> {
    let Some(environment) = environment::from_variables().filter(|name| !name.is_empty()) else {
        return Ok(Looked::Nowhere);
    };
    // As in Python's os.path.join, an absolute name replaces what stands before it.
    let config = mount.root().join(Path::new(&environment)).join(file_name::CONFIG);
    let bytes = match read_config(&config) {
        Ok(bytes) => bytes,
        // Nothing can have this name; BitOps has its own message for it.
        Err(error) if error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error()) => {
            return Ok(Looked::Nowhere);
        }
        // BitOps, too, treats such a config as missing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => return Err(unreadable(&config, error)),
    };
    // A config that does not mention sources concerns only BitOps.
    if !mentions_list(&bytes) {
        let environment = environment.into_string();
        return Ok(environment.map_or(Looked::Nowhere, |environment| Looked::Plain {
            environment,
            text: bytes,
        }));
    }
    let text = text_of(&config, bytes)?;
    let environment = environment.into_string().map_err(|name| {
        Diagnostic::new(
            ExitCode::Config,
            format!("the environment's name {} is not valid UTF-8", name.display()),
        )
    })?;
    Ok(Looked::Sources { environment, text })
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
