//! The result of composing.

use std::sync::Arc;

use compose_model::{Diagnostic, FileMode, FilterKey, TreeFile, TreePath, path::InvalidPath};

use super::{
    problem::{ConfigProblem, NotMerged},
    remedy::Remedy,
};
use crate::layer::{Origin, SourceId};

/// The composed environment, with the origin of everything in it and all of its problems.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The environment, relative to the operations repo's root.
    pub environment: TreePath,
    /// Every composed file, sorted by path. With
    /// [`Request::list_local`](super::Request::list_local) the purely local files of the
    /// environment are included. A path in conflict is not here but in `conflicts`.
    pub files: Vec<ComposedFile>,
    /// Whether there were more purely local files than a composition lists; see
    /// [`Composition::warnings`].
    pub local_is_cut: bool,
    /// The deployments that the pipeline will run, in order. It is empty if no config declares any
    /// and the image's own are not known.
    pub deployments: Vec<Deployment>,
    /// Whether `deployments` were written into the composed `bitops.config.yaml`.
    pub generated: bool,
    /// The deployment directories that `as` renamed, by source in composition order.
    pub renames: Vec<Rename>,
    /// The files that sources have and their entries leave out, by source in composition order. It
    /// is empty without [`Request::list_local`](super::Request::list_local).
    pub left_out: Vec<LeftOutFile>,
    /// The reasons not to deploy. It must be empty before anything is written.
    pub conflicts: Vec<Conflict>,
    /// The groups of the listed conflicts: [`Conflict::group`] is an index into them.
    pub groups: Vec<ConflictGroup>,
    /// The number of conflicts besides those that are listed.
    pub more_conflicts: usize,
    /// Everything that a reader should know before deploying.
    pub warnings: Vec<Diagnostic>,
}

impl Composition {
    /// Returns the composed file at a path relative to the operations repo's root.
    pub fn file(&self, path: &TreePath) -> Option<&ComposedFile> {
        self.files
            .binary_search_by(|file| file.path.cmp(path))
            .ok()
            .map(|at| &self.files[at])
    }
}

/// One file of the composed operations repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposedFile {
    /// The path, relative to the operations repo's root.
    pub path: TreePath,
    /// The way in which the file was composed.
    pub action: Action,
    /// The contributions, lowest first; the last one decides.
    pub from: Vec<Provenance>,
    /// The content that must be written.
    pub write: Write,
    /// Every leaf key of a merged file, in document order.
    pub keys: Vec<KeyTrace>,
    /// Notes on what was lost on the way, or on why a file was not merged; one sentence each.
    pub notes: Vec<String>,
}

/// The way in which a file was composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Only sources have it, all with the same bytes and mode.
    Add,
    /// Several contributions were merged into one text.
    Merge,
    /// The last contribution won over the others.
    Override,
    /// Several layers have it, and all of their files stay, each under its own name.
    KeepBoth,
    /// It is the user's own file, unchanged; sources may have the same bytes.
    Local,
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The layer that contributed it.
    pub origin: Origin,
    /// The path of its bytes, relative to the root of the source's repo or of the operations repo.
    pub path: TreePath,
}

/// The content that must be written for a composed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The bytes of a source's blob as they are.
    Blob {
        /// The source that contributed it.
        source: SourceId,
        /// The file as its layer lists it, with its mode.
        file: TreeFile,
    },
    /// The given bytes.
    Bytes {
        /// The text.
        bytes: Vec<u8>,
        /// The permission of the file.
        mode: FileMode,
    },
    /// Nothing, because the user's own file stays.
    Local,
}

impl Write {
    /// Returns the permission of the file that must be written, or `None` if nothing must be
    /// written.
    pub fn mode(&self) -> Option<FileMode> {
        match self {
            Write::Blob { file, .. } => Some(file.mode),
            Write::Bytes { mode, .. } => Some(*mode),
            Write::Local => None,
        }
    }
}

/// The origin of a key of a merged file. Numbers are indexes into [`ComposedFile::from`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTrace {
    /// The key path, as in [`KeyOrigin::key`](compose_merge::KeyOrigin::key).
    pub key: String,
    /// The contribution whose value the key has.
    pub winner: usize,
    /// The line in the winner's text, counted from 1.
    pub line: usize,
    /// The contributions that set the key to something else and lost, highest first.
    pub overridden: Vec<usize>,
}

/// An entry of `bitops.deployments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The name, which is a directory of the environment.
    pub name: String,
    /// The plugin that runs it.
    pub plugin: String,
    /// The config that names it first.
    pub by: DeclaredBy,
    /// Whether the directory exists. The pipeline skips a deployment without one.
    pub present: bool,
}

/// The config that names a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeclaredBy {
    /// The config of a source, or the image's config for a directory that the source has.
    Source(SourceId),
    /// The config of the local environment.
    Local,
    /// The config of the image.
    Image,
}

/// A deployment directory under the name that `as` gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The source that the directory belongs to.
    pub source: SourceId,
    /// Its name in the source's environment.
    pub from: String,
    /// Its name in the composed environment.
    pub to: String,
}

/// A file of a source that its entry leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutFile {
    /// The source that the file belongs to.
    pub source: SourceId,
    /// The path that it would have, relative to the operations repo's root.
    pub path: TreePath,
    /// The path in the source's repo, relative to its root.
    pub repo_path: TreePath,
    /// The key of the source's entry that leaves it out.
    pub by: FilterKey,
}

