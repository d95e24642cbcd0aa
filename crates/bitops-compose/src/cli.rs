//! The command line for people. `deploy` is not parsed here: its arguments are the pipeline's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Composes BitOps environments from other repos' environments, then runs BitOps.
///
/// An environment's bitops.config.yaml names its sources:
///
///   default-environments:
///   - repo: https://github.com/ORG/REPO
///     environment: eks
///     version: 1.0.0
///
/// In the image `bitops-compose deploy` is the entrypoint: it fetches the sources, composes them with the local
/// environment beside the mount, and becomes the BitOps pipeline. Everything else is for people and CI.
#[derive(Debug, Parser)]
#[command(name = "bitops-compose", version = env!("BITOPS_COMPOSE_VERSION"), max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 2 usage, 65 bad config or conflict, 69 a repo cannot be reached, 73 cannot \
                        write, 75 timed out, 77 authentication or policy refused, 126/127 the pipeline cannot be \
                        started, 130/143 signals."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compose, then become the BitOps pipeline (the image's entrypoint)
    ///
    /// Every argument goes to the pipeline untouched. With nothing to compose the pipeline is started at once.
    /// Environment variables (BITOPS_COMPOSE, BITOPS_COMPOSE_LOCKED, BITOPS_COMPOSE_OFFLINE, …) are in the README.
    #[command(disable_help_flag = true)]
    Deploy {
        /// Arguments of the pipeline
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Show what would be composed, and from where
    Plan(Target),
    /// Check the environment's config without any network
    Check(Target),
    /// Print the JSON Schema of `default-environments`, for editors
    Schema,
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Parts of building an image
    #[command(hide = true, subcommand)]
    Image(Image),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Make the directories and links that the entrypoint expects
    Install {
        /// The image's root directory
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

/// Which environment of which operations repo.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The environment [default: $BITOPS_ENVIRONMENT]
    pub(crate) environment: Option<String>,
    /// The operations repo [default: the mount, else the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) ops_repo: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
