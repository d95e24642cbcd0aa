//! The commands, one function each, which yields the process's exit code.

pub(crate) mod check;
pub(crate) mod deploy;
pub(crate) mod plan;

use std::{io::Write, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{DONE, cli::Cli, problem::Failure};

/// `schema`
pub(crate) fn schema() -> Result<u8, Failure> {
    Ok(print(compose_plan::config::schema().as_bytes()))
}

/// `completions SHELL`
pub(crate) fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bitops-compose", &mut script);
    Ok(print(&script))
}

/// `image install`
pub(crate) fn install(root: &Path) -> Result<u8, Failure> {
    compose_tree::mount::install(root)?;
    Ok(DONE)
}

/// A closed pipe (`schema | head`) is no error.
fn print(bytes: &[u8]) -> u8 {
    let _ = std::io::stdout().lock().write_all(bytes);
    DONE
}
