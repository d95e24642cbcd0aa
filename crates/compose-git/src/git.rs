//! A run of fetching: what its repos share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use compose_model::RepoUrl;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    cache::{Cache, Tidying},
    error::{At, Error},
    gitconfig::GitConfig,
    kept::Room,
    options::{Options, Stall},
    repo::Repo,
    wire::{lock, net::Net},
};

/// The door to git. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Git(Arc<Inner>);

struct Inner {
    run: Arc<Run>,
    repos: Mutex<HashMap<String, Arc<Repo>>>,
}

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
    /// Takes the place of a cache directory that cannot be written; made once, removed with the run.
    pub(crate) private: OnceLock<Result<tempfile::TempDir, (PathBuf, std::io::ErrorKind)>>,
    /// Entries of the cache that this run has opened.
    used: Mutex<BTreeSet<PathBuf>>,
    /// Was anything fetched into the cache since that was last asked?
    fetched: AtomicBool,
}

impl Run {
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
            private: OnceLock::new(),
            used: Mutex::default(),
            fetched: AtomicBool::new(false),
        }
    }

    /// This run reads an entry of the cache.
    pub(crate) fn uses(&self, entry: &Path) {
        lock(&self.used).insert(entry.to_owned());
    }

    /// The cache has grown.
    pub(crate) fn has_fetched(&self) {
        self.fetched.store(true, Ordering::Relaxed);
    }

    /// The host of this repo refused to filter trees.
    pub(crate) fn refuses_trees(&self, repo: &RepoUrl) {
        lock(&self.refusing_trees).insert(authority(repo));
    }

    /// Did it?
    pub(crate) fn is_refusing_trees(&self, repo: &RepoUrl) -> bool {
        lock(&self.refusing_trees).contains(&authority(repo))
    }

    pub(crate) fn git_config(&self) -> &GitConfig {
        self.config.get_or_init(|| GitConfig::load(&self.options))
    }

    /// The least rate: what the user told git to give up at, else ours.
    pub(crate) fn stall(&self) -> Stall {
        *self.stall.get_or_init(|| {
            let ours = self.options.tuning.stall;
            let config = || self.git_config().low_speed();
            let number = |name: &str| self.options.text(name)?.trim().parse::<u64>().ok();
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
                    stage: "waiting",
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

impl Git {
    /// Starts the clock of [`Options::timeout`]. Touches neither disk nor network.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            run: Arc::new(Run::new(options)),
            repos: Mutex::default(),
        })))
    }

    /// The repo at an address; the same one for every spelling of it, so that whatever is asked of it in this run is asked once.
    pub fn repo(&self, url: &RepoUrl) -> Arc<Repo> {
        let mut repos = lock(&self.0.repos);
        let repo = repos
            .entry(url.key().to_owned())
            .or_insert_with(|| Arc::new(Repo::new(Arc::clone(&self.0.run), url.clone())));
        Arc::clone(repo)
    }

    /// Brings the cache under [`Options::cache_limit`], where it has grown since this was last asked: a run that needed nothing new
    /// does not look. What this run used stays. `None`: there is nothing to do.
    pub fn tidy(&self) -> Option<Tidying> {
        let run = &self.0.run;
        let limit = run.options.cache_limit.filter(|_| !run.options.offline)?;
        if !run.fetched.swap(false, Ordering::Relaxed) {
            return None;
        }
        let used = lock(&run.used).clone();
        Tidying::start(Cache::at(&run.options.cache_dir), limit, used)
    }

    /// What of this run must not outlast it.
    pub fn traces(&self) -> Traces {
        Traces(Arc::clone(&self.0.run))
    }

    /// Did this run need HTTP? A warm one with known commits does not, and then no client was ever made.
    pub fn used_http(&self) -> bool {
        self.0.run.net.is_used()
    }
}

/// What a run has on the disk that goes with it. Dropping the snapshots of the run removes it; a process that becomes another
/// program drops nothing.
pub struct Traces(Arc<Run>);

impl Traces {
    /// Removes it. Nothing of the run is read any more.
    pub fn remove(&self) {
        if let Some(Ok(private)) = self.0.private.get() {
            // A failure is as silent as that of dropping it.
            _ = std::fs::remove_dir_all(private.path());
        }
    }
}
