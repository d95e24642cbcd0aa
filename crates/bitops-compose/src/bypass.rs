//! Stage 0: is there anything to compose? Looked at before any runtime, thread or directory is made.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use compose_model::{ExitCode, env, settings};
use compose_tree::Mount;

use crate::{problem::Problem, workspace::Workspaces};

/// The key that makes a config ours. A config without this text is BitOps' alone.
const KEY: &str = "default-environments";

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
    /// As BitOps got it.
    pub(crate) environment: String,
    pub(crate) text: String,
}

/// Decides. Besides a look at the mount's links it reads one file: the environment's config.
pub(crate) fn decide() -> Result<Start, Problem> {
    let lookup = |name: &str| std::env::var_os(name);
    let off = settings::is_off(&lookup).map_err(|error| Problem::from_error(ExitCode::Usage, &error))?;
    let Some(mount) = locate(off)? else {
        return Ok(Start::Bypass);
    };
    let found = if off { None } else { find(&mount)? };
    match found {
        Some((environment, text)) => Ok(Start::Compose(Found {
            mount,
            environment,
            text,
        })),
        None => {
            mount.reset()?;
            Ok(Start::Bypass)
        }
    }
}

/// The mount as the environment variables name it; a workspace takes its place. `off`: the pipeline is to find out by
/// itself what is not there.
fn locate(off: bool) -> Result<Option<Mount>, Problem> {
    let Some(workspaces) = Workspaces::from_env(&|name| std::env::var_os(name)) else {
        return mount(None);
    };
    let environment = environment().filter(|name| !name.is_empty());
    let place = environment
        .as_ref()
        .and_then(|name| workspaces.find(Path::new(name)));
    let is_nowhere = environment.is_some() && place.is_none();
    let mount = mount(place.or_else(|| workspaces.first()))?;
    let is_mounted = mount.as_ref().is_some_and(|mount| !workspaces.hold(mount.root()));
    match environment {
        Some(environment) if is_nowhere && !is_mounted && !off => {
            Err(workspaces.nowhere(&environment.to_string_lossy()))
        }
        _ => Ok(mount),
    }
}

/// The mount, if something is mounted; no link to a workspace is made for it.
pub(crate) fn locate_only() -> Result<Option<Mount>, Problem> {
    mount(None)
}

fn mount(workspace: Option<PathBuf>) -> Result<Option<Mount>, Problem> {
    // Without a trailing slash, which would lead through the link that is to be switched.
    let place = |name: &str, default: &str| -> PathBuf {
        let place = PathBuf::from(set(name).unwrap_or_else(|| default.into()));
        place.components().collect()
    };
    let ops_repo = place(env::OPS_REPO, settings::DEFAULT_OPS_REPO);
    let home = place(env::HOME, settings::DEFAULT_HOME);
    Ok(Mount::locate(&ops_repo, &home, workspace.as_deref())?)
}

/// Does this run in the image, or in what is laid out as one?
pub(crate) fn in_image() -> bool {
    let home = set(env::HOME).unwrap_or_else(|| settings::DEFAULT_HOME.into());
    Path::new(&home).join("active").is_symlink()
}

/// The environment's name as BitOps finds it.
pub(crate) fn environment() -> Option<OsString> {
    std::env::var_os(env::BITOPS_ENVIRONMENT).or_else(|| std::env::var_os(env::ENVIRONMENT))
}

fn find(mount: &Mount) -> Result<Option<(String, String)>, Problem> {
    let Some(environment) = environment().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    // As Python's os.path.join: an absolute name replaces what stands before it.
    let config = mount
        .root()
        .join(Path::new(&environment))
        .join("bitops.config.yaml");
    let Ok(bytes) = fs::read(&config) else {
        return Ok(None);
    };
    if !names_sources(&bytes) {
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Problem::new(
            ExitCode::Config,
            format!("{} is not valid UTF-8", config.display()),
        )
        .because(error.utf8_error())
    })?;
    let environment = environment.into_string().map_err(|name| {
        Problem::new(
            ExitCode::Config,
            format!("the environment's name {} is not valid UTF-8", name.display()),
        )
    })?;
    Ok(Some((environment, text)))
}

/// Does the text hold the key outside of a comment?
fn names_sources(text: &[u8]) -> bool {
    let holds = |line: &[u8]| line.windows(KEY.len()).any(|window| window == KEY.as_bytes());
    text.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        !line.starts_with(b"#") && holds(line)
    })
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_no_sources() {
        assert!(names_sources(b"a: 1\ndefault-environments:\n"));
        assert!(names_sources(b"bitops: {default-environments: []}"));
        assert!(!names_sources(b"a: 1\n  # default-environments:\n"));
        assert!(!names_sources(b"default-environment: x\n"));
    }
}
