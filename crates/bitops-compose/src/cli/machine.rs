//! Commands about the machine: its cache, what is installed on it, and the image.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AnyEnvironment, Format, values};

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Make the directories and links that the entrypoint expects
    Install {
        /// The image's root directory
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

/// `cache`
#[derive(Debug, Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) act: CacheAct,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(crate) format: Format,
    /// The operations repo, which every command accepts; the cache is the same for all
    #[arg(long, value_name = "DIR", global = true, hide = true)]
    ops_repo: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheAct {
    /// Print the cache's directory
    Dir(AnyEnvironment),
    /// List the cached repos with their size and last use
    List(AnyEnvironment),
    /// Remove repos that are no longer used
    Prune {
        /// Remove repos that were not used for this long: 12h, 30d, 8w [default: 30d, unless --max-size is given]
        #[arg(long, value_name = "TIME", value_parser = values::time)]
        unused_for: Option<std::time::Duration>,
        /// Remove the least recently used repos until the cache is at most this large: 500MB, 2GiB
        #[arg(long, value_name = "SIZE", value_parser = values::size)]
        max_size: Option<u64>,
        #[command(flatten)]
        environment: AnyEnvironment,
    },
    /// Remove the whole cache
    Clear(AnyEnvironment),
}

/// `man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command [default: the page of the program]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write the pages of the program and of all commands to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) output: Option<PathBuf>,
    /// The operations repo, which every command accepts; the pages are the same for all
    #[arg(long, value_name = "DIR", hide = true)]
    ops_repo: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t, hide = true)]
    pub(crate) format: Format,
}
