//! What is wrong with a tree of a source.

use super::Error;

/// What is wrong with an entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeProblem {
    /// A name that is not valid on every system, or that hides something.
    #[error("the name is not allowed: {0}")]
    Name(String),
    /// Two names that are the same file on some systems.
    #[error("the name collides with `{0}` in the same directory (by case or Unicode form)")]
    Collision(String),
    /// The tree's encoding is not git's.
    #[error("the directory is malformed: {0}")]
    Malformed(String),
    /// The path is over 512 directories deep or 4,096 bytes long.
    #[error("the path is too deep or too long")]
    TooDeep,
    /// A submodule.
    #[error("it is a git submodule, which is not fetched")]
    Submodule,
    /// A Git LFS pointer.
    #[error("it is a Git LFS pointer; its content is not in the repository")]
    Lfs,
    /// A symlink to an absolute path.
    #[error("the symlink's target `{0}` is absolute")]
    AbsoluteLink(String),
    /// A symlink that leads out of the repo.
    #[error("the symlink's target `{0}` is outside of the repository")]
    EscapingLink(String),
    /// A symlink whose target does not exist.
    #[error("the symlink's target `{0}` does not exist")]
    DanglingLink(String),
    /// A symlink that leads to itself or to a directory around it.
    #[error("the symlink's target `{0}` leads into a loop")]
    LoopingLink(String),
    /// A mode that git does not write, or an object of another type than the mode says.
    #[error("{0}")]
    Kind(String),
}

impl TreeProblem {
    /// Returns whether this is about the target of a symlink.
    pub(crate) fn is_of_link(&self) -> bool {
        matches!(
            self,
            Self::AbsoluteLink(_) | Self::EscapingLink(_) | Self::DanglingLink(_) | Self::LoopingLink(_)
        )
    }
}

/// An entry of a tree that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// The path in the repo, escaped.
    pub path: String,
    /// What is wrong.
    pub why: TreeProblem,
}

impl Error {
    /// Returns one error for each refused entry of a tree; any other error is returned as it is. The
    /// last one knows the number of further entries.
    pub fn into_each(self) -> Vec<Self> {
        let Error::Tree {
            repo,
            reference,
            path,
            why,
            others,
            further,
        } = self
        else {
            return vec![self];
        };
        let last = others.len();
        std::iter::once(RefusedEntry { path, why })
            .chain(others)
            .enumerate()
            .map(|(index, RefusedEntry { path, why })| Error::Tree {
                repo: repo.clone(),
                reference: reference.clone(),
                path,
                why,
                others: Vec::new(),
                further: if index == last { further } else { 0 },
            })
            .collect()
    }
}
