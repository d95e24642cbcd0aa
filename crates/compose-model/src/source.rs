//! One entry of `default-environments`.

use std::path::PathBuf;

use crate::{Filter, Place, RepoUrl, Span, TreePath, VersionRequest};

/// What an entry asks for. Exactly one of `version` and `ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// `version:`
    Version(VersionRequest),
    /// `ref:`: a branch, a tag or a full commit id, as written.
    Ref(String),
}

impl Requested {
    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        match self {
            Requested::Version(version) => version.as_str(),
            Requested::Ref(name) => name,
        }
    }
}

/// What happens when two sources contribute different content to one path. A local file always wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The run ends and names the path, both sources and the remedies.
    #[default]
    Error,
    /// The lower of the two stays.
    First,
    /// The higher of the two wins.
    Last,
}

/// Which object of a source must carry a good signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// The commit.
    Commit,
    /// The annotated tag that was asked for.
    Tag,
    /// Both of them.
    Both,
}

/// `verify`: the source is used only when it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// `mode`
    pub mode: VerifyMode,
    /// `keys`: a file of the image, a mount or the operations repo, as written; a relative path starts at the operations
    /// repo. `None`: the run's own keys. Never set by a source's own config, which could otherwise vouch for itself.
    pub keys: Option<PathBuf>,
}

/// Where a source's config stands, which decides what it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The local environment's config: `file://` and plain paths are allowed.
    Root,
    /// A source's own config: only remote repos.
    Nested,
}

/// One entry of `default-environments`, checked. Section 4 of the design names each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// `repo`
    pub repo: RepoUrl,
    /// `environment`: a directory of that repo.
    pub environment: TreePath,
    /// `version` or `ref`
    pub requested: Requested,
    /// `include`, `exclude` and `hooks`: which files of the environment and of `default_folder` take part.
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
    /// Where the entry stands.
    pub place: Place,
    /// Where its values stand, in the text of `place`.
    pub spans: ValueSpans,
}

/// The bytes of those values of an entry that a message may be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSpans {
    /// `environment`
    pub environment: Span,
    /// `version` or `ref`
    pub requested: Span,
}

impl SourceSpec {
    /// Where its `environment` stands.
    pub fn environment_place(&self) -> Place {
        self.value_place(&self.spans.environment)
    }

    /// Where its `version` or `ref` stands.
    pub fn requested_place(&self) -> Place {
        self.value_place(&self.spans.requested)
    }

    /// A value that came by an alias or a merge key may have no place of its own.
    fn value_place(&self, span: &Span) -> Place {
        let span = if span.is_empty() { &self.place.span } else { span };
        Place {
            span: span.clone(),
            ..self.place.clone()
        }
    }
}
