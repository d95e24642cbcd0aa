//! The options of a run of fetching.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use compose_model::{Cancel, RepoUrl, Reporter, report::Silent, settings::Budget};

use crate::retry::RetryPolicy;

/// Everything that fetching depends on. Nothing is read from the process's own state.
#[derive(Clone)]
pub struct Options {
    /// The directory of the object cache. It is created if missing; if it cannot be written, a
    /// private temporary directory is used instead.
    pub cache_dir: PathBuf,
    /// The bytes that the cache may hold after a run that fetched something; `None` for no limit.
    /// See [`crate::Git::tidy`].
    pub cache_limit: Option<u64>,
    /// Use only the cache and repos on this machine's disk.
    pub offline: bool,
    /// The time for all fetching together.
    pub timeout: Duration,
    /// When that time began; `None` for [`crate::Git::new`].
    pub started: Option<std::time::Instant>,
    /// The number of repos that are fetched at once.
    pub jobs: usize,
    /// The bounds for the files of one root.
    pub budget: Budget,
    /// The process's environment, copied. Tokens, proxies, CA files, `HOME` and `PATH` are read from here only.
    pub environment: HashMap<OsString, OsString>,
    /// Decides which addresses may be contacted. It is called after git's configuration has
    /// rewritten an address and at each redirect; the caller checks the address as the user wrote
    /// it.
    pub allow: Arc<dyn Fn(&RepoUrl) -> bool + Send + Sync>,
    /// The cancellation flag. Once it is raised, every call returns [`crate::Error::Cancelled`].
    pub cancel: Cancel,
    /// Receives the progress of each repo.
    pub reporter: Arc<dyn Reporter>,
    /// Bounds that users do not set.
    pub tuning: Tuning,
}

/// Bounds that only tests change.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The bound for the TCP and TLS handshakes, and for ssh's own.
    pub connect_timeout: Duration,
    /// The least data that must arrive while an answer is awaited.
    pub stall: Stall,
    /// When and how often a failed step is retried.
    pub retry: RetryPolicy,
    /// How long to wait for another process's fetch into the same cache entry before fetching as
    /// well.
    pub lock_wait: Duration,
    /// The bytes of one ref advertisement. A million refs take about 70 MB; no catalog has a tenth
    /// of that.
    pub max_advertisement: u64,
    /// The bytes of one pack.
    pub max_pack: u64,
    /// The objects of one pack. gix reserves some 50 bytes for each announced object before the
    /// first one arrives.
    pub max_objects: u32,
    /// The packs of one repo in the cache above which superseded ones are dropped.
    pub most_packs: usize,
}

/// A minimum rate. Receiving fewer than `bytes` within `window` while waiting for data is a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The time in which the bytes must arrive.
    pub window: Duration,
    /// The bytes that must arrive.
    pub bytes: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // 1 KB/s over 30 s: slower than any usable line, and longer than a server takes to
            // count objects.
            stall: Stall {
                window: Duration::from_secs(30),
                bytes: 30 << 10,
            },
            retry: RetryPolicy::default(),
            lock_wait: Duration::from_secs(60),
            max_advertisement: 16 << 20,
            max_pack: 4 << 30,
            max_objects: 1_500_000,
            // Each pack costs some microseconds to look into; a new version brings one or two.
            most_packs: 64,
        }
    }
}

impl Options {
    /// Returns the product's defaults with an empty environment.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_limit: Some(compose_model::settings::DEFAULT_CACHE_LIMIT),
            offline: false,
            timeout: Duration::from_secs(300),
            started: None,
            jobs: 16,
            budget: Budget::default(),
            environment: HashMap::new(),
            allow: Arc::new(|_| true),
            cancel: Cancel::new(),
            reporter: Arc::new(Silent),
            tuning: Tuning::default(),
        }
    }

    /// Returns the most bytes that one object may take in memory, which gix uses as the bound of
    /// every allocation: a file's budget, or what the trees of any real repo need.
    pub(crate) fn largest_object(&self) -> u64 {
        self.budget.file_size.max(16 << 20)
    }

    /// Returns an environment variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns an environment variable that is set, not empty and UTF-8.
    pub(crate) fn utf8_variable(&self, name: &str) -> Option<&str> {
        self.variable(name)?.to_str()
    }
}

impl fmt::Debug for Options {
    /// Omits the environment, which holds tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("cache_dir", &self.cache_dir)
            .field("cache_limit", &self.cache_limit)
            .field("offline", &self.offline)
            .field("timeout", &self.timeout)
            .field("jobs", &self.jobs)
            .field("budget", &self.budget)
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}
