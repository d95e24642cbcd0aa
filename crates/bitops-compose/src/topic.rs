//! The topics of `help`, which are about no single command.

use std::fmt::Write;

use compose_model::exit;

/// A topic of `help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Environment,
    ExitCodes,
}

impl Topic {
    /// All topics.
    pub(crate) const ALL: [Self; 2] = [Self::Environment, Self::ExitCodes];

    /// Returns the word that names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::ExitCodes => "exit-codes",
        }
    }

    /// Returns what it is about.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Environment => "every variable, with its default",
            Self::ExitCodes => "what each exit code means",
        }
    }
}

/// Returns what stands below the help of the program.
pub(crate) fn after_help() -> String {
    let mut out = String::from("Topics:\n");
    for topic in Topic::ALL {
        let _ = writeln!(
            out,
            "  bitops-compose help {:11}  {}",
            topic.name(),
            topic.about()
        );
    }
    let _ = write!(out, "\nExit codes: {}.", exit::statuses());
    out
}
