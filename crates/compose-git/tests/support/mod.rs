//! Catalogs in temporary directories, and a smart-HTTP server over `git http-backend` that counts
//! requests and can fail.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test binary uses its own part"
)]

pub mod catalog;
pub mod h2;
pub mod server;
pub mod socks;

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    future::Future,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use compose_git::{Git, Options, RetryPolicy, Root, Sleep, Snapshot, Stall, Want};
use compose_model::{CommitId, RepoUrl, TreeFile, TreePath};

pub use catalog::Catalog;

pub fn url(text: impl AsRef<str>) -> RepoUrl {
    RepoUrl::parse(text.as_ref()).unwrap()
}

pub fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

/// Returns an environment with only `PATH` of the machine and without git's system configuration.
pub fn environment(home: &Path) -> HashMap<OsString, OsString> {
    let mut environment = HashMap::new();
    environment.insert("PATH".into(), std::env::var_os("PATH").unwrap());
    environment.insert("HOME".into(), home.into());
    environment.insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
    environment
}

/// Puts a directory at the front of `PATH`.
pub fn prepend_path(options: &mut Options, dir: &Path) {
    let path = &options.environment[OsStr::new("PATH")];
    let path = std::env::split_paths(path);
    let path = std::env::join_paths([dir.to_owned()].into_iter().chain(path)).unwrap();
    options.environment.insert("PATH".into(), path);
}

/// Records the waits instead of waiting.
#[derive(Clone, Default)]
pub struct NoWait(pub Arc<Mutex<Vec<Duration>>>);

impl Sleep for NoWait {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.lock().unwrap().push(duration);
        Box::pin(std::future::ready(()))
    }
}

/// A home and a cache in a temporary directory, and runs that use them.
pub struct Lab {
    pub dir: tempfile::TempDir,
    pub waits: NoWait,
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self {
            dir,
            waits: NoWait::default(),
        }
    }

    pub fn home(&self) -> std::path::PathBuf {
        self.dir.path().join("home")
    }

    pub fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache")
    }

    pub fn options(&self) -> Options {
        let mut options = Options::new(self.cache());
        options.timeout = Duration::from_secs(60);
        options.environment = environment(&self.home());
        options.tuning.stall = Stall {
            window: Duration::from_secs(20),
            bytes: 1,
        };
        options.tuning.retry = RetryPolicy {
            sleep: Arc::new(self.waits.clone()),
            ..RetryPolicy::default()
        };
        options
    }

    pub fn git(&self) -> Git {
        Git::new(self.options()).unwrap()
    }

    pub fn catalog(&self, name: &str) -> Catalog {
        Catalog::new(&self.dir.path().join("srv").join(name))
    }
}

pub fn want(commit: &str, dirs: &[&str]) -> Want {
    Want {
        commit: id(commit),
        refname: None,
        roots: dirs.iter().map(|dir| Root::whole(path(dir))).collect(),
    }
}

/// Returns `path=content` of every file, sorted.
pub fn contents(snapshot: &Snapshot, dir: &str) -> Vec<String> {
    let files = snapshot.files(&Root::whole(path(dir))).unwrap();
    files
        .iter()
        .map(|file| format!("{}={}", file.path, read_text(snapshot, file)))
        .collect()
}

pub fn read_text(snapshot: &Snapshot, file: &TreeFile) -> String {
    String::from_utf8(snapshot.read(&file.blob).unwrap()).unwrap()
}
