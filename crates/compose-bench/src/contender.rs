//! The contenders, and one run of each.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use compose_testkit::{Context, GitServer, git};

use crate::bare::Script;
use crate::measure::{self, Sample};
use crate::world::{self, Source};

/// The number of clones that run at once: as many as the repos that this program fetches at once by
/// default.
const AT_ONCE: usize = 16;

/// A run that takes longer is a failure of the benchmark.
const LIMIT: Duration = Duration::from_secs(300);

const LOCK: &str = "dev/bitops.lock.yaml";

/// A way to fetch the environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// This program with an empty cache.
    Cold,
    /// The program with an empty cache and a lock, made by `bitops-compose lock`.
    ColdLocked,
    /// This program with a cache that holds everything.
    Warm,
    /// The program with a full cache and a lock.
    WarmLocked,
    /// The requests of [`Contender::Cold`], sent by a client that does nothing else.
    ColdBare,
    /// The requests of [`Contender::Warm`], sent by such a client.
    WarmBare,
    /// The program with a full cache, using the refs in the cache instead of a server.
    Offline,
    /// The program offline and with a lock, so that nothing has to be resolved.
    OfflineLocked,
    /// `git clone --depth 1 -b TAG`, one source after the other.
    CloneLoop,
    /// The same clones, 16 at once, with `--filter=blob:none --sparse` and `sparse-checkout set
    /// ENVIRONMENT`.
    CloneParallel,
    /// `git init`, `git fetch origin TAG` and `git checkout` for each source, one after the other.
    Vendir,
}

impl Contender {
    /// The contenders of the races against alternatives.
    pub(crate) const ALL: [Self; 9] = [
        Self::Cold,
        Self::ColdLocked,
        Self::Warm,
        Self::WarmLocked,
        Self::ColdBare,
        Self::WarmBare,
        Self::CloneLoop,
        Self::CloneParallel,
        Self::Vendir,
    ];

    /// The contenders that show the cost of resolving.
    pub(crate) const RESOLVING: [Self; 6] = [
        Self::Cold,
        Self::Warm,
        Self::ColdBare,
        Self::WarmBare,
        Self::Offline,
        Self::OfflineLocked,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "bitops-compose, cold",
            Self::ColdLocked => "bitops-compose, cold, locked",
            Self::Warm => "bitops-compose, warm",
            Self::WarmLocked => "bitops-compose, warm, locked",
            Self::ColdBare => "cold, the requests alone by a bare client",
            Self::WarmBare => "warm, the requests alone by a bare client",
            Self::Offline => "bitops-compose, offline",
            Self::OfflineLocked => "bitops-compose, offline, locked",
            Self::CloneLoop => "git clone --depth 1 -b, in a loop",
            Self::CloneParallel => "the same in parallel, blobless, sparse",
            Self::Vendir => "as vendir: init, fetch, checkout, in a loop",
        }
    }

    /// Returns whether this is one of the loops over git, which are slow with many sources.
    pub(crate) fn is_loop(self) -> bool {
        matches!(self, Self::CloneLoop | Self::Vendir)
    }

    fn is_locked(self) -> bool {
        matches!(self, Self::ColdLocked | Self::WarmLocked | Self::OfflineLocked)
    }

    fn is_offline(self) -> bool {
        matches!(self, Self::Offline | Self::OfflineLocked)
    }

    fn is_warm(self) -> bool {
        matches!(self, Self::Warm | Self::WarmLocked) || self.is_offline()
    }

    /// Returns whether this is a run of this program.
    fn is_ours(self) -> bool {
        self.is_warm() || matches!(self, Self::Cold | Self::ColdLocked)
    }
}

/// The setting of a race: one server and the sources to fetch from it.
#[derive(Debug)]
pub(crate) struct Race<'a> {
    program: &'a Path,
    server: &'a GitServer,
    sources: &'a [Source],
    /// A cache that holds all sources.
    warm: tempfile::TempDir,
    /// The lock that `bitops-compose lock` wrote for them.
    lock: String,
    /// The requests of a run, repo by repo.
    cold_requests: Vec<Script>,
    warm_requests: Vec<Script>,
}

impl<'a> Race<'a> {
    /// Prepares a race: creates a lock, fills a cache for the warm runs, and records the requests
    /// of a run.
    pub(crate) fn new(program: &'a Path, server: &'a GitServer, sources: &'a [Source]) -> Self {
        let mut race = Self {
            program,
            server,
            sources,
            warm: world::scratch(),
            lock: String::new(),
            cold_requests: Vec::new(),
            warm_requests: Vec::new(),
        };
        let locking = race.context(Contender::Warm);
        locking.run(["lock"]).expect_code(0);
        race.lock = std::fs::read_to_string(locking.ops_repo().join(LOCK))
            .unwrap_or_else(|error| panic!("no lock was written: {error}"));
        race.context(Contender::Warm).run(["deploy"]).expect_code(0);
        race.cold_requests = race.recorded(Contender::Cold);
        race.warm_requests = race.recorded(Contender::Warm);
        race
    }

