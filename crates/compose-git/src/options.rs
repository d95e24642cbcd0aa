//! What a run of fetching is told.

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

/// Everything that fetching depends on. Nothing is read from the process itself.
#[derive(Clone)]
pub struct Options {
    /// The object cache. Created when missing; when it cannot be written, a private temporary directory takes its place.
    pub cache_dir: PathBuf,
    /// Bytes that the cache may take after a run that fetched something; `None`: any number. See [`crate::Git::tidy`].
    pub cache_limit: Option<u64>,
    /// No network: only the cache, and repos on this machine's disk.
    pub offline: bool,
    /// For all fetching together, from [`crate::Git::new`] on.
    pub timeout: Duration,
    /// Repos at once.
    pub jobs: usize,
    /// What one root may hold.
    pub budget: Budget,
    /// The process's environment, copied. Tokens, proxies, CA files, `HOME` and `PATH` are read from here only.
    pub environment: HashMap<OsString, OsString>,
    /// Which addresses may be contacted. Asked after git's configuration has rewritten an address and at each redirect; the address as it was
    /// written is the caller's to ask about.
    pub allow: Arc<dyn Fn(&RepoUrl) -> bool + Send + Sync>,
    /// Raised: every call ends with [`crate::Error::Cancelled`].
    pub cancel: Cancel,
    /// Told what goes on.
    pub reporter: Arc<dyn Reporter>,
    /// Bounds that users do not set.
    pub tuning: Tuning,
}

/// Bounds that users do not set; tests do.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// For the TCP and TLS handshake, and ssh's own.
    pub connect_timeout: Duration,
    /// The least that must arrive while something is waited for.
    pub stall: Stall,
    /// When and how often a failed step is tried again.
    pub retry: RetryPolicy,
    /// How long another process's fetch into the same cache entry is waited for, before this one fetches too.
    pub lock_wait: Duration,
    /// Bytes of one ref advertisement. A million refs take about 70 MB; no catalog has a tenth of that.
    pub max_advertisement: u64,
    /// Bytes of one pack.
    pub max_pack: u64,
    /// Objects of one pack. gix sets aside some 50 bytes for each announced object before the first one arrives.
    pub max_objects: u32,
    /// Packs of one repo in the cache, before those that newer ones supersede are dropped.
    pub most_packs: usize,
}

/// A minimum rate: fewer than `bytes` within `window`, while they are waited for, is a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long is counted.
    pub window: Duration,
    /// What must arrive in it.
    pub bytes: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // 1 KB/s over 30 s: slower than any line worth waiting for, longer than a server takes to count objects.
            stall: Stall {
                window: Duration::from_secs(30),
                bytes: 30 << 10,
            },
            retry: RetryPolicy::default(),
            lock_wait: Duration::from_secs(60),
            max_advertisement: 16 << 20,
            max_pack: 4 << 30,
            max_objects: 1_500_000,
            // Each costs some microseconds to look into; a version brings one or two.
            most_packs: 64,
        }
    }
}

impl Options {
    /// The product's defaults, with an empty environment.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_limit: Some(compose_model::settings::DEFAULT_CACHE_LIMIT),
            offline: false,
            timeout: Duration::from_secs(300),
            jobs: 16,
            budget: Budget::default(),
            environment: HashMap::new(),
            allow: Arc::new(|_| true),
            cancel: Cancel::new(),
            reporter: Arc::new(Silent),
            tuning: Tuning::default(),
        }
    }

    /// The most that one object may take in memory, which gix takes as the bound of every allocation: a file's
    /// budget, or what the trees of any real repo need.
    pub(crate) fn largest_object(&self) -> u64 {
        self.budget.file_size.max(16 << 20)
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The same as text.
    pub(crate) fn utf8_variable(&self, name: &str) -> Option<&str> {
        self.variable(name)?.to_str()
    }
}

impl fmt::Debug for Options {
    /// Without the environment: it holds tokens.
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
