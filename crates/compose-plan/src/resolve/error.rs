//! Explains why nothing answers a request, and lists what is near.

use compose_model::{
    Cause, CommitId, ExitCode, Refs, VersionRequest,
    refs::{HEADS, TAGS},
    text::escape,
};

use super::near::{self, Existing};

/// A request that a repo's refs do not answer. The error does not name the repo or the environment,
/// because the caller knows both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// An exact or partial version has no tag.
    #[error("there is no tag for version `{}`", .request.as_str())]
    NoSuchTag {
        /// The request.
        request: VersionRequest,
        /// The range that matches tags of a partial version, if there are any.
        range: Option<String>,
        /// The nearest tags; empty if the refs held none (see [`ResolveError::prefixes`]).
        near: Vec<String>,
    },
    /// No tag matches a range.
    #[error("no tag matches version `{}`", .request.as_str())]
    NoMatch {
        /// The request.
        request: VersionRequest,
        /// Whether there are versions, but all of them are pre-releases.
        pre_releases_only: bool,
        /// The highest existing tags, highest first.
        near: Vec<String>,
    },
    /// `1.0.0` and `v1.0.0` point to different commits.
    #[error(
        "the tags `{}` ({}) and `{}` ({}) stand for one version but are different commits",
        escape(&.names[0], 120), .commits[0].abbreviated(), escape(&.names[1], 120), .commits[1].abbreviated()
    )]
    TwoTags {
        /// The short names of the tags.
        names: [String; 2],
        /// The commits of the tags.
        commits: [CommitId; 2],
    },
    /// There is no branch, tag or other ref with the requested name.
    #[error("there is no {} `{}`", near::sought(.name).noun(), escape(.name, 120))]
    NoSuchRef {
        /// The requested name.
        name: String,
        /// The names that were probably meant, most likely first.
        near: Vec<String>,
        /// The branches, or for a tag or another ref what there is of its kind.
        existing: Existing,
    },
    /// A branch and a tag share a name and point to different commits.
    #[error("`{}` is both a branch ({}) and a tag ({})", escape(.name, 120), .branch.abbreviated(), .tag.abbreviated())]
    BranchAndTag {
        /// The name.
        name: String,
        /// The branch's commit.
        branch: CommitId,
        /// The tag's commit.
        tag: CommitId,
    },
    /// The request is an abbreviated commit id, which only a full clone could complete.
    #[error("`{name}` is no branch or tag, and too short for a commit id")]
    ShortCommit {
        /// The requested id.
        name: String,
        /// A commit among the refs that begins with the id.
        full: Option<CommitId>,
    },
}

impl Cause for ResolveError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Config
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchTag { request, range, near } => {
                let bare = request.as_str().trim_start_matches(['v', 'V']);
                let offer = range
                    .as_ref()
                    .map(|range| format!("`{range}` asks for the newest {bare}.x"));
                let parts: Vec<String> = offer
                    .into_iter()
                    .chain(listed("the nearest tags are", near))
                    .collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
            Self::NoMatch {
                pre_releases_only: true,
                near,
                ..
            } => listed("there are pre-releases only, which a range must name:", near),
            Self::NoMatch { near, .. } => listed("the highest tags are", near),
            Self::TwoTags { .. } => {
                Some("name one of them with `ref: refs/tags/…`, and tell the catalog's owner".into())
            }
            Self::NoSuchRef { name, near, existing } => Some(near::hint(name, near, existing)),
            Self::BranchAndTag { name, .. } => {
                let name = escape(name, 120);
                Some(format!("write `ref: {HEADS}{name}` or `ref: {TAGS}{name}`"))
            }
            Self::ShortCommit { full: Some(full), .. } => Some(format!("write the full id: {full}")),
            Self::ShortCommit { full: None, .. } => Some("write the full id, all 40 digits".into()),
        }
    }
}

impl ResolveError {
    /// Returns the `ls-refs` prefixes to request before calling [`resolve`](super::resolve) again,
    /// so that the error can list what is near. Returns nothing if that would not improve the
    /// error.
    pub fn prefixes(&self) -> Vec<String> {
        match self {
            Self::NoSuchTag { .. } => vec![TAGS.to_owned()],
            Self::NoSuchRef { name, .. } => near::prefixes(name),
            Self::ShortCommit { full: None, .. } => vec![HEADS.to_owned(), TAGS.to_owned()],
            Self::NoMatch { .. }
            | Self::TwoTags { .. }
            | Self::BranchAndTag { .. }
            | Self::ShortCommit { .. } => Vec::new(),
        }
    }
}

fn listed(intro: &str, names: &[String]) -> Option<String> {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", escape(name, 120)))
        .collect();
    (!names.is_empty()).then(|| format!("{intro} {}", names.join(", ")))
}

pub(super) fn no_such_ref(name: &str, refs: &Refs) -> ResolveError {
    let hex = (4..40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
    // Words such as `deed` and years such as `2024` are also hexadecimal; git's own short ids have
    // at least seven digits.
    if hex
        && (name.len() >= 7
            || name.bytes().any(|b| b.is_ascii_digit()) && name.bytes().any(|b| b.is_ascii_alphabetic()))
    {
        let wanted = name.to_lowercase();
        let full = refs
            .iter()
            .map(|entry| entry.target)
            .find(|commit| commit.to_string().starts_with(&wanted));
        return ResolveError::ShortCommit {
            name: name.to_owned(),
            full,
        };
    }
    let near = near::names(name, refs);
    ResolveError::NoSuchRef {
        name: name.to_owned(),
        existing: near::existing(name, &near, refs),
        near,
    }
}
