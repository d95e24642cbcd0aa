//! Why nothing answers a request, and what is near.

use compose_model::{
    Cause, CommitId, ExitCode, Refs, VersionRequest,
    refs::{HEADS, TAGS},
    text::{escape, nearest},
};

/// A request that a repo's refs do not answer. Names no repo and no environment: the caller knows both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// An exact or partial version without its tag.
    #[error("there is no tag for version `{}`", .request.as_str())]
    NoSuchTag {
        /// What was asked for.
        request: VersionRequest,
        /// For a partial version, the range of its tags, if there are any.
        range: Option<String>,
        /// The nearest tags; empty when the refs held none, see [`ResolveError::prefixes`].
        near: Vec<String>,
    },
    /// A range that no tag matches.
    #[error("no tag matches version `{}`", .request.as_str())]
    NoMatch {
        /// What was asked for.
        request: VersionRequest,
        /// There are versions, but all of them are pre-releases.
        pre_releases_only: bool,
        /// The highest tags there are, highest first.
        near: Vec<String>,
    },
    /// `1.0.0` and `v1.0.0` of different commits.
    #[error(
        "the tags `{}` ({}) and `{}` ({}) stand for one version but are different commits",
        escape(&.names[0], 120), .commits[0].short(), escape(&.names[1], 120), .commits[1].short()
    )]
    TwoTags {
        /// Their short names.
        names: [String; 2],
        /// Their commits.
        commits: [CommitId; 2],
    },
    /// No branch and no tag of that name.
    #[error("there is no branch or tag `{}`", escape(.name, 120))]
    NoSuchRef {
        /// What was asked for.
        name: String,
        /// The nearest branches and tags.
        near: Vec<String>,
    },
    /// A branch and a tag of one name and different commits.
    #[error("`{}` is both a branch ({}) and a tag ({})", escape(.name, 120), .branch.short(), .tag.short())]
    BranchAndTag {
        /// The name.
        name: String,
        /// The branch's commit.
        branch: CommitId,
        /// The tag's commit.
        tag: CommitId,
    },
    /// The beginning of a commit id, which only a whole clone could complete.
    #[error("`{name}` is no branch or tag, and too short for a commit id")]
    ShortCommit {
        /// What was asked for.
        name: String,
        /// A commit among the refs that begins with it.
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
            Self::NoSuchRef { near, .. } => listed("did you mean", near),
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
    /// The `ls-refs` prefixes to ask for before [`resolve`](super::resolve) is called again, so that the error can list
    /// what is near; empty when it would not gain by it.
    pub fn prefixes(&self) -> &'static [&'static str] {
        match self {
            Self::NoSuchTag { .. } => &[TAGS],
            Self::NoSuchRef { .. } | Self::ShortCommit { full: None, .. } => &[HEADS, TAGS],
            Self::NoMatch { .. }
            | Self::TwoTags { .. }
            | Self::BranchAndTag { .. }
            | Self::ShortCommit { .. } => &[],
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
    // Words such as `deed` and years such as `2024` are hexadecimal too: git's own short ids have seven digits and more.
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
    let short = name
        .strip_prefix(HEADS)
        .or_else(|| name.strip_prefix(TAGS))
        .unwrap_or(name);
    let mut all: Vec<&str> = refs.branches().chain(refs.tags()).map(|(name, _)| name).collect();
    all.sort_unstable();
    all.dedup();
    let near = nearest(short, all, 5).into_iter().map(str::to_owned).collect();
    ResolveError::NoSuchRef {
        name: name.to_owned(),
        near,
    }
}
