//! What composing yields.

use compose_model::{Diagnostic, FileMode, FilterKey, TreeFile, TreePath, path::InvalidPath};

use super::problem::{ConfigProblem, NotMerged};
use crate::layer::{Origin, SourceId};

/// The composed environment, with where everything came from and all that is wrong with it.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The environment, relative to the operations repo's root.
    pub environment: TreePath,
    /// Every composed file, sorted by path; with [`Request::list_local`](super::Request::list_local) the
    /// environment's purely local files too. A path in conflict is not here but in `conflicts`.
    pub files: Vec<ComposedFile>,
    /// There were more purely local files than a composition lists; see [`Composition::warnings`].
    pub local_is_cut: bool,
    /// What the pipeline will run, in order; empty when neither a config declares it nor the image's is known.
    pub deployments: Vec<Deployment>,
    /// Were `deployments` written into the composed `bitops.config.yaml`?
    pub generated: bool,
    /// Deployment directories that `as` renamed, by source in composition order.
    pub renames: Vec<Rename>,
    /// What sources have and their entries leave out, by source in composition order; empty, unless
    /// [`Request::list_local`](super::Request::list_local).
    pub left_out: Vec<LeftOutFile>,
    /// Every reason not to deploy; must be empty before anything is written.
    pub conflicts: Vec<Conflict>,
    /// What a reader should know of.
    pub warnings: Vec<Diagnostic>,
}

impl Composition {
    /// The composed file at a path relative to the operations repo's root.
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
    /// Relative to the operations repo's root.
    pub path: TreePath,
    /// How it came to be.
    pub action: Action,
    /// Who contributed, lowest first; the last one decides.
    pub from: Vec<Provenance>,
    /// What must be written.
    pub write: Write,
    /// Every leaf key of a merged file, in document order.
    pub keys: Vec<KeyTrace>,
    /// What was lost on the way, or why a file was not merged; one sentence each.
    pub notes: Vec<String>,
}

/// How a composed file came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Only sources have it, all with the same bytes and mode.
    Add,
    /// Several contributions became one text.
    Merge,
    /// The last contribution won over the others.
    Override,
    /// Several layers have it and all stay, each under its own name.
    KeepBoth,
    /// The user's own file, unchanged; sources may have the same bytes.
    Local,
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Whose.
    pub origin: Origin,
    /// Where its bytes stand: relative to the root of the source's repo, or of the operations repo.
    pub path: TreePath,
}

/// What must be written for a composed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A source's bytes as they are.
    Blob {
        /// Whose.
        source: SourceId,
        /// The file as its layer lists it, with its mode.
        file: TreeFile,
    },
    /// These bytes.
    Bytes {
        /// The text.
        bytes: Vec<u8>,
        /// Its permission.
        mode: FileMode,
    },
    /// Nothing: the user's own file stays.
    Local,
}

impl Write {
    /// The permission of the file that must be written; `None`: nothing must.
    pub fn mode(&self) -> Option<FileMode> {
        match self {
            Write::Blob { file, .. } => Some(file.mode),
            Write::Bytes { mode, .. } => Some(*mode),
            Write::Local => None,
        }
    }
}

/// Where a key of a merged file came from. Numbers are indexes into [`ComposedFile::from`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTrace {
    /// The key path, as in [`KeyOrigin::key`](compose_merge::KeyOrigin::key).
    pub key: String,
    /// Whose value it is.
    pub winner: usize,
    /// Line of the winner's text, from 1.
    pub line: usize,
    /// Who set the key to something else and lost, highest first.
    pub overridden: Vec<usize>,
}

/// A name in `bitops.deployments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The name, which is a directory of the environment.
    pub name: String,
    /// The plugin that runs it.
    pub plugin: String,
    /// Who names it first.
    pub by: DeclaredBy,
    /// Is there such a directory? The pipeline passes over a deployment without one.
    pub present: bool,
}

/// Whose config names a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeclaredBy {
    /// A source's, or the image's for a directory that the source has.
    Source(SourceId),
    /// The local environment's.
    Local,
    /// The image's.
    Image,
}

/// A deployment directory under the name that `as` gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Whose directory.
    pub source: SourceId,
    /// Its name in the source's environment.
    pub from: String,
    /// Its name in the composed environment.
    pub to: String,
}

/// A file of a source that takes no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutFile {
    /// Whose.
    pub source: SourceId,
    /// Where it would stand, relative to the operations repo's root.
    pub path: TreePath,
    /// Where it stands in the source's repo, relative to its root.
    pub repo_path: TreePath,
    /// The key of the source's entry that says so.
    pub by: FilterKey,
}

/// A reason not to deploy, as it is found. Its remedies depend on all the others: see [`Clash::with_remedies`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The composed path, relative to the operations repo's root.
    pub(super) path: TreePath,
    /// What is wrong.
    pub(super) kind: ConflictKind,
    /// Who disagrees, lowest first.
    pub(super) parties: Vec<Party>,
}

impl Clash {
    /// As [`Conflict::between`].
    pub(super) fn between(&self) -> Vec<Origin> {
        between(&self.parties)
    }

    /// What the user is told.
    pub(super) fn with_remedies(self, remedies: Vec<String>) -> Conflict {
        let Self { path, kind, parties } = self;
        Conflict {
            path,
            kind,
            parties,
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
    /// What is wrong.
    pub kind: ConflictKind,
    /// Who disagrees, lowest first.
    pub parties: Vec<Party>,
    /// What to do about it: any one of these, one sentence each.
    pub remedies: Vec<String>,
}

impl Conflict {
    /// Who disagrees, each once: the key by which conflicts are grouped.
    pub fn between(&self) -> Vec<Origin> {
        between(&self.parties)
    }
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// Sources have different bytes.
    Content {
        /// Why they were not merged, where the path's type would be.
        unmerged: Option<NotMerged>,
    },
    /// Sources have the same bytes, executable here and not there.
    Mode,
    /// Sources set one key to different values.
    Key {
        /// The key path.
        key: String,
    },
    /// Files of two layers define one thing for Terraform.
    DefinedTwice {
        /// The kind of thing and its address: `resource aws_s3_bucket.logs`.
        what: String,
    },
    /// A file here, a directory there.
    FileAgainstDirectory,
    /// Names that differ only by case or Unicode normal form: one file on macOS and Windows.
    NameCollision,
    /// One deployment, several plugins.
    Plugin {
        /// The deployment.
        deployment: String,
        /// The plugins: those of the parties, and the image's if it differs.
        plugins: Vec<String>,
    },
    /// A source has `as`, and nothing tells which of its directories are deployments.
    DeploymentsUnknown,
    /// A `bitops.config.yaml` whose deployments cannot be read, or written.
    Config {
        /// What is wrong with it.
        problem: ConfigProblem,
    },
    /// A `shared` directory that would land in the environment.
    SharedInside,
    /// A name that `as` makes and that no file may have.
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: InvalidPath,
    },
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Whose.
    pub origin: Origin,
    /// Where its file stands: relative to the root of the source's repo, or of the operations repo. For a
    /// directory of a source: a file in it.
    pub path: TreePath,
    /// What it has there.
    pub holds: Holds,
    /// Line in that file, from 1.
    pub line: Option<usize>,
}

/// What one side of a conflict has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A deployment with this plugin.
    Plugin(String),
}
