//! Which operations repo, environments and sources of them a command is about.

use std::path::PathBuf;

use clap::Args;

use super::Format;

/// The arguments that every command accepts, for scripts that pass the same ones to all; this command does not use them.
#[derive(Debug, Args)]
pub(crate) struct Unused {
    /// The environment
    #[arg(hide = true)]
    environment: Option<String>,
    /// The operations repo
    #[arg(long, value_name = "DIR", hide = true)]
    ops_repo: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t, hide = true)]
    pub(crate) format: Format,
}

/// The environment, which every command accepts; the cache is the same for all.
#[derive(Debug, Args)]
pub(crate) struct AnyEnvironment {
    /// The environment
    #[arg(hide = true)]
    environment: Option<String>,
}

/// One environment of an operations repo.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The environment, by its name or a path to it [default: $BITOPS_ENVIRONMENT, else the one around the current
    /// directory]
    pub(crate) environment: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Several environments of an operations repo.
#[derive(Clone, Debug, Args)]
pub(crate) struct Targets {
    /// The environments, by their names or paths to them [default: $BITOPS_ENVIRONMENT, else the one around the
    /// current directory]
    #[arg(value_name = "ENVIRONMENT")]
    pub(crate) environments: Vec<String>,
    /// All environments that name sources
    #[arg(long, conflicts_with = "environments")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed; for several environments, JSON is `{"environments": [...]}`
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl Targets {
    /// Returns what the command line says of the environments.
    pub(crate) fn asked(&self) -> Asked<'_> {
        if self.all {
            Asked::All
        } else {
            Asked::Words(&self.environments)
        }
    }
}

/// What the command line says of the environments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// These words; without any, the one that the variables or the current directory name.
    Words(&'a [String]),
    /// Every environment that names sources.
    All,
}

/// Which operations repo, and which image.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// The operations repo [default: the mount, else the CI's checkout in the image, else the nearest directory upwards
    /// with .git, else the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) ops_repo: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) image: ImageConfig,
}

/// Which image's deployments count.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ImageConfig {
    /// The BitOps image's own bitops.config.yaml, whose deployments run if no config lists any [default: in the image
    /// its own, elsewhere that of BitOps' omnibus image]
    #[arg(long = "image-config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Environments, and sources of them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// Environments [default: $BITOPS_ENVIRONMENT, else the one around the current directory], then sources: names or
    /// URLs of repos, or their environments [default: all]
    #[arg(value_name = "ENVIRONMENT|SOURCE")]
    pub(crate) words: Vec<String>,
    /// An environment; all other words are then sources
    #[arg(long = "environment", short, value_name = "ENVIRONMENT")]
    pub(crate) environments: Vec<String>,
    /// All environments that name sources; all words are then sources
    #[arg(long, conflicts_with = "environments")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
