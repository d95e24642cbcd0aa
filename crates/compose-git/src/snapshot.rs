//! One commit and its fetched files.

use std::{path::PathBuf, sync::Arc};

use compose_model::{
    BlobId, CommitId, LeftOut, ObjectId, RepoUrl, TreeFile, TreeId, TreePath, env, file_name,
    settings::Budget,
};
use gix::objs::Kind;

use crate::{
    error::Error,
    list_tree::{ExceededBudget, ListError, Missing, PathTarget, TreeLister},
    store::{ReadError, Store},
    want::Root,
};

/// The trees and files of one commit. It holds the wanted directories; reading others is an error.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    repo: RepoUrl,
    /// The ref that was wanted, escaped, or the commit's id.
    reference: String,
    commit: CommitId,
    root: ObjectId,
    budget: Budget,
    store: Store,
    cache: PathBuf,
    /// The listings that were made when the fetch was verified.
    listed: Vec<Listed>,
    /// The wanted directories that could not be listed. Objects of them were not fetched.
    refused: Vec<Root>,
    /// Keeps the cache entry (or the private directory) from being removed.
    _keep: Arc<dyn Send + Sync>,
}

/// A directory's files, and those that its filter leaves out, sorted by path.
pub(crate) struct Listed {
    pub(crate) root: Root,
    pub(crate) files: Arc<[TreeFile]>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// The tool directories at the top of an environment, as BitOps names them.
const TOOL_DIRECTORIES: [&str; 4] = ["terraform", "ansible", "helm", "cloudformation"];

impl Snapshot {
    pub(crate) fn new(
        repo: RepoUrl,
        reference: String,
        (commit, root): (CommitId, ObjectId),
        budget: Budget,
        (store, cache, keep): (Store, PathBuf, Arc<dyn Send + Sync>),
        (listed, refused): (Vec<Listed>, Vec<Root>),
    ) -> Self {
        Self(Arc::new(Inner {
            repo,
            reference,
            commit,
            root,
            budget,
            store,
            cache,
            listed,
            refused,
            _keep: keep,
        }))
    }

    /// Returns the commit's id. If a tag object was wanted, it is the commit that the tag stands for.
    pub fn commit(&self) -> CommitId {
        self.0.commit
    }

    /// Returns the commit's raw content (without the `commit <size>\0` that is hashed with it),
    /// verified against its id.
    pub fn raw_commit(&self) -> Result<Vec<u8>, Error> {
        let id = &self.0.commit.0;
        let read = self.0.store.read(id, Kind::Commit);
        read.map_err(|error| self.damaged(id, error.to_string()))
    }

    /// Returns the id of a directory's tree, with symlinks followed, or `None` if there is no such
    /// directory.
    pub fn tree(&self, dir: &TreePath) -> Result<Option<TreeId>, Error> {
        let mut missing = Missing::default();
        match self
            .lister()
            .find(&Root::whole(dir.clone()), &mut missing)
            .map_err(|stop| self.error(stop, dir))?
        {
            PathTarget::Tree(found) => Ok(Some(TreeId(found.last().map_or(self.0.root, |(_, id)| *id)))),
            PathTarget::Unknown => Err(self.absent(&missing)),
            PathTarget::Blob { .. } | PathTarget::Nothing => Ok(None),
        }
    }

    /// Returns the files of a root, sorted by path; empty if there is no such directory. A root
    /// that was fetched with the same filter has been listed then; any other one is listed now.
    pub fn files(&self, root: &Root) -> Result<Arc<[TreeFile]>, Error> {
        if let Some(listed) = self.listed(root) {
            return Ok(Arc::clone(&listed.files));
        }
        let listing = self
            .lister()
            .list(root)
            .map_err(|stop| self.error(stop, &root.dir))?;
        if listing.missing.is_empty() {
            Ok(listing.files.into())
        } else {
            Err(self.absent(&listing.missing))
        }
    }

    /// Returns the files that the filter of a fetched root leaves out, sorted by path, each with the
    /// key that excludes it.
    pub fn left_out(&self, root: &Root) -> &[LeftOut] {
        self.listed(root).map_or(&[], |listed| &listed.left_out)
    }

    fn listed(&self, root: &Root) -> Option<&Listed> {
        self.0.listed.iter().find(|listed| listed.root == *root)
    }

    /// Returns the bytes of one file, with symlinks followed, or `None` if there is no such file.
    pub fn file(&self, path: &TreePath) -> Result<Option<Vec<u8>>, Error> {
        let mut missing = Missing::default();
        let found = self
            .lister()
            .find_any(path, &mut missing)
            .map_err(|stop| self.error(stop, path))?;
        match found {
            PathTarget::Blob { blob, .. } => self.read(&BlobId(blob)).map(Some),
            PathTarget::Unknown => Err(self.absent(&missing)),
            PathTarget::Tree(_) | PathTarget::Nothing => Ok(None),
        }
    }

