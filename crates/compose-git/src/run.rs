//! What all repos of a run share: options, clock, clients, and what the run learns on its way.

use std::{
    collections::{BTreeSet, HashSet},
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
    error::{At, Error},
    gitconfig::GitConfig,
    object_cache::Room,
    options::{Options, Stall},
    sync::lock_unpoisoned,
    wire::net::Net,
};

/// What all repos of a run share.
pub(crate) struct Run {
    pub(crate) options: Options,
    deadline: Instant,
    pub(crate) net: Net,
    pub(crate) jobs: Arc<Semaphore>,
    /// For objects that are kept in memory.
    pub(crate) room: Arc<Room>,
    config: OnceLock<GitConfig>,
    stall: OnceLock<Stall>,
    /// Hosts that refused to filter trees: their other repos need not be asked.
    refusing_trees: Mutex<HashSet<String>>,
    /// Repos that were told to be redirected.
    redirected: Mutex<HashSet<String>>,
    /// Takes the place of a cache directory that cannot be written; made once, removed with the run.
    pub(crate) private: OnceLock<Result<tempfile::TempDir, (PathBuf, std::io::ErrorKind)>>,
    /// Entries of the cache that this run has opened.
    pub(crate) used: Mutex<BTreeSet<PathBuf>>,
    /// Was anything fetched into the cache since that was last asked?
    pub(crate) fetched: AtomicBool,
}

impl Run {
    /// Is this the first time that a redirect of the repo is told?
    pub(crate) fn is_first_redirect_of(&self, repo: &str) -> bool {
        lock_unpoisoned(&self.redirected).insert(repo.to_owned())
    }

    pub(crate) fn new(options: Options) -> Self {
        let now = Instant::now();
        // A century is as good as forever, and fits.
        let deadline = now
            .checked_add(options.timeout)
            .unwrap_or(now + Duration::from_secs(3_000_000_000));
        let jobs = Arc::new(Semaphore::new(options.jobs.max(1)));
        Self {
            options,
            deadline,
            net: Net::default(),
            jobs,
            room: Arc::default(),
            config: OnceLock::new(),
            stall: OnceLock::new(),
            refusing_trees: Mutex::default(),
            redirected: Mutex::default(),
            private: OnceLock::new(),
            used: Mutex::default(),
            fetched: AtomicBool::new(false),
        }
    }

    /// This run reads an entry of the cache.
    pub(crate) fn uses(&self, entry: &Path) {
        lock_unpoisoned(&self.used).insert(entry.to_owned());
    }

    /// The cache has grown.
    pub(crate) fn has_fetched(&self) {
        self.fetched.store(true, Ordering::Relaxed);
    }

    /// The host of this repo refused to filter trees.
    pub(crate) fn refuses_trees(&self, repo: &RepoUrl) {
        lock_unpoisoned(&self.refusing_trees).insert(authority(repo));
    }

    /// Did it?
    pub(crate) fn is_refusing_trees(&self, repo: &RepoUrl) -> bool {
        lock_unpoisoned(&self.refusing_trees).contains(&authority(repo))
    }

    pub(crate) fn git_config(&self) -> &GitConfig {
        self.config.get_or_init(|| GitConfig::load(&self.options))
    }

    /// The least rate: what the user told git to give up at, else ours.
    pub(crate) fn stall(&self) -> Stall {
        *self.stall.get_or_init(|| {
            let ours = self.options.tuning.stall;
            let config = || self.git_config().low_speed();
            let number = |name: &str| self.options.utf8_variable(name)?.trim().parse::<u64>().ok();
            let seconds = number("GIT_HTTP_LOW_SPEED_TIME").or_else(|| config().0);
            let rate = number("GIT_HTTP_LOW_SPEED_LIMIT").or_else(|| config().1);
            // As for git, a zero sets nothing; unlike git, we are never without a bound.
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

    /// Time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// `Err` once the run is cancelled or out of time.
    pub(crate) fn check(&self, repo: &RepoUrl) -> Result<(), Error> {
        if self.options.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.left().is_zero() {
            return Err(Error::TimedOut {
                // Who knows how far the repo came puts that in.
                at: At {
                    repo: repo.clone(),
                    stage: Stage::Waiting,
                },
                timeout: self.options.timeout,
            });
        }
        Ok(())
    }

    /// Resolves when the run is cancelled or out of time. The flag has no waker (a signal handler raises it), so it is polled.
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
