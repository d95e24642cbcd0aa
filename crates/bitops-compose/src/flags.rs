//! The flags of all commands, which hold for the whole process.

use std::sync::OnceLock;

use compose_model::{Diagnostic, ExitCode};

use crate::cli::Flags;

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// Adopts the flags of the command line, and changes to the directory that `-C` names.
pub(crate) fn adopt(flags: &Flags) -> Result<(), Diagnostic> {
    FLAGS.get_or_init(|| flags.clone());
    let Some(dir) = &flags.directory else {
        return Ok(());
    };
    std::env::set_current_dir(dir).map_err(|error| {
        let problem = format!("cannot change to the directory {} of -C", dir.display());
        Diagnostic::new(ExitCode::Usage, problem).because(error)
    })
}

/// Returns the flags. A deployment has none: its arguments are the pipeline's.
pub(crate) fn get() -> &'static Flags {
    FLAGS.get_or_init(Flags::default)
}
