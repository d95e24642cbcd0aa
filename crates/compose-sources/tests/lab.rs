//! Catalogs behind a server, an operations repo, and helpers that gather sources.

use std::{collections::HashMap, ffi::OsString, path::PathBuf};

use compose_git::Options;
use compose_model::{Diagnostic, ExitCode, Failure, Nesting, SourceSpec, TreePath};
use compose_plan::{config, layer::Layer, resolve::Allow};
use compose_sources::{Gathered, Gatherer, LockFile, Pins, Verifier};
use compose_testkit::{Catalog, GitServer, Repo, git::ISOLATION};

/// A directory with catalogs, a cache and an operations repo, and the server of the catalogs.
pub(crate) struct Lab {
    pub(crate) server: GitServer,
    pub(crate) dir: tempfile::TempDir,
    /// A file of trusted keys for all sources.
    pub(crate) keys_for_all: Option<PathBuf>,
    /// Globs of the repos that may be contacted. If it is empty, all may.
    pub(crate) allow: Vec<String>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["catalogs", "home", "ops/dev"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Self {
            server: GitServer::start(&dir.path().join("catalogs")),
            dir,
            keys_for_all: None,
            allow: Vec::new(),
        }
    }

    pub(crate) fn build(&self, catalog: &mut Catalog) -> Repo {
        catalog.build(&self.dir.path().join("catalogs"))
    }

    /// Returns a config with one source for each row of flow YAML, whose `repo` is the name of a catalog.
    pub(crate) fn config(&self, sources: &[&str]) -> String {
        let address = self.server.address();
        let entries = sources
            .iter()
            .map(|source| format!("- {{repo: {address}/{source}}}\n"));
        format!("default-environments:\n{}", entries.collect::<String>())
    }

    pub(crate) fn specs(&self, sources: &[&str]) -> Vec<SourceSpec> {
        let file = "dev/bitops.config.yaml".into();
        config::parse(&file, &self.config(sources).into(), Nesting::Root).unwrap()
    }

    /// Returns the gatherer of a new run. All runs share the cache.
    pub(crate) fn gatherer(&self) -> Gatherer {
        let mut options = Options::new(self.dir.path().join("cache"));
        options.environment = self.environment();
        let verifier = Verifier::new(&self.ops_repo(), self.keys_for_all.as_deref());
        Gatherer::new(options, Allow::new(&self.allow), verifier).unwrap()
    }

    fn environment(&self) -> HashMap<OsString, OsString> {
        let isolation = ISOLATION.map(|(name, value)| (name.into(), value.into()));
        let path = std::env::var_os("PATH").map(|path| ("PATH".into(), path));
        let home = ("HOME".into(), self.dir.path().join("home").into());
        isolation.into_iter().chain(path).chain([home]).collect()
    }

    pub(crate) fn ops_repo(&self) -> PathBuf {
        self.dir.path().join("ops")
    }

    pub(crate) fn lock_file(&self) -> LockFile {
        LockFile::of(&self.ops_repo(), &TreePath::new("dev").unwrap())
    }

    pub(crate) async fn gather(&self, sources: &[&str], pins: &Pins) -> Result<Gathered, Failure> {
        self.gatherer().gather(self.specs(sources), pins).await
    }

    /// Gathers sources, which must fail. Returns the code and message of each error.
    pub(crate) async fn refused(&self, sources: &[&str], pins: &Pins) -> Vec<(ExitCode, String)> {
        let failure = self
            .gather(sources, pins)
            .await
            .err()
            .expect("the sources are refused");
        failure
            .diagnostics()
            .iter()
            .map(|problem| self.code_and_message(problem))
            .collect()
    }

    /// Returns the code and the message, with a name in place of the server's address.
    pub(crate) fn code_and_message(&self, problem: &Diagnostic) -> (ExitCode, String) {
        (
            problem.code,
            problem.message.replace(&self.server.address(), "http://server"),
        )
    }

    /// Returns the number of requests to a catalog.
    pub(crate) fn requests(&self, catalog: &str) -> u64 {
        self.server.stats(catalog).requests()
    }
}

/// Returns `environment @ resolved` of each source, lowest first.
pub(crate) fn sources(gathered: &Gathered) -> Vec<String> {
    let sources = gathered.layers.sources.iter();
    sources
        .map(|source| format!("{} @ {}", source.environment, source.resolved.name))
        .collect()
}

/// Returns `layer's source: path` of each file, lowest first.
pub(crate) fn files(gathered: &Gathered) -> Vec<String> {
    let of = |layer: &Layer| {
        let source = &gathered.layers.sources[layer.source.0].environment;
        let files = layer.files.iter();
        files
            .map(|file| format!("{source}: {}", file.path))
            .collect::<Vec<_>>()
    };
    gathered.layers.layers.iter().flat_map(of).collect()
}

/// Returns `layer's source: path (key)` of each file that is left out.
pub(crate) fn left_out(gathered: &Gathered) -> Vec<String> {
    let of = |layer: &Layer| {
        let source = &gathered.layers.sources[layer.source.0].environment;
        let files = layer.left_out.iter();
        files
            .map(|file| format!("{source}: {} ({})", file.path, file.by.as_str()))
            .collect::<Vec<_>>()
    };
    gathered.layers.layers.iter().flat_map(of).collect()
}
