//! The command line for people. `deploy` is not parsed here: its arguments are the pipeline's.

mod doctor;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use doctor::Doctor;

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
#[command(
    after_help = "Exit codes: 0 done, 2 usage, 65 bad config or conflict, 69 a repo cannot be reached, 73 cannot \
                        write, 75 timed out, 77 authentication or policy refused, 126/127 the pipeline cannot be \
                        started, 130/143 signals."
)]
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
    Doctor(Doctor),
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
    /// Build steps of an image
    #[command(hide = true, subcommand)]
    Image(Image),
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Make the directories and links that the entrypoint expects
    Install {
        /// The image's root directory
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

/// `plan`
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Show unified diffs instead: for each merged file, your own (or the lowest layer's) against the result; for each
    /// overridden file, each lower layer's against the one that wins. With `--format json` each file of the plan gets
    /// a `diffs`
    #[arg(long, conflicts_with = "graph")]
    pub(crate) diff: bool,
    /// Show every composed file as well
    #[arg(long, conflicts_with_all = ["diff", "graph"])]
    pub(crate) files: bool,
    /// Show what changes against another state instead: a lock file, or a commit, branch or tag of the operations repo
    #[arg(long, value_name = "LOCK|REF", conflicts_with_all = ["diff", "graph", "files"])]
    pub(crate) against: Option<String>,
    /// Exit with code 2 if the composition differs from your own files; with --against, from the other state
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Show the source of a graph instead: sources with their nesting, layers, deployments in order
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) graph: Option<Graph>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Graph {
    /// For Markdown on GitHub: ```mermaid
    Mermaid,
    /// For Graphviz: dot -Tsvg
    Dot,
}

/// `explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The file, relative to the environment (`../` for files beside it) or to the operations repo; a key of it
    /// after a colon: helm/grafana/values.yaml:image.tag
    #[arg(value_name = "PATH[:KEY]")]
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

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

/// `vendor`
#[derive(Debug, Args)]
pub(crate) struct Vendor {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The operations repo to write: DIR/ENVIRONMENT, and shared directories beside it
    #[arg(long, value_name = "DIR", default_value = "vendored")]
    pub(crate) output: PathBuf,
    /// Overwrite existing files
    #[arg(long)]
    pub(crate) force: bool,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
