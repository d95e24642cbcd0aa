//! One commit, as much of it as was fetched.

use std::{path::PathBuf, sync::Arc};

use compose_model::{
    BlobId, CommitId, LeftOut, ObjectId, RepoUrl, TreeFile, TreeId, TreePath, env, file_name,
    settings::Budget,
};
use gix::objs::Kind;

use crate::{
    error::Error,
    list_tree::{Missing, Over, Stop, Target, TreeLister},
    store::{ReadError, Store},
    want::Root,
};

/// A commit's trees and files. Holds the wanted directories; asking for others is an error.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    repo: RepoUrl,
    /// The ref it was wanted for, escaped, or the commit's id.
    reference: String,
    commit: CommitId,
    root: ObjectId,
    budget: Budget,
    store: Store,
    cache: PathBuf,
    /// What was found when it was verified.
    listed: Vec<Listed>,
    /// Keeps the cache entry (or the private directory) while it is read.
    _keep: Arc<dyn Send + Sync>,
}

/// A directory, with its files and those that its filter leaves out, sorted by path.
pub(crate) struct Listed {
    pub(crate) root: Root,
    pub(crate) files: Arc<[TreeFile]>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// What a tree at the top of an environment is called, in BitOps.
const TOOLS: [&str; 4] = ["terraform", "ansible", "helm", "cloudformation"];

impl Snapshot {
    pub(crate) fn new(
        repo: RepoUrl,
        reference: String,
        (commit, root): (CommitId, ObjectId),
        budget: Budget,
        (store, cache, keep): (Store, PathBuf, Arc<dyn Send + Sync>),
        listed: Vec<Listed>,
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
            _keep: keep,
        }))
    }

    /// The commit's id.
    pub fn commit(&self) -> CommitId {
        self.0.commit
    }

    /// The commit's raw content (without the `commit <size>\0` that it is hashed with), verified against its id.
    pub fn raw_commit(&self) -> Result<Vec<u8>, Error> {
        let id = &self.0.commit.0;
        let read = self.0.store.read(id, Kind::Commit);
        read.map_err(|error| self.damaged(id, error.to_string()))
    }

    /// The tree of a directory, links followed; `None`: there is no such directory.
    pub fn tree(&self, dir: &TreePath) -> Result<Option<TreeId>, Error> {
        let mut missing = Missing::default();
        match self
            .lister()
            .find(&Root::whole(dir.clone()), &mut missing)
            .map_err(|stop| self.error(stop, dir))?
        {
            Target::Tree(found) => Ok(Some(TreeId(found.last().map_or(self.0.root, |(_, id)| *id)))),
            Target::Unknown => Err(self.absent(&missing)),
            Target::Blob { .. } | Target::Nothing => Ok(None),
        }
    }

    /// The files of a root, sorted by path. Nothing when there is no such directory. A root that was wanted, with the same filter,
    /// was listed when it was verified; another one is listed now.
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

    /// The files that the filter of a wanted root leaves out, sorted by path, each with the key that says so.
    pub fn left_out(&self, root: &Root) -> &[LeftOut] {
        self.listed(root).map_or(&[], |listed| &listed.left_out)
    }

    fn listed(&self, root: &Root) -> Option<&Listed> {
        self.0.listed.iter().find(|listed| listed.root == *root)
    }

    /// The names of the directories at the commit's top. Odd ones are left out.
    pub fn top_directories(&self) -> Vec<String> {
        let all = self.lister().directories(&Vec::new());
        all.into_iter().map(|(name, _)| name).collect()
    }

    /// The bytes of one file of the commit, links followed; `None`: there is no such file.
    pub fn file(&self, path: &TreePath) -> Result<Option<Vec<u8>>, Error> {
        let mut missing = Missing::default();
        let found = self
            .lister()
            .find_any(path, &mut missing)
            .map_err(|stop| self.error(stop, path))?;
        match found {
            Target::Blob { blob, .. } => self.read(&BlobId(blob)).map(Some),
            Target::Unknown => Err(self.absent(&missing)),
            Target::Tree(_) | Target::Nothing => Ok(None),
        }
    }

    /// A file's bytes, verified against its id.
    pub fn read(&self, blob: &BlobId) -> Result<Vec<u8>, Error> {
        self.with(blob, <[u8]>::to_vec)
    }

    /// Lends a file's bytes, verified against its id, to `look`.
    pub fn with<T>(&self, blob: &BlobId, look: impl FnOnce(&[u8]) -> T) -> Result<T, Error> {
        self.0
            .store
            .with(&blob.0, Kind::Blob, look)
            .map_err(|error| self.damaged(&blob.0, error.to_string()))
    }

    /// Directories that could be environments, sorted: those at the top that do not start with `_` or `.`, and of
    /// those that hold neither a config nor a tool's directory, the ones below, as far as they were fetched.
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
                || below.iter().any(|(name, _)| TOOLS.contains(&name.as_str()));
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

    /// The names of the directories at the commit's top, sorted.
    pub fn directories(&self) -> Vec<String> {
        let all = self.lister().directories(&Vec::new());
        all.into_iter().map(|(name, _)| name).collect()
    }

    fn lister(&self) -> TreeLister<'_> {
        TreeLister::new(&self.0.store, self.0.root, self.0.budget, false)
    }

    fn error(&self, stop: Stop, dir: &TreePath) -> Error {
        let (repo, reference) = (self.0.repo.clone(), self.0.reference.clone());
        match stop {
            Stop::Tree(path, why) => Error::Tree {
                repo,
                reference,
                path,
                why,
            },
            Stop::Budget(over) => {
                let budget = self.0.budget;
                let (what, variable) = match over {
                    Over::Files => (format!("{} files", budget.files), env::MAX_FILES),
                    Over::FileSize => (
                        format!("{} bytes in one file", budget.file_size),
                        env::MAX_FILE_SIZE,
                    ),
                    Over::TotalSize => (format!("{} bytes in all", budget.total_size), env::MAX_TOTAL_SIZE),
                };
                Error::Budget {
                    repo,
                    reference,
                    path: dir.to_string(),
                    what,
                    variable,
                }
            }
            Stop::Damaged(id, why) => self.damaged(&id, why),
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
        let id = missing.all().next().unwrap_or(self.0.commit.0);
        self.damaged(&id, ReadError::Missing.to_string())
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