    /// Returns a file's bytes, verified against its id.
    pub fn read(&self, blob: &BlobId) -> Result<Vec<u8>, Error> {
        self.with(blob, <[u8]>::to_vec)
    }

    /// Calls `look` with a file's bytes, verified against its id.
    pub fn with<T>(&self, blob: &BlobId, look: impl FnOnce(&[u8]) -> T) -> Result<T, Error> {
        self.0.store.with(&blob.0, Kind::Blob, look).map_err(|error| {
            let refusal = matches!(error, ReadError::Missing)
                .then(|| self.refusal())
                .flatten();
            refusal.unwrap_or_else(|| self.damaged(&blob.0, error.to_string()))
        })
    }

    /// Returns the directories that could be environments, sorted. These are the ones at the top
    /// whose names do not start with `_` or `.`. If one of them holds neither a config nor a tool
    /// directory, its subdirectories are returned instead, as far as they were fetched.
    pub fn environments(&self) -> Result<Vec<String>, Error> {
        let lister = self.lister();
        let mut all = Vec::new();
        for (name, id) in lister
            .directories(&Vec::new())
            .into_iter()
            .filter(|(name, _)| is_visible(name))
        {
            let dir = vec![(name.clone(), id)];
            let below = lister.directories(&dir);
            let is_environment = lister.has_file(&dir, file_name::CONFIG)
                || below
                    .iter()
                    .any(|(name, _)| TOOL_DIRECTORIES.contains(&name.as_str()));
            if is_environment || below.is_empty() {
                all.push(name);
            } else {
                all.extend(
                    below
                        .iter()
                        .filter(|(below, _)| is_visible(below))
                        .map(|(below, _)| format!("{name}/{below}")),
                );
            }
        }
        all.sort();
        Ok(all)
    }

    /// Returns the names of the directories at the commit's top, except invalid ones.
    pub fn directories(&self) -> Vec<String> {
        let all = self.lister().directories(&Vec::new());
        all.into_iter().map(|(name, _)| name).collect()
    }

    fn lister(&self) -> TreeLister<'_> {
        TreeLister::new(&self.0.store, self.0.root, self.0.budget, false)
    }

    fn error(&self, stop: ListError, dir: &TreePath) -> Error {
        let (repo, reference) = (self.0.repo.clone(), self.0.reference.clone());
        match stop {
            ListError::Tree(path, why) => Error::Tree {
                repo,
                reference,
                path,
                why,
                others: Vec::new(),
                further: 0,
            },
            ListError::Refused(refused) => Error::Tree {
                repo,
                reference,
                path: refused.first.path,
                why: refused.first.why,
                others: refused.others,
                further: refused.further,
            },
            ListError::Budget(over) => {
                let budget = self.0.budget;
                let (what, variable) = match over {
                    ExceededBudget::Files => (format!("{} files", budget.files), env::MAX_FILES),
                    ExceededBudget::FileSize => (
                        format!("{} bytes in one file", budget.file_size),
                        env::MAX_FILE_SIZE,
                    ),
                    ExceededBudget::TotalSize => {
                        (format!("{} bytes in all", budget.total_size), env::MAX_TOTAL_SIZE)
                    }
                };
                Error::Budget {
                    repo,
                    reference,
                    path: dir.to_string(),
                    what,
                    variable,
                }
            }
            ListError::Damaged(id, why) => self.damaged(&id, why),
        }
    }

    fn damaged(&self, id: &ObjectId, why: String) -> Error {
        Error::Damaged {
            repo: self.0.repo.clone(),
            id: id.to_string(),
            path: self.0.cache.clone(),
            why,
        }
    }

    fn absent(&self, missing: &Missing) -> Error {
        if let Some(refusal) = self.refusal() {
            return refusal;
        }
        let id = missing.all().next().unwrap_or(self.0.commit.0);
        self.damaged(&id, ReadError::Missing.to_string())
    }

    /// Returns why a wanted directory could not be listed, if one could not. Objects are then missing
    /// because the repo is refused, and not because the cache is damaged.
    fn refusal(&self) -> Option<Error> {
        let mut refused = self.0.refused.iter();
        refused.find_map(|root| {
            let stop = self.lister().list(root).err()?;
            Some(self.error(stop, &root.dir))
        })
    }
}

fn is_visible(name: &str) -> bool {
    !name.starts_with(['_', '.'])
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("repo", &self.0.repo)
            .field("reference", &self.0.reference)
            .field("commit", &self.0.commit)
            .finish_non_exhaustive()
    }
}
