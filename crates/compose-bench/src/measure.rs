//! Samples, medians, peak memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use compose_testkit::GitServer;
use compose_testkit::server::{ANY, RequestKind};
use serde::Serialize;

/// One run of one contender.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    pub(crate) millis: f64,
    /// The number of `ls-refs` requests, handshakes and fetches for all repos.
    pub(crate) requests: u64,
    /// The number of requests for the repo with the most.
    pub(crate) requests_of_a_repo: u64,
    /// The bytes that the client received: heads and bodies of responses.
    pub(crate) bytes: u64,
}

impl Sample {
    /// Creates the sample of a run that took `duration`, with the server's counts since they were
    /// last cleared.
    pub(crate) fn with_traffic(duration: Duration, server: &GitServer) -> Self {
        let mut repos: BTreeMap<String, u64> = BTreeMap::new();
        for request in server.requests() {
            if request.kind != RequestKind::Other {
                *repos.entry(request.repo).or_default() += 1;
            }
        }
        let stats = server.stats(ANY);
        Self {
            millis: duration.as_secs_f64() * 1e3,
            requests: stats.requests(),
            requests_of_a_repo: repos.into_values().max().unwrap_or(0),
            bytes: stats.bytes_sent,
        }
    }

    /// Creates the sample of a run without a server.
    pub(crate) fn local(duration: Duration) -> Self {
        Self {
            millis: duration.as_secs_f64() * 1e3,
            requests: 0,
            requests_of_a_repo: 0,
            bytes: 0,
        }
    }
}

/// All runs of one contender, in the order of the rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) contender: &'static str,
    pub(crate) samples: Vec<Sample>,
    /// The peak memory of a separate run in KiB; only for this program.
    pub(crate) peak_memory_kib: Option<u64>,
}

/// The median of several figures with their range.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Computes the spread.
    ///
    /// # Panics
    ///
    /// If there are no figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Self {
            median,
            min: figures[0],
            max: figures[figures.len() - 1],
        }
    }
}

impl Series {
    pub(crate) fn millis(&self) -> Spread {
        Spread::of(self.samples.iter().map(|sample| sample.millis).collect())
    }

    /// Returns the most bytes of any run; the runs hardly differ.
    pub(crate) fn bytes(&self) -> u64 {
        self.most(|sample| sample.bytes)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.most(|sample| sample.requests)
    }

    pub(crate) fn requests_of_a_repo(&self) -> u64 {
        self.most(|sample| sample.requests_of_a_repo)
    }

    fn most(&self, figure: impl Fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(figure).max().unwrap_or(0)
    }

    /// Returns how many times longer this contender took than `other`, round by round, so that a
    /// temporarily busy machine slows both.
    pub(crate) fn times(&self, other: &Self) -> Spread {
        let pairs = self.samples.iter().zip(&other.samples);
        Spread::of(pairs.map(|(one, other)| one.millis / other.millis).collect())
    }
}

/// GNU time. A separate process is needed between the benchmark and the measured program: the
/// kernel starts a child's maximum at its parent's size, and the benchmark holds catalogs.
const TIME: &str = "/usr/bin/time";

/// Runs a command under GNU time, and returns its peak resident memory in KiB, before and after the
/// exec of the pipeline. Returns `None` without GNU time.
///
/// # Panics
///
/// If the command fails.
pub(crate) fn peak_memory(command: &Command, scratch: &Path) -> Option<u64> {
    if !Path::new(TIME).exists() {
        return None;
    }
    let output = scratch.join("peak");
    let mut timed = Command::new(TIME);
    timed.args(["-f", "%M", "-o"]).arg(&output);
    timed.arg(command.get_program()).args(command.get_args());
    timed.env_clear();
    timed.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    if let Some(directory) = command.get_current_dir() {
        timed.current_dir(directory);
    }
    let run = timed.stdin(Stdio::null()).output();
    let run = run.unwrap_or_else(|error| panic!("{timed:?}: {error}"));
    assert!(
        run.status.success(),
        "{timed:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    std::fs::read_to_string(&output).ok()?.trim().parse().ok()
}
