//! Commands about versions and the lock.

use clap::{Args, ValueEnum};

use super::{Format, Sources, Targets};

#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Write nothing and use no network: exit with code 65 if the lock does not answer the config
    #[arg(long, conflicts_with = "accept_moved")]
    pub(crate) check: bool,
    /// Accept tags that moved since they were locked
    #[arg(long)]
    pub(crate) accept_moved: bool,
}

/// `upgrade`
#[derive(Clone, Debug, Args)]
pub(crate) struct Upgrade {
    #[command(flatten)]
    pub(crate) named: Sources,
    /// Take the newest version, even if it is not compatible
    #[arg(long)]
    pub(crate) major: bool,
    /// Write this version or range, for exactly one source
    #[arg(long, value_name = "VERSION", conflicts_with = "major")]
    pub(crate) to: Option<String>,
    /// Show what would change in the composed files, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: exit with code 1 if a version would move, for CI
    #[arg(long, requires = "dry_run")]
    pub(crate) check: bool,
    /// Accept tags that moved since they were locked
    #[arg(long)]
    pub(crate) accept_moved: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: UpdateFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) named: Sources,
    /// Show what would change in the composed files, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept tags that moved since they were locked
    #[arg(long)]
    pub(crate) accept_moved: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: UpdateFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpdateFormat {
    /// For people
    #[default]
    Text,
    /// For pull requests
    Markdown,
    /// For programs
    Json,
}

impl UpdateFormat {
    /// Returns the format of the answers of several environments: pages stand one after the other, as texts do.
    pub(crate) fn kind(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Text | Self::Markdown => Format::Text,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Outdated {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Exit with code 1 if anything is outdated, moved or deleted, for CI
    #[arg(long)]
    pub(crate) check: bool,
}
