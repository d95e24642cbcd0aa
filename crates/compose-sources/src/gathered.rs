//! All that sources contribute, with access to their bytes.

use std::sync::Arc;

use compose_git::{Snapshot, Tidying, Traces};
use compose_model::{Diagnostic, TreeFile};
use compose_plan::{
    layer::{Contents, ContentsError, Layers, SourceId},
    lock::Lock,
};

/// All that sources contribute, with access to their bytes.
pub struct Gathered {
    /// What they contribute.
    pub layers: Layers,
    /// What is wrong without being an error.
    pub warnings: Vec<Diagnostic>,
    /// By source.
    pub(crate) snapshots: Vec<Snapshot>,
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
        Lock::of(&self.layers.sources)
    }
}
