//! One connection: its bounds, its errors and its traffic.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use compose_model::{RepoUrl, Stage, text::escape};

use super::packets::{MAX_SHOWN_MESSAGE, ServerMessage};
use crate::{
    error::{Error, Excess, FailedAt},
    run::Run,
    sync::lock_unpoisoned,
};

/// The bounds and the outcome of one connection, shared by the task that receives and the thread
/// that reads.
pub(crate) struct Wire {
    pub(crate) run: Arc<Run>,
    /// The address as the user wrote it, for errors.
    pub(crate) repo: RepoUrl,
    traffic: Arc<Traffic>,
    /// Why the connection ended.
    failure: Mutex<Option<Error>>,
    /// What the server said about an error.
    pub(super) said: Mutex<Option<ServerMessage>>,
    /// Whether the reader is blocked; only then does silence count as a stall.
    pub(super) waiting: AtomicBool,
    /// The bytes that may still be received in the current stage.
    allowance: AtomicU64,
    limit: Mutex<(Excess, u64)>,
    /// Work to do while the next bytes are awaited.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A repo's traffic in this run, and its current stage.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    stage: Mutex<Stage>,
}

impl Traffic {
    /// Returns the numbers of requests and of bytes.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.requests.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// Returns the current stage.
    pub(crate) fn stage(&self) -> Stage {
        *lock_unpoisoned(&self.stage)
    }
}

impl Wire {
    pub(crate) fn new(run: Arc<Run>, repo: RepoUrl, traffic: Arc<Traffic>) -> Self {
        Self {
            run,
            repo,
            traffic,
            failure: Mutex::default(),
            said: Mutex::default(),
            waiting: AtomicBool::new(false),
            allowance: AtomicU64::new(u64::MAX),
            limit: Mutex::new((Excess::Answer, u64::MAX)),
            meanwhile: Mutex::default(),
        }
    }

    /// Stores work that the reader does while it waits for the server, where it costs no time.
    pub(crate) fn meanwhile(&self, work: impl FnOnce() + Send + 'static) {
        *lock_unpoisoned(&self.meanwhile) = Some(Box::new(work));
    }

    /// Starts a new stage, in which at most `bytes` of `what` may be received. Earlier messages of
    /// the server are discarded.
    pub(crate) fn begin(&self, stage: Stage, what: Excess, bytes: u64) {
        self.run.options.reporter.stage(&self.repo, stage);
        *lock_unpoisoned(&self.traffic.stage) = stage;
        *lock_unpoisoned(&self.said) = None;
        *lock_unpoisoned(&self.limit) = (what, bytes);
        self.allowance.store(bytes, Ordering::Relaxed);
    }

    /// Counts a request.
    pub(crate) fn count_request(&self) {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Records why the connection ended; the first reason is kept.
    pub(crate) fn fail(&self, error: Error) {
        lock_unpoisoned(&self.failure).get_or_insert(error);
    }

    /// Resolves when the run is cancelled or out of time.
    pub(crate) async fn interrupted(&self) -> Error {
        self.run.interrupted(&self.repo).await
    }

    /// Returns the repo and its current stage, for an error.
    pub(crate) fn failed_at(&self) -> FailedAt {
        FailedAt {
            repo: self.repo.clone(),
            stage: self.traffic.stage(),
        }
    }

    pub(crate) fn network(&self, why: impl Into<String>) -> Error {
        Error::Network {
            at: self.failed_at(),
            why: why.into(),
        }
    }

    /// Turns an error of gix into the actual reason: our own one first, then what the server said,
    /// then gix's message.
    pub(crate) fn explain(&self, error: &dyn std::fmt::Display) -> Error {
        let failure = lock_unpoisoned(&self.failure).take();
        if let Some(error @ (Error::Cancelled | Error::TimedOut { .. })) = failure {
            return error;
        }
        let at = self.failed_at();
        match (lock_unpoisoned(&self.said).take(), failure) {
            (Some(ServerMessage::Error(said)), _) => Error::Remote { at, said },
            (_, Some(failure)) => failure,
            (Some(ServerMessage::Cut), None) => self.network("the answer was cut off"),
            (None, None) => Error::Nonsense {
                at,
                why: escape(&error.to_string(), MAX_SHOWN_MESSAGE),
            },
        }
    }

    /// Counts received bytes and returns an error beyond the bound.
    pub(super) fn receive(&self, count: usize) -> Result<(), Error> {
        let count = count as u64;
        let total = self.traffic.bytes.fetch_add(count, Ordering::Relaxed) + count;
        self.run.options.reporter.bytes(&self.repo, total);
        let left = self
            .allowance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(count)
            });
        if left.is_ok() {
            return Ok(());
        }
        let (what, bytes) = *lock_unpoisoned(&self.limit);
        Err(Error::TooMuch {
            at: self.failed_at(),
            what,
            limit: format!("{bytes} bytes"),
        })
    }
}
