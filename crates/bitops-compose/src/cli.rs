//! The command line for people. `deploy` is not parsed here: its arguments are the pipeline's.

mod composition;
mod machine;
mod place;
mod sources;
mod values;
mod versions;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use composition::{Explain, Graph, Plan, Vendor};
pub(crate) use machine::{Cache, CacheAct, Image, Man};
pub(crate) use place::{AnyEnvironment, Asked, Place, Sources, Target, Targets, Unused};
pub(crate) use sources::{Add, Adopt, Bounds, Remove, Search};
pub(crate) use versions::{Lock, Outdated, Update, UpdateFormat, Upgrade};

/// Composes BitOps environments from other repos' environments, then runs BitOps.
///
/// An environment's bitops.config.yaml names its sources:
///
///   default-environments:
///   - repo: https://github.com/ORG/REPO
///     environment: eks
///     version: 1.0.0
///
/// In the image `bitops-compose deploy` is the entrypoint: it fetches the sources, composes
/// them with the local environment beside the mount, and starts the BitOps pipeline.
/// All other commands are for people and CI.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, name = "bitops-compose", version = env!("BITOPS_COMPOSE_VERSION"), max_term_width = 100)]
#[command(after_help = crate::topic::after_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The flags of all commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Flags {
    /// Change to this directory first
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Print errors only, besides the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log what is done
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub(crate) color: Color,
    /// Show no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Require a lock that answers all sources, as BITOPS_COMPOSE_LOCKED=true does
    #[arg(long, global = true)]
    pub(crate) locked: bool,
    /// Use the cache only, and no network, as BITOPS_COMPOSE_OFFLINE=true does
    #[arg(long, global = true)]
    pub(crate) offline: bool,
}

/// When output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set; everywhere if FORCE_COLOR or CLICOLOR_FORCE is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compose, then start the BitOps pipeline (the image's entrypoint)
    ///
    /// Arguments go to the pipeline unchanged, unless the first one is a command of bitops-compose (`plan`), `sh`, `bash` or the
    /// absolute path of a program, which is run instead. If there is nothing to compose, the pipeline starts immediately.
    /// Environment variables (BITOPS_COMPOSE, BITOPS_COMPOSE_LOCKED, BITOPS_COMPOSE_OFFLINE, …) are in the README.
    #[command(disable_help_flag = true)]
    Deploy {
        /// Arguments of the pipeline
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Show what would be composed, and from where
    ///
    /// Conflicts are part of the plan; if there are any, the exit code is 65.
    Plan(Plan),
    /// Add a source to the environment's config
    ///
    /// Takes the newest stable version unless one is named, shows what comes with it, and checks for conflicts before
    /// anything is written. The text of the config keeps its comments and its style. An entry that is there already is
    /// changed in place. If the environment has a lock, the source is locked.
    Add(Add),
    /// List the environments of a repo
    ///
    /// Shows each with its newest version, its tools and the first line of its README, as of the repo's newest version, or
    /// its default branch if it has none. No other files are fetched.
    Search(Search),
    /// Turn a copied environment into a source
    ///
    /// Finds the version of the repo's environment that is nearest to the local directory, adds it to the config, and removes
    /// the local files that it brings with the same bytes. What differs stays as the local layer; what was deleted is
    /// excluded. Nothing is written unless the composition is proved to be what the directory was, and only in a clean git
    /// work tree.
    Adopt(Adopt),
    /// Remove a source from the environment's config
    ///
    /// Names the files that leave the composition. The lock, if there is one, follows.
    Remove(Remove),
    /// Explain where a file, or a key of it, comes from
    ///
    /// Lists every layer that has the file, lowest first, with the one that wins and why; for a merged file, every key with
    /// its place. For a path in conflict, shows who disagrees and what each remedy would change.
    Explain(Explain),
    /// Write the composition as real files
    ///
    /// The result runs in BitOps without bitops-compose: the environment's config no longer names sources, and its
    /// lock file is left out. Symlinks of your own become what they point to. Other environments are not copied.
    ///
    /// An existing file is never overwritten without --force, unless it holds the same bytes: all such files are
    /// reported together, and nothing is written. To stop using bitops-compose, run it in the operations repo
    /// with `--output . --force`, look at `git diff`, and commit.
    Vendor(Vendor),
    /// Manage the cache of fetched objects
    ///
    /// Everything in the cache can be fetched again. It is safe to use during deployments: what they read stays.
    Cache(Cache),
    /// Check the config, and compare the lock with it, without using the network
    Check(Targets),
    /// Look for what keeps a deployment from working, on this machine and at the sources' hosts
    ///
    /// Changes nothing. Each line is ok, a warning or an error with its remedy.
    Doctor(Targets),
    /// Write the lock: the commits that the environment's sources resolve to now
    ///
    /// <ENVIRONMENT>/bitops.lock.yaml pins every source, nested ones too. Deployments then fetch just these commits. Commit
    /// the file; `update` and `outdated` work with it.
    Lock(Lock),
    /// Update locked sources, or show what an update would change
    Update(Update),
    /// Move the versions in the config to newer ones
    ///
    /// An exact version moves to the newest one that is compatible (`^` of what is there), or with --major to the newest of
    /// all. A range takes newer versions by itself (`update`); with --major it is moved beyond its bounds. Branches and other
    /// refs stay. The text of the config keeps everything else, and the lock follows if there is one.
    ///
    /// Conflicts are found before anything is written. Shows which composed files change, hooks and executables first.
    Upgrade(Upgrade),
    /// Compare the lock with the current state of its repos
    Outdated(Outdated),
    /// Print the JSON Schema of `default-environments`, or of the lock, for editors
    Schema {
        /// The schema of bitops.lock.yaml instead
        #[arg(long)]
        lock: bool,
        #[command(flatten)]
        unused: Unused,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        #[command(flatten)]
        unused: Unused,
    },
    /// Print a manual page, or write all of them
    ///
    /// Prints the page of the program or of a command in the language of man: `bitops-compose man plan | man -l -`.
    /// A package writes all pages with `bitops-compose man --output $DESTDIR/usr/share/man/man1`.
    Man(Man),
    /// Build steps of an image
    #[command(hide = true, subcommand)]
    Image(Image),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
