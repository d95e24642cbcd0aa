//! The state that all repos of a run share: options, deadline, clients, and facts learned on the
//! way.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use compose_model::{RepoUrl, Stage};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    cache::{Cache, Pinned, PrivateDir},
    error::{Error, FailedAt},
    gitconfig::GitConfig,
    object_cache::ObjectCapacity,
    options::{Options, Stall},
    sync::lock_unpoisoned,
    wire::net::HttpClients,
};

/// The state that all repos of a run share.
pub(crate) struct Run {
    pub(crate) options: Options,
    deadline: Instant,
    pub(crate) net: HttpClients,
    pub(crate) jobs: Arc<Semaphore>,
    /// The capacity for objects that are kept in memory.
    pub(crate) object_capacity: Arc<ObjectCapacity>,
    config: OnceLock<GitConfig>,
    stall: OnceLock<Stall>,
    /// Hosts that refused to filter trees; the filter is not tried with their other repos.
    refusing_trees: Mutex<HashSet<String>>,
    /// What is reported once per run and has been.
    reported: Mutex<HashSet<String>>,
    /// The name of the credential with which a repo answered last, by [`RepoUrl::key`].
    accepted: Mutex<HashMap<String, Option<String>>>,
    /// The handle of the cache's directory, where its path cannot be trusted.
    pinned: OnceLock<Option<Arc<Pinned>>>,
    /// A private directory that replaces a cache directory that cannot be written. It is made once
    /// and removed with the run.
    pub(crate) private: OnceLock<Result<PrivateDir, (PathBuf, std::io::ErrorKind)>>,
    /// The entries of the cache that this run has opened.
    pub(crate) used: Mutex<BTreeSet<PathBuf>>,
    /// Whether anything was fetched into the cache since [`crate::Git::tidy`] last checked.
    pub(crate) fetched: AtomicBool,
}

impl Run {
    /// Returns whether this is the first time that a report is made, and records it.
    pub(crate) fn is_first(&self, report: String) -> bool {
        lock_unpoisoned(&self.reported).insert(report)
    }

    /// Records the name of the credential with which a repo answered; `None` for an answer without one.
    pub(crate) fn record_accepted(&self, repo: &RepoUrl, credential: Option<String>) {
        lock_unpoisoned(&self.accepted).insert(repo.key().to_owned(), credential);
    }

    /// Returns the name of the credential with which a repo answered.
    pub(crate) fn accepted(&self, repo: &RepoUrl) -> Option<String> {
        lock_unpoisoned(&self.accepted).get(repo.key()).cloned().flatten()
    }

    pub(crate) fn new(options: Options) -> Self {
        let now = Instant::now();
        let started = options.started.map_or(now, Instant::from_std);
        // A century stands for "no limit", and does not overflow.
        let deadline = started
            .checked_add(options.timeout)
            .unwrap_or(now + Duration::from_secs(3_000_000_000));
        let jobs = Arc::new(Semaphore::new(options.jobs.max(1)));
        Self {
            options,
            deadline,
            net: HttpClients::default(),
            jobs,
            object_capacity: Arc::default(),
            config: OnceLock::new(),
            stall: OnceLock::new(),
            refusing_trees: Mutex::default(),
            reported: Mutex::default(),
            accepted: Mutex::default(),
            pinned: OnceLock::new(),
            private: OnceLock::new(),
            used: Mutex::default(),
            fetched: AtomicBool::new(false),
        }
    }

    /// Returns the path by which this run reaches the cache's directory.
    pub(crate) fn cache_dir(&self) -> &Path {
        let named = &self.options.cache_dir;
        self.pinned().as_ref().map_or(named, |pinned| pinned.path())
    }

    fn pinned(&self) -> &Option<Arc<Pinned>> {
        self.pinned
            .get_or_init(|| Pinned::of(&self.options.cache_dir).map(Arc::new))
    }

    /// Returns the cache of this run.
    pub(crate) fn cache(&self) -> Cache {
        Cache::by(self.options.cache_dir.clone(), self.pinned().clone())
    }

    /// Records that this run used an entry of the cache.
    pub(crate) fn record_use(&self, entry: &Path) {
        lock_unpoisoned(&self.used).insert(entry.to_owned());
    }

    /// Records that this run has added to the cache.
    pub(crate) fn record_fetch(&self) {
        self.fetched.store(true, Ordering::Relaxed);
    }

    /// Records that the host of this repo refused to filter trees.
    pub(crate) fn record_tree_refusal(&self, repo: &RepoUrl) {
        lock_unpoisoned(&self.refusing_trees).insert(authority(repo));
    }

    /// Returns whether the host of this repo refused to filter trees.
    pub(crate) fn has_refused_trees(&self, repo: &RepoUrl) -> bool {
        lock_unpoisoned(&self.refusing_trees).contains(&authority(repo))
    }

    pub(crate) fn git_config(&self) -> &GitConfig {
        self.config.get_or_init(|| GitConfig::load(&self.options))
    }

    /// Returns the minimum rate: the one configured for git, or the default.
    pub(crate) fn stall(&self) -> Stall {
        *self.stall.get_or_init(|| {
            let ours = self.options.tuning.stall;
            let config = || self.git_config().low_speed();
            let number = |name: &str| self.options.utf8_variable(name)?.trim().parse::<u64>().ok();
            let seconds = number("GIT_HTTP_LOW_SPEED_TIME").or_else(|| config().0);
            let rate = number("GIT_HTTP_LOW_SPEED_LIMIT").or_else(|| config().1);
            // As in git, zero sets nothing. Unlike git, there is always a bound.
            let window = seconds
                .filter(|seconds| *seconds > 0)
                .map_or(ours.window, Duration::from_secs);
            let own_rate = ours.bytes as f64 / ours.window.as_secs_f64();
            let rate = rate.filter(|rate| *rate > 0).map_or(own_rate, |rate| rate as f64);
            Stall {
                window,
                bytes: (rate * window.as_secs_f64()) as u64,
            }
        })
    }

    /// Returns the time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Returns an error if the run is cancelled or out of time.
    pub(crate) fn check(&self, repo: &RepoUrl) -> Result<(), Error> {
        if self.options.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.left().is_zero() {
            return Err(Error::TimedOut {
                // The caller that knows the repo's stage fills it in.
                at: FailedAt {
                    repo: repo.clone(),
                    stage: Stage::Waiting,
                },
                timeout: self.options.timeout,
            });
        }
        Ok(())
    }

    /// Resolves with an error when the run is cancelled or out of time. The flag is polled: a
    /// signal handler raises it, and it has no waker.
    pub(crate) async fn interrupted(&self, repo: &RepoUrl) -> Error {
        loop {
            if let Err(error) = self.check(repo) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20).min(self.left())).await;
        }
    }
}

fn authority(repo: &RepoUrl) -> String {
    format!(
        "{}:{}",
        repo.host().unwrap_or_default(),
        repo.port().unwrap_or_default()
    )
}
