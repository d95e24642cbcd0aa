//! What the user sees. Results go to stdout, everything else to stderr.

mod github;
mod log;
mod mask;
mod progress;
mod render;

use github::annotate;
pub(crate) use github::summary;
pub(crate) use log::{LogSettings, init};
pub(crate) use mask::Masks;
pub(crate) use progress::reporter;

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use compose_model::ExitCode;

use crate::problem::Problem;

/// How things are printed in this run.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    /// Problems as JSON lines.
    pub(crate) json: bool,
    /// Colours on stderr.
    pub(crate) colour: bool,
    /// BitOps' own masks.
    pub(crate) masks: Arc<Masks>,
    /// `GITHUB_ACTIONS`: problems with a place are annotations too.
    pub(crate) github: bool,
}

impl Printer {
    /// A result, on stdout. A closed pipe (`plan | head`) is no error.
    pub(crate) fn result(&self, text: &str) {
        let _ = std::io::stdout()
            .lock()
            .write_all(self.masks.apply(text).as_bytes());
    }

    /// Problems, on stderr.
    pub(crate) fn problems<'a>(&self, problems: impl IntoIterator<Item = &'a Problem>) {
        let mut out = String::new();
        for problem in problems {
            if self.json {
                out.push_str(&render::json(problem));
            } else {
                out.push_str(&render::text(problem, self.colour));
            }
            if self.github {
                out.push_str(&annotate(problem));
            }
        }
        let _ = std::io::stderr()
            .lock()
            .write_all(self.masks.apply(&out).as_bytes());
    }
}

/// A result for programs: indented JSON with a final newline.
pub(crate) fn json_document(value: &impl serde::Serialize) -> Result<String, Problem> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err(Problem::from_error(ExitCode::Bug, &error)),
    }
}

/// Colours where somebody looks: a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn stderr_has_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