/// A reason not to deploy, as it is found. Its remedies depend on all other clashes; see
/// [`Clash::with_remedies`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The composed path, relative to the operations repo's root.
    pub(super) path: TreePath,
    /// The kind of problem.
    pub(super) kind: ConflictKind,
    /// The parties that disagree, lowest first.
    pub(super) parties: Vec<Party>,
}

impl Clash {
    /// Returns each party's origin once, as [`Conflict::between`] does.
    pub(super) fn between(&self) -> Vec<Origin> {
        between(&self.parties)
    }

    /// Returns the conflict in the form in which it is reported.
    pub(super) fn with_remedies(self, group: usize, remedies: Vec<Arc<Remedy>>) -> Conflict {
        let Self { path, kind, parties } = self;
        Conflict {
            path,
            kind,
            parties,
            group,
            remedies,
        }
    }
}

fn between(parties: &[Party]) -> Vec<Origin> {
    let mut between: Vec<Origin> = parties.iter().map(|party| party.origin).collect();
    between.sort();
    between.dedup();
    between
}

/// A reason not to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The composed path, relative to the operations repo's root.
    pub path: TreePath,
    /// The kind of problem.
    pub kind: ConflictKind,
    /// The parties that disagree, lowest first.
    pub parties: Vec<Party>,
    /// The group that it is in.
    pub group: usize,
    /// The ways to settle it, best first. Any one of them is enough.
    pub remedies: Vec<Arc<Remedy>>,
}

/// Conflicts in one directory between the same sides. What is said of one of them holds for most of
/// the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictGroup {
    /// The directory, relative to the operations repo's root, with a slash at its end: a chart, a
    /// role, a module or a deployment, or the environment itself.
    pub directory: String,
    /// The sides, lowest first. Not every one of them has a part in each conflict.
    pub sides: Vec<Origin>,
    /// The number of conflicts, including those that are not listed.
    pub conflicts: usize,
}

impl Conflict {
    /// Returns each party's origin once, lowest first.
    pub fn between(&self) -> Vec<Origin> {
        between(&self.parties)
    }
}

/// The kind of problem that a path has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// Sources have different bytes.
    Content {
        /// The reason why they were not merged, if files of the path's type are merged.
        unmerged: Option<NotMerged>,
    },
    /// Sources have the same bytes, but not all of them as an executable file.
    Mode,
    /// Sources set one key to different values.
    Key {
        /// The key path.
        key: String,
    },
    /// Sources set one of Terraform's variables to different values in different files.
    Variable {
        /// The variable.
        variable: String,
    },
    /// A lower layer sets one of Terraform's variables in a file that Terraform loads after the
    /// higher layer's, and the variable cannot be taken out of it.
    VariableOrder {
        /// The variable.
        variable: String,
        /// The reason why it cannot be taken out.
        problem: String,
    },
    /// Override files of two sources give one thing different values.
    OverriddenTwice {
        /// The argument or the type of block with its address, such as `var.region.default`.
        what: String,
    },
    /// Files of two layers define the same thing for Terraform.
    DefinedTwice {
        /// The kind of thing and its address, such as `resource aws_s3_bucket.logs`.
        what: String,
    },
    /// One side has a file where another one has a directory.
    FileAgainstDirectory,
    /// Names differ only by case or Unicode normal form, so they are one file on macOS and Windows.
    NameCollision,
    /// One deployment is declared with several plugins.
    Plugin {
        /// The deployment.
        deployment: String,
        /// The plugins of the parties, and the image's plugin if it differs.
        plugins: Vec<String>,
    },
    /// A source has `as`, but it is not known which of its directories are deployments.
    DeploymentsUnknown,
    /// The deployments of a `bitops.config.yaml` cannot be read or written.
    Config {
        /// The problem of the config.
        problem: ConfigProblem,
    },
    /// A `shared` directory would land in the environment.
    SharedInside,
    /// A name that `as` makes is not valid for a file.
    Name {
        /// The name.
        name: String,
        /// The reason why the name is not valid.
        reason: InvalidPath,
    },
}

impl ConflictKind {
    /// Returns the word for the kind in reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            ConflictKind::Content { .. } => "content",
            ConflictKind::Mode => "mode",
            ConflictKind::Key { .. } => "key",
            ConflictKind::Variable { .. } => "variable",
            ConflictKind::VariableOrder { .. } => "variable-order",
            ConflictKind::OverriddenTwice { .. } => "overridden-twice",
            ConflictKind::DefinedTwice { .. } => "defined-twice",
            ConflictKind::FileAgainstDirectory => "file-against-directory",
            ConflictKind::NameCollision => "name-collision",
            ConflictKind::Plugin { .. } => "plugin",
            ConflictKind::DeploymentsUnknown => "deployments-unknown",
            ConflictKind::Config { .. } => "config",
            ConflictKind::SharedInside => "shared-inside",
            ConflictKind::Name { .. } => "name",
        }
    }
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The layer that it comes from.
    pub origin: Origin,
    /// The path of its file, relative to the root of the source's repo or of the operations repo.
    /// For a directory of a source it is the path of a file in that directory.
    pub path: TreePath,
    /// The kind of entry that it has there.
    pub holds: Holds,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
}

/// The kind of entry that one side of a conflict has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A deployment with this plugin.
    Plugin(String),
}
