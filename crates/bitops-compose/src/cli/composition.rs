//! Commands about what is composed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Target, Targets};

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
