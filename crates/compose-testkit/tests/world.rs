//! A catalog behind a server.

use compose_testkit::{Catalog, GitServer, Repo};

/// A server with one catalog, `kubernetes`.
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) repo: Repo,
    pub(crate) server: GitServer,
}

impl World {
    /// Builds the catalog and starts a server for it.
    pub(crate) fn start(catalog: &mut Catalog) -> Self {
        let root = tempfile::tempdir().unwrap();
        let repo = catalog.build(root.path());
        let server = GitServer::start(root.path());
        Self { root, repo, server }
    }
}
