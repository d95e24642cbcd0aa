//! One entry of `default-environments`.

use std::path::PathBuf;

use crate::{Filter, Place, RepoUrl, Span, TreePath, VersionRequest};

/// What an entry requests: either a `version` or a `ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// `version:`
    Version(VersionRequest),
    /// `ref:`: a branch, a tag or a full commit id, as written.
    Ref(String),
}

impl Requested {
    /// Returns the request as the user wrote it.
    pub fn as_str(&self) -> &str {
        match self {
            Requested::Version(version) => version.as_str(),
            Requested::Ref(name) => name,
        }
    }
}

/// How to treat different content that two sources contribute to one path. A local file always
/// wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The run ends with an error that names the path, both sources and the remedies.
    #[default]
    Error,
    /// The lower of the two is kept.
    First,
    /// The higher of the two wins.
    Last,
}

/// The objects of a source that must have a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// The commit.
    Commit,
    /// The requested annotated tag.
    Tag,
    /// Both the commit and the tag.
    Both,
}

/// `verify`: the source is used only if it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// `mode`
    pub mode: VerifyMode,
    /// `keys`: a file in the image, a mount or the operations repo, as written; a relative path
    /// starts at the operations repo. `None` for the run's own keys. A source's own config cannot
    /// set it, because the source could then vouch for itself.
    pub keys: Option<PathBuf>,
}

/// The kind of config that an entry is in, which decides which repos it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The local environment's config: `file://` and plain paths are allowed.
    Root,
    /// The config of a source: only remote repos are allowed.
    Nested,
}

/// A checked entry of `default-environments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// `repo`
    pub repo: RepoUrl,
    /// `environment`: a directory of that repo.
    pub environment: TreePath,
    /// `version` or `ref`
    pub requested: Requested,
    /// `include`, `exclude` and `hooks`: the filter for the files of the environment and of `default_folder`.
    pub filter: Filter,
    /// `as`: its deployments become `<as>-<deployment>`.
    pub rename: Option<String>,
    /// `shared`: top-level directories of that repo to compose beside the environment.
    pub shared: Vec<TreePath>,
    /// `default-folder`: a directory of that repo, layered below the environment.
    pub default_folder: Option<TreePath>,
    /// `on-conflict`
    pub on_conflict: OnConflict,
    /// `verify`
    pub verify: Option<Verify>,
    /// `upgrade.ignore`: the versions that `upgrade` never takes. They have no effect on a composition.
    pub ignored_versions: Vec<VersionRequest>,
    /// The place of the entry in its config.
    pub place: Place,
    /// The places of its values, in the text of `place`.
    pub spans: ValueSpans,
}

/// The byte ranges of the values of an entry that messages refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSpans {
    /// `environment`
    pub environment: Span,
    /// `version` or `ref`
    pub requested: Span,
    /// `default-folder`
    pub default_folder: Span,
    /// The items of `shared`, in order.
    pub shared: Vec<Span>,
}

impl SourceSpec {
    /// Returns the place of its `environment`.
    pub fn environment_place(&self) -> Place {
        self.value_place(&self.spans.environment)
    }

    /// Returns the place of its `version` or `ref`.
    pub fn requested_place(&self) -> Place {
        self.value_place(&self.spans.requested)
    }

    /// Returns the place of its `default-folder`.
    pub fn default_folder_place(&self) -> Place {
        self.value_place(&self.spans.default_folder)
    }

    /// Returns the place of a directory in its `shared`.
    pub fn shared_place(&self, dir: &TreePath) -> Place {
        let named = self.shared.iter().position(|shared| shared == dir);
        let span = named.and_then(|index| self.spans.shared.get(index));
        self.value_place(span.unwrap_or(&Span::default()))
    }

    /// Returns the place of a value, or of the entry if the value has none because it came by an
    /// alias or a merge key.
    fn value_place(&self, span: &Span) -> Place {
        let span = if span.is_empty() { &self.place.span } else { span };
        Place {
            span: span.clone(),
            ..self.place.clone()
        }
    }
}