    fn recorded(&self, contender: Contender) -> Vec<Script> {
        self.server.clear_requests();
        self.context(contender).run(["deploy"]).expect_code(0);
        Script::of_all_repos(self.server)
    }

    /// Sends the requests of all repos at once.
    fn play(&self, scripts: &[Script]) -> Sample {
        let started = Instant::now();
        run_in_parallel(scripts, |script, _| script.play());
        Sample::with_traffic(started.elapsed(), self.server)
    }

    /// Runs a contender once and measures from the start of its first process to the end of its
    /// last.
    ///
    /// # Panics
    ///
    /// If the run fails or does not fetch the environments.
    pub(crate) fn run(&self, contender: Contender) -> Sample {
        let scratch = world::scratch();
        self.server.clear_requests();
        let duration = match contender {
            Contender::CloneLoop => {
                let started = Instant::now();
                for (source, number) in self.sources.iter().zip(0..) {
                    clone(source, scratch.path(), number, &[]);
                }
                started.elapsed()
            }
            Contender::CloneParallel => {
                let started = Instant::now();
                run_in_parallel(self.sources, |source, number| {
                    clone(
                        source,
                        scratch.path(),
                        number,
                        &["--filter=blob:none", "--sparse"],
                    );
                    let clone = directory(scratch.path(), number);
                    run_git(&clone, ["sparse-checkout", "set", &source.environment]);
                });
                started.elapsed()
            }
            Contender::Vendir => {
                let started = Instant::now();
                for (source, number) in self.sources.iter().zip(0..) {
                    fetch_as_vendir(source, scratch.path(), number);
                }
                started.elapsed()
            }
            Contender::ColdBare => return self.play(&self.cold_requests),
            Contender::WarmBare => return self.play(&self.warm_requests),
            _ => {
                let context = self.context(contender);
                let run = context.run(["deploy"]).expect_code(0);
                return Sample::with_traffic(run.duration, self.server);
            }
        };
        for (source, number) in self.sources.iter().zip(0..) {
            let environment = directory(scratch.path(), number).join(&source.environment);
            assert!(
                world::holds_files(&environment),
                "{} did not fetch {}",
                contender.name(),
                source.environment
            );
        }
        Sample::with_traffic(duration, self.server)
    }

    /// Returns the peak memory of this program in KiB; `None` for the others, which consist of
    /// several processes.
    pub(crate) fn peak_memory(&self, contender: Contender) -> Option<u64> {
        if !contender.is_ours() {
            return None;
        }
        let context = self.context(contender);
        measure::peak_memory(&context.command(["deploy"]), context.root())
    }

    fn context(&self, contender: Contender) -> Context {
        let mut context = deploying(self.program);
        context.file("dev/bitops.config.yaml", world::config(self.sources));
        if contender.is_locked() {
            context.file(LOCK, &self.lock);
            context.set("BITOPS_COMPOSE_LOCKED", "true");
        }
        if contender.is_offline() {
            context.set("BITOPS_COMPOSE_OFFLINE", "true");
        }
        if contender.is_warm() {
            context.set("BITOPS_COMPOSE_CACHE", self.warm.path());
        }
        context
    }
}

/// Creates a context in which `deploy` composes `dev` and runs `true` as the pipeline.
pub(crate) fn deploying(program: &Path) -> Context {
    let mut context = Context::new(program);
    context
        .set("BITOPS_ENVIRONMENT", "dev")
        .set("BITOPS_COMPOSE_PIPELINE", "true")
        .set("BITOPS_LOGGING_LEVEL", "WARNING")
        .time_limit(LIMIT);
    context
}

fn directory(scratch: &Path, number: usize) -> std::path::PathBuf {
    scratch.join(number.to_string())
}

fn clone(source: &Source, scratch: &Path, number: usize, options: &[&str]) {
    let into = number.to_string();
    let mut args = vec!["clone", "--quiet", "--depth", "1", "-b", &source.version];
    args.extend(options);
    args.extend([source.url.as_str(), &into]);
    run_git(scratch, args);
}

fn fetch_as_vendir(source: &Source, scratch: &Path, number: usize) {
    let directory = directory(scratch, number);
    std::fs::create_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    run_git(&directory, ["init", "--quiet"]);
    run_git(&directory, ["remote", "add", "origin", &source.url]);
    run_git(&directory, ["fetch", "--quiet", "origin", &source.version]);
    run_git(&directory, ["checkout", "--quiet", "FETCH_HEAD"]);
}

fn run_git<I, S>(directory: &Path, args: I)
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = git::command(directory);
    command.args(["-c", "advice.detachedHead=false"]).args(args);
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Calls `work` for each item, for [`AT_ONCE`] items at a time.
fn run_in_parallel<T: Sync>(all: &[T], work: impl Fn(&T, usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(all.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(number) else { return };
                    work(one, number);
                }
            });
        }
    });
}
