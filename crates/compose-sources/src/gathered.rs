//! All that sources contribute, with access to their bytes.

use std::sync::Arc;

use compose_git::{Snapshot, Tidying, Traces};
use compose_model::{Diagnostic, TreeFile};
use compose_plan::{
    layer::{Contents, ContentsError, Layers, SourceId},
    lock::{Lock, Locked, LockedRef, Via},
    resolve::Resolved,
};

use crate::verify::Verified;

/// All that sources contribute, with access to their bytes.
pub struct Gathered {
    /// What they contribute.
    pub layers: Layers,
    /// By source: does the lock answer its request?
    pub locked: Vec<bool>,
    /// What is wrong without being an error.
    pub warnings: Vec<Diagnostic>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) resolved: Vec<(Resolved, Option<Verified>)>,
    pub(crate) traces: Traces,
    /// The cache is brought under its limit while the rest is done.
    pub(crate) tidying: Option<Tidying>,
}

impl Contents for Gathered {
    fn read(&self, source: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError> {
        self.with(source, file, |bytes| Arc::from(bytes))
    }
}

impl Gathered {
    /// Lends the bytes of a file to `look`, without a copy.
    pub fn with<T>(
        &self,
        source: SourceId,
        file: &TreeFile,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ContentsError> {
        self.snapshots[source.0].with(&file.blob, look).map_err(|error| {
            let repo = &self.layers.sources[source.0].repo;
            ContentsError::new(format!("{} in {repo}", file.repo_path), error)
        })
    }

    /// Ends what must not outlast this process, which becomes another program: that takes back memory, open files and locks at
    /// once, much faster than they are given back one by one.
    pub fn leave(mut self) {
        drop(self.tidying.take());
        self.traces.remove();
        std::mem::forget(self);
    }

    /// What to lock of it.
    pub fn lock(&self) -> Lock {
        let via = |id: &SourceId| Via {
            repo: self.layers.sources[id.0].repo.clone(),
            environment: self.layers.sources[id.0].environment.clone(),
        };
        let sources = self.layers.sources.iter().zip(&self.resolved);
        let locked = sources.map(|(source, (resolved, verified))| Locked {
            repo: source.repo.clone(),
            environment: source.environment.clone(),
            requested: source.requested.clone(),
            resolved: LockedRef::of(resolved),
            commit: source.commit,
            tree: source.tree,
            via: source.via.iter().map(via).collect(),
            signer: verified.as_ref().map(|verified| verified.signer.clone()),
            tag_object: verified.as_ref().and_then(|verified| verified.tag),
        });
        Lock {
            sources: locked.collect(),
        }
    }
}
