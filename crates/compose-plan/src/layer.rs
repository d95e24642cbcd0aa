//! What each source and the local environment contribute.

use std::sync::Arc;

use compose_model::{
    Cause, ExitCode, FileMode, LeftOut, ObjectId, OnConflict, Place, RepoUrl, Requested, TreeFile, TreeId,
    TreePath,
};

use crate::{
    config::{DeploymentsError, EnvironmentConfig},
    resolve::Resolved,
};

/// One source of a run after resolution, in composition order (lowest first). Its index is its identity.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub repo: RepoUrl,
    /// Its environment: a directory of the repo.
    pub environment: TreePath,
    /// What was asked for.
    pub requested: Requested,
    /// What that resolved to, by the lock or by the repo's refs.
    pub resolved: Resolved,
    /// Does the lock answer the request?
    pub is_locked: bool,
    /// Its signature, where one was asked for.
    pub signature: Option<Signature>,
    /// The environment's tree.
    pub tree: TreeId,
    /// The chain of sources whose own `default-environments` led here, outermost first; empty: the local config.
    pub via: Vec<SourceId>,
    /// Every source that names it, directly or through others, by any way: all of them win over it.
    pub below: Vec<SourceId>,
    /// `as`
    pub rename: Option<String>,
    /// `on-conflict`
    pub on_conflict: OnConflict,
    /// Where the entry stands.
    pub place: Place,
    /// The directories at the top of its commit; empty where it has no hooks, which alone are asked about them.
    pub top: Vec<String>,
}

/// A good signature of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The fingerprint of the key; of both keys, where commit and tag were signed by different ones.
    pub signer: String,
    /// The annotated tag that was verified.
    pub tag: Option<ObjectId>,
}

/// Index into [`Layers::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// Who contributes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A source's files.
    Source(SourceId),
    /// The local environment: last and highest.
    Local,
}

/// Which part of a source a layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its `default-folder`, below its environment.
    DefaultFolder(TreePath),
    /// The environment itself.
    Environment,
    /// One of its `shared` directories, beside the environment.
    Shared(TreePath),
}

/// The files of one part of one source, already filtered by `include`, `exclude` and `hooks`.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Whose.
    pub source: SourceId,
    /// Which part.
    pub part: Part,
    /// Sorted by path; paths are relative to the part's directory.
    pub files: Arc<[TreeFile]>,
    /// What the source has there and its entry leaves out, sorted; relative to the part's directory.
    pub left_out: Vec<LeftOut>,
    /// The `bitops.config.yaml` among the files, which composing reads from here and not from [`Contents`].
    /// A `shared` directory has none, because a file of that name is no environment's config there.
    pub config: Option<LayerConfig>,
}

/// The config of a layer.
#[derive(Clone, Debug)]
pub struct LayerConfig {
    /// The file as the layer lists it.
    pub file: TreeFile,
    /// The parsed file.
    pub parsed: Result<EnvironmentConfig, DeploymentsError>,
}

/// All that sources contribute, lowest layer first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The sources, in composition order.
    pub sources: Vec<Source>,
    /// Their layers, lowest first. Layers of one source stand together: default folder, environment, shared.
    pub layers: Vec<Layer>,
}

impl Layers {
    /// Does `higher` win over `lower` without a conflict? The local environment wins over everything, a source
    /// over itself (its default folder) and over the sources nested in it.
    pub fn overrides(&self, higher: Origin, lower: Origin) -> bool {
        match (higher, lower) {
            (Origin::Local, _) => true,
            (Origin::Source(_), Origin::Local) => false,
            (Origin::Source(high), Origin::Source(low)) => {
                high == low || self.sources[low.0].below.contains(&high)
            }
        }
    }
}

/// The bytes of a source's blobs.
pub trait Contents {
    /// The whole blob of a file that one of the source's layers lists.
    fn read(&self, source: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError>;
}

/// The user's own operations repo, looked at only where a source contributes something.
/// Paths are relative to the operations repo's root. Symlinks of the user's repo are followed: they are theirs.
pub trait LocalTree {
    /// What stands at a path; `None`: nothing.
    fn kind(&self, path: &TreePath) -> Result<Option<LocalKind>, ContentsError>;
    /// The names in a directory (`None`: the operations repo's root) with their kinds, sorted by name. Names that
    /// are no valid [`TreePath`] component are left out: no source can collide with them.
    fn list(&self, dir: Option<&TreePath>) -> Result<Vec<(String, LocalKind)>, ContentsError>;
    /// A file's bytes.
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ContentsError>;
}

/// What stands at a path of the user's repo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// A file, or a symlink to one.
    File(FileMode),
    /// A directory, or a symlink to one.
    Directory,
    /// A dangling symlink, a socket…: it stays what it is.
    Other,
}

/// Bytes that could not be read. The code and the hint are those of the reason: an object cache that is damaged and a
/// file that may not be read are the same failure in every stage that meets them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read {what}")]
pub struct ContentsError {
    /// The path, with its repo for a source's.
    pub what: String,
    /// The reason.
    pub source: Arc<dyn Cause>,
}

impl ContentsError {
    /// With its reason.
    pub fn new(what: impl Into<String>, source: impl Cause) -> Self {
        Self {
            what: what.into(),
            source: Arc::new(source),
        }
    }
}

impl Cause for ContentsError {
    fn exit_code(&self) -> ExitCode {
        self.source.exit_code()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}
