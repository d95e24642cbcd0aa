//! Getting bytes to and from a server, under bounds.
//!
//! gix's protocol code is blocking and takes any transport. Its own HTTP backends, curl and reqwest, end a blocked socket only at its
//! timeout, bound no bytes and share nothing between repos; the measured comparison stands in `docs/fetching.md`.
//! So [`http`] implements gix's `Http` seam over one shared asynchronous client, and [`process`] runs `ssh` and
//! `git upload-pack` itself instead of through gix, which hands the whole environment to them and prints what they say.
//! Both feed a [`Body`]: a task on the runtime moves chunks into a bounded channel and watches the bounds, the blocking side
//! reads the channel. When the runtime goes away the channel closes and the reader fails; nothing panics.

mod answers;
mod body;
mod exchange;
pub(crate) mod http;
pub(crate) mod net;
mod net_error;
mod packets;
pub(crate) mod process;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use compose_model::{RepoUrl, text::escape};
use tokio::{io::AsyncReadExt as _, sync::mpsc, time::Instant};

use crate::{
    error::{At, Error},
    git::Run,
    wire::packets::Said,
};

use body::{Body, Event};

/// How often cancellation is looked at. Far below the second that a signal may take.
const TICK: Duration = Duration::from_millis(20);
/// Chunks on their way to the reader.
const IN_FLIGHT: usize = 8;
/// Bytes of an HTTP answer that are handed to its reader at once.
const TOGETHER: usize = 16 << 10;
/// How much of what a server says is shown.
pub(crate) const SAID: usize = 400;

/// One connection's bounds and fate, shared by the task that receives and the thread that reads.
pub(crate) struct Wire {
    pub(crate) run: Arc<Run>,
    /// The address as the user wrote it: what errors name.
    pub(crate) repo: RepoUrl,
    traffic: Arc<Traffic>,
    /// Why the connection ended.
    failure: Mutex<Option<Error>>,
    /// The server's own error text.
    said: Mutex<Option<Said>>,
    /// The reader is blocked: only then is a silence a stall.
    waiting: AtomicBool,
    /// Bytes that may still be received for the current step.
    allowance: AtomicU64,
    limit: Mutex<(&'static str, u64)>,
    /// What is to be done while the next bytes are awaited.
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// What a repo cost in this run, and how far it came.
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    stage: Mutex<&'static str>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            // For its turn, or for another process's lock.
            stage: Mutex::new("waiting"),
        }
    }
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
    pub(crate) fn stage(&self) -> &'static str {
        *lock(&self.stage)
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
        *lock(&self.meanwhile) = Some(Box::new(work));
    }

    /// A new stage begins: at most this many bytes of `what`, and what was heard before does not concern it.
    pub(crate) fn begin(&self, stage: &'static str, what: &'static str, bytes: u64) {
        self.run.options.reporter.stage(&self.repo, stage);
        *lock(&self.traffic.stage) = stage;
        *lock(&self.said) = None;
        *lock(&self.limit) = (what, bytes);
        self.allowance.store(bytes, Ordering::Relaxed);
    }

    /// Another request is sent.
    pub(crate) fn count_request(&self) {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the first reason.
    pub(crate) fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Resolves when the run is over: cancelled, or out of time.
    pub(crate) async fn interrupted(&self) -> Error {
        self.run.interrupted(&self.repo).await
    }

    /// Where an error of now happened.
    pub(crate) fn at(&self) -> At {
        At {
            repo: self.repo.clone(),
            stage: self.traffic.stage(),
        }
    }

    pub(crate) fn network(&self, why: impl Into<String>) -> Error {
        Error::Network {
            at: self.at(),
            why: why.into(),
        }
    }

    /// What really happened when gix reports `error`: our own reasons first, then what the server said, then gix's words.
    pub(crate) fn explain(&self, error: &dyn std::fmt::Display) -> Error {
        let failure = lock(&self.failure).take();
        if let Some(error @ (Error::Cancelled | Error::TimedOut { .. })) = failure {
            return error;
        }
        let at = self.at();
        match (lock(&self.said).take(), failure) {
            (Some(Said::Error(said)), _) => Error::Remote { at, said },
            (_, Some(failure)) => failure,
            (Some(Said::Cut), None) => self.network("the answer was cut off"),
            (None, None) => Error::Nonsense {
                at,
                why: escape(&error.to_string(), SAID),
            },
        }
    }

    fn receive(&self, count: usize) -> Result<(), Error> {
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
        let (what, bytes) = *lock(&self.limit);
        Err(Error::TooMuch {
            at: self.at(),
            what,
            limit: format!("{bytes} bytes"),
        })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where chunks come from.
enum Source {
    /// With the start of a handshake, until enough of it is there.
    Http(reqwest::Response, Option<BytesMut>),
    Process(tokio::process::ChildStdout),
}

/// How protocol 1 starts. But for the second line it is protocol 0; gix, which never asks for it, does not take that line.
const VERSION_1: &[u8] = b"001e# service=git-upload-pack\n0000000eversion 1\n";

fn without_version_1(mut opening: BytesMut) -> Bytes {
    if opening.starts_with(VERSION_1) {
        let rest = opening.split_off(VERSION_1.len());
        opening.truncate(VERSION_1.len() - b"000eversion 1\n".len());
        opening.unsplit(rest);
    }
    opening.freeze()
}

impl Source {
    async fn next(&mut self, wire: &Wire) -> Result<Option<Bytes>, Error> {
        match self {
            Source::Http(response, opening) => loop {
                let chunk = response
                    .chunk()
                    .await
                    .map_err(|error| net_error::explain(wire.at(), &error))?;
                let Some(bytes) = opening else { return Ok(chunk) };
                bytes.extend_from_slice(chunk.as_deref().unwrap_or_default());
                if chunk.is_none() || bytes.len() >= VERSION_1.len() {
                    let bytes = opening.take().unwrap_or_default();
                    return Ok((!bytes.is_empty()).then(|| without_version_1(bytes)));
                }
            },
            Source::Process(stdout) => {
                let mut chunk = BytesMut::with_capacity(64 << 10);
                match stdout.read_buf(&mut chunk).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(chunk.freeze())),
                    Err(error) => Err(wire.network(error.to_string())),
                }
            }
        }
    }
}

