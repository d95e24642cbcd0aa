//! The command line for people. `deploy` is not parsed here: its arguments are the pipeline's.

mod values;

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
/// In the image `bitops-compose deploy` is the entrypoint: it fetches the sources, composes
/// them with the local environment beside the mount, and becomes the BitOps pipeline.
/// Everything else is for people and CI.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, name = "bitops-compose", version = env!("BITOPS_COMPOSE_VERSION"), max_term_width = 100)]
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
    /// Arguments go to the pipeline untouched, unless the first one is a command of bitops-compose (`plan`), `sh`, `bash` or the
    /// absolute path of a program: that is run instead. With nothing to compose the pipeline is started at once.
    /// Environment variables (BITOPS_COMPOSE, BITOPS_COMPOSE_LOCKED, BITOPS_COMPOSE_OFFLINE, …) are in the README.
    #[command(disable_help_flag = true)]
    Deploy {
        /// Arguments of the pipeline
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Show what would be composed, and from where
    ///
    /// Conflicts are part of the plan; with any of them the exit code is 65.
    Plan(Plan),
    /// Tell where a file came from, or a key of it
    ///
    /// Every layer that has the file is told, lowest first, with who wins and why; of a merged file every key with its
    /// place. For a path in conflict: who disagrees, and what each remedy would change.
    Explain(Explain),
    /// Write the composition as real files
    ///
    /// The result runs in BitOps without bitops-compose: the environment's config names no sources any more, and its
    /// lock file is left out. Symlinks of your own become what they point to. Other environments are not copied.
    ///
    /// A file that is there already is never written over without --force, unless it holds the same bytes: all such
    /// files are told at once, and nothing is written. To leave bitops-compose behind, run it in the operations repo
    /// with `--output . --force`, look at `git diff`, and commit.
    Vendor(Vendor),
    /// Look after the cache of fetched objects
    ///
    /// Everything in it can be fetched again. It is safe to use beside running deployments: what they read stays.
    Cache(Cache),
    /// Check the environment's config without any network
    Check(Target),
    /// Write the lock: the commits that the environment's sources stand for now
    ///
    /// <ENVIRONMENT>/bitops.lock.yaml pins every source, nested ones too. Deployments then fetch just these commits. Commit
    /// the file; `update` and `outdated` work with it.
    Lock(Lock),
    /// Bring locked sources up to date, or show what that would change
    Update(Update),
    /// Compare the lock with what its repos have now
    Outdated(Outdated),
    /// Print the JSON Schema of `default-environments`, for editors
    Schema(Unused),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        #[command(flatten)]
        unused: Unused,
    },
    /// Parts of building an image
    #[command(hide = true, subcommand)]
    Image(Image),
}

/// What every command takes, for scripts that give all of them the same, and what is of no use to this one.
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
    pub(crate) target: Target,
    /// Show unified diffs instead: of each merged file, your own (or the lowest layer's) against the result; of each
    /// overridden file, what each lower layer has against what wins. With `--format json` each file of the plan gets
    /// a `diffs`
    #[arg(long, conflicts_with = "graph")]
    pub(crate) diff: bool,
    /// Show a picture's source instead: sources with their nesting, layers, deployments in order
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
    /// The file, relative to the environment (`../` for what stands beside it) or to the operations repo; a key of it
    /// after a colon: helm/grafana/values.yaml:image.tag
    #[arg(value_name = "PATH[:KEY]")]
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// `vendor`
#[derive(Debug, Args)]
pub(crate) struct Vendor {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The operations repo to write: DIR/ENVIRONMENT, and shared directories beside it
    #[arg(long, value_name = "DIR", default_value = "vendored")]
    pub(crate) output: PathBuf,
    /// Write over files that are there
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
    /// The operations repo, which every command takes: there is one cache for all
    #[arg(long, value_name = "DIR", global = true, hide = true)]
    ops_repo: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheAct {
    /// Print where it is
    Dir(AnyEnvironment),
    /// List its repos, with their size and when they were last used
    List(AnyEnvironment),
    /// Remove repos that are not used any more
    Prune {
        /// Remove what was not used for so long: 12h, 30d, 8w [default: 30d, unless --max-size is given]
        #[arg(long, value_name = "TIME", value_parser = values::time)]
        unused_for: Option<std::time::Duration>,
        /// Of the rest, remove what was unused for the longest until the cache is no larger: 500MB, 2GiB
        #[arg(long, value_name = "SIZE", value_parser = values::size)]
        max_size: Option<u64>,
        #[command(flatten)]
        environment: AnyEnvironment,
    },
    /// Remove all of it
    Clear(AnyEnvironment),
}

/// The environment, which every command takes: there is one cache for all.
#[derive(Debug, Args)]
pub(crate) struct AnyEnvironment {
    /// The environment
    #[arg(hide = true)]
    environment: Option<String>,
}

/// Which environment of which operations repo.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The environment [default: $BITOPS_ENVIRONMENT]
    pub(crate) environment: Option<String>,
    /// The operations repo [default: the mount, else the CI's checkout in the image, else the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) ops_repo: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) image: ImageConfig,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Which image's deployments count.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ImageConfig {
    /// The BitOps image's own bitops.config.yaml, whose deployments run where no list says otherwise [default: in the
    /// image its own, elsewhere that of BitOps' omnibus image]
    #[arg(long = "image-config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Lock tags that point elsewhere than when they were locked
    #[arg(long)]
    pub(crate) accept_moved: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The environment [default: $BITOPS_ENVIRONMENT]; then what to update: names or URLs of repos, or environments of theirs
    /// [default: everything]
    #[arg(value_name = "ENVIRONMENT|SOURCE")]
    pub(crate) sources: Vec<String>,
    /// The environment, where all else that is named is a source
    #[arg(long, short, value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// The operations repo [default: the mount, else the CI's checkout in the image, else the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) ops_repo: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) image: ImageConfig,
    /// Write nothing: show what would change in the composed files
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Lock tags that point elsewhere than when they were locked
    #[arg(long)]
    pub(crate) accept_moved: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: UpdateFormat,
}

impl Update {
    pub(crate) fn target(&self) -> Target {
        Target {
            environment: self.environment.clone(),
            ops_repo: self.ops_repo.clone(),
            image: self.image.clone(),
            format: Format::Text,
        }
    }
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

#[derive(Debug, Args)]
pub(crate) struct Outdated {
    #[command(flatten)]
    pub(crate) target: Target,
    /// End with code 1 when something is outdated, moved or deleted, for CI
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
