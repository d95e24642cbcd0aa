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

/// A source of a run after resolution. The sources stand in composition order, lowest first, and
/// the index of a source is its identity.
#[derive(Clone, Debug)]
pub struct Source {
    /// The repo of the source.
    pub repo: RepoUrl,
    /// The directory of the repo that is the source's environment.
    pub environment: TreePath,
    /// The version that the config requests.
    pub requested: Requested,
    /// The version that the request resolved to, by the lock or by the repo's refs.
    pub resolved: Resolved,
    /// Whether the lock answers the request.
    pub is_locked: bool,
    /// The signature of the source, if the config requires one.
    pub signature: Option<Signature>,
    /// The tree of the environment.
    pub tree: TreeId,
    /// The chain of sources whose own `default-environments` led to this one, outermost first. It
    /// is empty for a source that the local config names.
    pub via: Vec<SourceId>,
    /// Every source that names this one, directly or through other sources, along any chain. All of
    /// them win over it.
    pub below: Vec<SourceId>,
    /// The `as` of the source's entry.
    pub rename: Option<String>,
    /// The `on-conflict` of the source's entry.
    pub on_conflict: OnConflict,
    /// The place of the source's entry in its config.
    pub place: Place,
    /// The directories at the top of the source's commit. It is empty for a source without hooks,
    /// because only hooks need it.
    pub top: Vec<String>,
}

/// A good signature of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The fingerprint of the key, or of both keys if different keys signed the commit and the tag.
    pub signer: String,
    /// The annotated tag that was verified.
    pub tag: Option<ObjectId>,
}

/// Index into [`Layers::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// The contributor of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A source.
    Source(SourceId),
    /// The local environment, which is last and highest.
    Local,
}

/// The part of a source that a layer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The source's `default-folder`, a directory below its environment.
    DefaultFolder(TreePath),
    /// The environment itself.
    Environment,
    /// One of the source's `shared` directories, which stand beside the environment.
    Shared(TreePath),
}

/// The files of one part of one source, already filtered by `include`, `exclude` and `hooks`.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The source that the layer belongs to.
    pub source: SourceId,
    /// The part of the source.
    pub part: Part,
    /// The files, sorted by path. Paths are relative to the part's directory.
    pub files: Arc<[TreeFile]>,
    /// The files that the source has there and that its entry leaves out, sorted by path. Paths are
    /// relative to the part's directory.
    pub left_out: Vec<LeftOut>,
    /// The `bitops.config.yaml` among the files, which composing reads from here and not from
    /// [`Contents`]. A `shared` directory has none, because a file of that name is not an
    /// environment's config there.
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

/// Everything that the sources contribute, lowest layer first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The sources, in composition order.
    pub sources: Vec<Source>,
    /// The layers of the sources, lowest first. The layers of one source stand together, in the
    /// order default folder, environment, shared directories.
    pub layers: Vec<Layer>,
}

impl Layers {
    /// Returns whether `higher` wins over `lower` without a conflict.
    ///
    /// The local environment wins over everything. A source wins over itself (its default folder)
    /// and over the sources nested in it.
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

/// Access to the bytes of the sources' blobs.
pub trait Contents {
    /// Returns the whole blob of a file that one of the source's layers lists.
    fn read(&self, source: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError>;
}

/// The user's own operations repo, which is read only where a source contributes something.
///
/// Paths are relative to the operations repo's root. Symlinks in the user's repo are followed,
/// because they are the user's own.
pub trait LocalTree {
    /// Returns the kind of entry at a path, or `None` if nothing stands there.
    fn kind(&self, path: &TreePath) -> Result<Option<LocalKind>, ContentsError>;
    /// Returns the names in a directory with their kinds, sorted by name. `None` is the operations
    /// repo's root. Names that are not a valid [`TreePath`] component are left out, because no
    /// source can collide with them.
    fn list(&self, dir: Option<&TreePath>) -> Result<Vec<(String, LocalKind)>, ContentsError>;
    /// Returns the bytes of a file.
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ContentsError>;
}

/// The kind of an entry of the user's repo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// A file, or a symlink to one.
    File(FileMode),
    /// A directory, or a symlink to one.
    Directory,
    /// Anything else, such as a dangling symlink or a socket. It is left as it is.
    Other,
}

/// The error for bytes that cannot be read. The code and the hint are those of the reason: a
/// damaged object cache or an unreadable file is the same failure in every stage that meets it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read {what}")]
pub struct ContentsError {
    /// The path, with its repo if it is a source's.
    pub what: String,
    /// The reason.
    pub source: Arc<dyn Cause>,
}

impl ContentsError {
    /// Creates the error with its reason.
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
