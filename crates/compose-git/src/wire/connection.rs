//! One connection: its bounds, its errors, and what it cost.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use compose_model::{RepoUrl, Stage, text::escape};

use super::packets::{SAID, Said};
use crate::{
    error::{At, Error},
    run::Run,
    sync::lock_unpoisoned,
};

/// One connection's bounds and fate, shared by the task that receives and the thread that reads.
pub(crate) struct Wire {
    pub(crate) run: Arc<Run>,
    /// The address as the user wrote it: what errors name.
    pub(crate) repo: RepoUrl,
    traffic: Arc<Traffic>,
    /// Why the connection ended.
    failure: Mutex<Option<Error>>,
    /// The server's own error text.
    pub(super) said: Mutex<Option<Said>>,
    /// The reader is blocked: only then is a silence a stall.
    pub(super) waiting: AtomicBool,
    /// Bytes that may still be received for the current step.
    allowance: AtomicU64,
    limit: Mutex<(&'static str, u64)>,
    /// What is to be done while the next bytes are awaited.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// What a repo cost in this run, and how far it came.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    stage: Mutex<Stage>,
}

impl Traffic {
    /// Requests and bytes.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.requests.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// What is going on.
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
            limit: Mutex::new(("the answer", u64::MAX)),
            meanwhile: Mutex::default(),
        }
    }

    /// Leaves work to whoever waits for the server next: it takes no time that anybody misses.
    pub(crate) fn meanwhile(&self, work: impl FnOnce() + Send + 'static) {
        *lock_unpoisoned(&self.meanwhile) = Some(Box::new(work));
    }

    /// A new stage begins: at most this many bytes of `what`, and what was heard before does not concern it.
    pub(crate) fn begin(&self, stage: Stage, what: &'static str, bytes: u64) {
        self.run.options.reporter.stage(&self.repo, stage);
        *lock_unpoisoned(&self.traffic.stage) = stage;
        *lock_unpoisoned(&self.said) = None;
        *lock_unpoisoned(&self.limit) = (what, bytes);
        self.allowance.store(bytes, Ordering::Relaxed);
    }

    /// Another request is sent.
    pub(crate) fn count_request(&self) {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the first reason.
    pub(crate) fn fail(&self, error: Error) {
        lock_unpoisoned(&self.failure).get_or_insert(error);
    }

    /// Resolves when the run is over: cancelled, or out of time.
    pub(crate) async fn interrupted(&self) -> Error {
        self.run.interrupted(&self.repo).await
    }

    /// Where an error of now happened.
    pub(crate) fn failed_at(&self) -> At {
        At {
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

    /// What really happened when gix reports `error`: our own reasons first, then what the server said, then gix's words.
    pub(crate) fn explain(&self, error: &dyn std::fmt::Display) -> Error {
        let failure = lock_unpoisoned(&self.failure).take();
        if let Some(error @ (Error::Cancelled | Error::TimedOut { .. })) = failure {
            return error;
        }
        let at = self.failed_at();
        match (lock_unpoisoned(&self.said).take(), failure) {
            (Some(Said::Error(said)), _) => Error::Remote { at, said },
            (_, Some(failure)) => failure,
            (Some(Said::Cut), None) => self.network("the answer was cut off"),
            (None, None) => Error::Nonsense {
                at,
                why: escape(&error.to_string(), SAID),
            },
        }
    }

    /// Counts received bytes against the bound.
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
