//! What the walk needs to know of a blob: its size, and whether it is a Git LFS pointer.

use compose_model::{ObjectId, TreePath};
use gix::objs::Kind;

use super::{ExceededBudget, ListError, TreeLister, damaged};
use crate::{error::TreeProblem, ids::to_gix, store::ReadError};

/// The size that a Git LFS pointer stays below, by its specification.
const LFS_LIMIT: u64 = 1024;
const LFS_START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The facts about a blob that the walk needs.
#[derive(Clone, Copy)]
pub(super) struct BlobFacts {
    pub(super) size: u64,
    pub(super) is_pointer: bool,
}

impl TreeLister<'_> {
    /// Returns the facts about a blob, which is read only once. `None` if it is missing.
    pub(super) fn blob_facts(
        &self,
        blob: &ObjectId,
        repo_path: &TreePath,
    ) -> Result<Option<BlobFacts>, ListError> {
        if let Some(known) = self.blobs.borrow().get(&to_gix(blob)) {
            return Ok(*known);
        }
        let judged = if self.verify {
            self.verified_facts(blob, repo_path)?
        } else {
            self.header_facts(blob, repo_path)?
        };
        self.blobs.borrow_mut().insert(to_gix(blob), judged);
        Ok(judged)
    }

    /// Reads and verifies a whole blob.
    fn verified_facts(&self, blob: &ObjectId, repo_path: &TreePath) -> Result<Option<BlobFacts>, ListError> {
        let read = self.store.with(blob, Kind::Blob, |bytes| BlobFacts {
            size: bytes.len() as u64,
            is_pointer: is_pointer(bytes),
        });
        match read {
            Ok(judged) if judged.size > self.budget.file_size => {
                Err(ListError::Budget(ExceededBudget::FileSize))
            }
            Ok(judged) => Ok(Some(judged)),
            Err(ReadError::Missing) => Ok(None),
            Err(ReadError::Kind(kind)) => Err(no_file(kind, repo_path)),
            Err(error @ ReadError::Damaged(_)) => match self.store.header(blob) {
                // The blob is too large to be read at all.
                Ok(Some((_, size))) if size > self.budget.file_size => {
                    Err(ListError::Budget(ExceededBudget::FileSize))
                }
                _ => Err(damaged(*blob, &error)),
            },
        }
    }

    /// Trusts a blob's header, and reads the blob only if it is small enough to be a pointer.
    fn header_facts(&self, blob: &ObjectId, repo_path: &TreePath) -> Result<Option<BlobFacts>, ListError> {
        let unreadable = |error| damaged(*blob, &error);
        match self.store.header(blob).map_err(unreadable)? {
            None => Ok(None),
            Some((Kind::Blob, size)) if size > self.budget.file_size => {
                Err(ListError::Budget(ExceededBudget::FileSize))
            }
            Some((Kind::Blob, size)) => {
                let is_pointer = size < LFS_LIMIT
                    && self
                        .store
                        .with(blob, Kind::Blob, is_pointer)
                        .map_err(unreadable)?;
                Ok(Some(BlobFacts { size, is_pointer }))
            }
            Some((kind, _)) => Err(no_file(kind, repo_path)),
        }
    }
}

fn is_pointer(bytes: &[u8]) -> bool {
    (bytes.len() as u64) < LFS_LIMIT && bytes.starts_with(LFS_START)
}

fn no_file(kind: Kind, repo_path: &TreePath) -> ListError {
    let problem = TreeProblem::Kind(format!("its mode says file, but its object is a {kind}"));
    ListError::Tree(repo_path.to_string(), problem)
}