/// Moves chunks into the channel until the end, an error, a broken bound, or until nobody reads any more.
/// At the end of the stream it returns what the reader still lacks; the caller says [`Event::End`], or why there is none.
///
/// Each event wakes the reader, which on a busy machine waits for its turn. An answer by HTTP is asked for whole, so nobody hurries:
/// its pieces, a dozen for a pack of ten files, are gathered up to [`TOGETHER`]. A process is talked with, and waits for what we say.
async fn pump(wire: &Wire, source: &mut Source, to: &mpsc::Sender<Event>) -> Result<Bytes, Error> {
    let mut held = BytesMut::new();
    let moved = move_chunks(wire, source, to, &mut held).await;
    let rest = held.freeze();
    if moved.is_err() && !rest.is_empty() {
        // The server may have said why. A reader that is not there, or full to the brim, learns it otherwise.
        _ = to.try_send(Event::Chunk(rest));
        return moved.map(|()| Bytes::new());
    }
    moved.map(|()| rest)
}

async fn move_chunks(
    wire: &Wire,
    source: &mut Source,
    to: &mpsc::Sender<Event>,
    held: &mut BytesMut,
) -> Result<(), Error> {
    let stall = wire.run.stall();
    let mut waited = Duration::ZERO;
    let mut arrived = 0;
    let mut before = Instant::now();
    let mut tick = tokio::time::interval(TICK.max(stall.window / 100).min(Duration::from_millis(250)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let chunk = tokio::select! {
            biased;
            error = wire.interrupted() => return Err(error),
            () = to.closed() => return Ok(()),
            chunk = source.next(wire) => chunk?,
            now = tick.tick() => {
                if wire.waiting.load(Ordering::Relaxed) {
                    waited += now.saturating_duration_since(before);
                }
                before = now;
                if waited >= stall.window {
                    if arrived < stall.bytes {
                        let why = format!("the server stalled: {arrived} bytes in {:.1} s", waited.as_secs_f32());
                        return Err(wire.network(why));
                    }
                    (waited, arrived) = (Duration::ZERO, 0);
                }
                continue;
            }
        };
        let Some(chunk) = chunk else { return Ok(()) };
        wire.receive(chunk.len())?;
        arrived += chunk.len() as u64;
        let chunk = match source {
            Source::Http(..) => {
                held.extend_from_slice(&chunk);
                if held.len() < TOGETHER {
                    continue;
                }
                held.split().freeze()
            }
            Source::Process(_) => chunk,
        };
        tokio::select! {
            biased;
            error = wire.interrupted() => return Err(error),
            sent = to.send(Event::Chunk(chunk)) => if sent.is_err() { return Ok(()) },
        }
    }
}
