//! Commands about the sources that a config names, or could name.

use clap::{Args, ValueEnum};

use super::{Format, Place};

/// `add`
#[derive(Clone, Debug, Args)]
pub(crate) struct Add {
    /// The repo: an address, ORG/REPO for GitHub, or the address of a page in a browser
    /// (https://github.com/ORG/REPO/tree/v1.2.0/eks)
    #[arg(value_name = "REPO")]
    pub(crate) repo: String,
    /// The environment of that repo, and the version [default: the newest stable one]
    #[arg(value_name = "ENVIRONMENT[@VERSION]")]
    pub(crate) environment: Option<String>,
    /// The environment of yours to add it to [default: $BITOPS_ENVIRONMENT, else the one around the current directory]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) to: Option<String>,
    /// A branch, a tag or a commit instead of a version
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) reference: Option<String>,
    /// How far the version may move by `update`: the text is `1.2.3`, `~1.2.3` or `^1.2.3`
    #[arg(long, value_enum, default_value_t, value_name = "BOUNDS")]
    pub(crate) bounds: Bounds,
    /// A name: the source's deployments become NAME-<deployment>, and run on their own
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) rename: Option<String>,
    /// Leave out what this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Begin a config that is made with a line that names its JSON Schema to editors
    #[arg(long)]
    pub(crate) modeline: bool,
    /// Write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave the lock as it is
    #[arg(long)]
    pub(crate) no_lock: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// How far a version may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bounds {
    /// Not at all
    #[default]
    Exact,
    /// To later patches
    Minor,
    /// To all that is compatible
    Major,
}

/// `search`
#[derive(Clone, Debug, Args)]
pub(crate) struct Search {
    /// The repo: an address, ORG/REPO for GitHub, or the address of a page in a browser
    #[arg(value_name = "REPO")]
    pub(crate) repo: String,
    /// Show only environments that have this in their name, their tools or their README's first line
    #[arg(value_name = "WORD")]
    pub(crate) word: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `adopt`
#[derive(Clone, Debug, Args)]
pub(crate) struct Adopt {
    /// The repo: an address, ORG/REPO for GitHub, or the address of a page in a browser
    #[arg(value_name = "REPO")]
    pub(crate) repo: String,
    /// The environment of that repo from which the directory was copied
    #[arg(value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// Look for every environment of the repo in the whole operations repo, and propose a command for each
    #[arg(long, conflicts_with_all = ["environment", "to", "exclude"])]
    pub(crate) all: bool,
    /// The environment of yours that was copied [default: $BITOPS_ENVIRONMENT, else the one around the current directory]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) to: Option<String>,
    /// Leave out what this glob matches of the source, so that the local files stay as they are; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remove`
#[derive(Clone, Debug, Args)]
pub(crate) struct Remove {
    /// The source: its environment, its repo's name or address, or its `as`
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// The environment of yours to remove it from [default: $BITOPS_ENVIRONMENT, else the one around the current
    /// directory]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) from: Option<String>,
    /// Write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
