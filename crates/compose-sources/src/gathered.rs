//! The gathered sources of an environment.

use std::sync::Arc;

use compose_git::{Snapshot, Tidying, Traces};
use compose_model::{Diagnostic, TreeFile};
use compose_plan::{
    layer::{Contents, ContentsError, Layers, SourceId},
    lock::Lock,
};

/// The gathered sources of an environment: their files, and access to the bytes.
pub struct Gathered {
    /// The sources and their files, in composition order.
    pub layers: Layers,
    /// The warnings, in composition order after those about the lock.
    pub warnings: Vec<Diagnostic>,
    /// The snapshot of each source, in the order of `layers.sources`.
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) traces: Traces,
    /// Keeps the task alive that brings the cache under its limit.
    pub(crate) tidying: Option<Tidying>,
}

impl Contents for Gathered {
    fn read(&self, source: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError> {
        self.with(source, file, |bytes| Arc::from(bytes))
    }
}

impl Gathered {
    /// Calls `look` with the bytes of a file, without copying them.
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

    /// Removes the run's temporary files. Later stages may wait for a reader of their output that never
    /// reads, and could not remove them when a signal ends the run. All bytes stay readable: they are in
    /// memory, or in packs that were mapped when the fetch was verified.
    #[must_use]
    pub fn without_files(self) -> Self {
        self.traces.remove();
        self
    }

    /// Ends the background work and removes temporary files, before this process execs another program.
    /// Everything else is leaked: exec releases memory, files and locks at once, which is faster than
    /// dropping them one by one.
    pub fn leave(mut self) {
        drop(self.tidying.take());
        self.traces.remove();
        std::mem::forget(self);
    }

    /// Returns the lock of these sources.
    pub fn lock(&self) -> Lock {
        Lock::of(&self.layers.sources)
    }
}
