//! The requests that clients sent, and their traffic.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::http;

/// The purpose of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// `GET .../info/refs`: the handshake; on protocol v0 and v1 with all refs.
    InfoRefs,
    /// `POST .../git-upload-pack` with protocol v2's `ls-refs`.
    LsRefs,
    /// Any other `POST .../git-upload-pack`.
    Fetch,
    /// Anything else.
    Other,
}

/// A request as the server received it.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The number of its connection.
    pub connection: u64,
    /// The repo's name: the path without git's suffixes and without `.git`.
    pub repo: String,
    /// Its purpose.
    pub kind: RequestKind,
    /// The method: `GET` or `POST`.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The headers in their order.
    pub headers: Vec<(String, String)>,
    /// The decompressed body.
    pub body: Vec<u8>,
    /// The status of the response; `None` until there is one.
    pub status: Option<u16>,
    /// The bytes of the request's head and body.
    pub bytes_received: u64,
    /// The bytes of the response's head and body so far.
    pub bytes_sent: u64,
}

impl ReceivedRequest {
    /// Returns the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// Returns the `Authorization` header.
    pub fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// Returns the body as text. Except for packs, pkt-lines are text.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// The connections with at least one request.
    pub connections: u64,
    /// The handshakes.
    pub info_refs: u64,
    /// The `ls-refs` requests of protocol v2.
    pub ls_refs: u64,
    /// The fetches.
    pub fetches: u64,
    /// The bytes of the requests' heads and bodies.
    pub bytes_received: u64,
    /// The bytes of the responses' heads and bodies.
    pub bytes_sent: u64,
}

impl Stats {
    /// Returns the number of handshakes, `ls-refs` requests and fetches: the round trips besides
    /// connecting.
    pub fn requests(&self) -> u64 {
        self.info_refs + self.ls_refs + self.fetches
    }

    pub(crate) fn of<'a>(seen: impl Iterator<Item = &'a ReceivedRequest>) -> Self {
        let mut stats = Self::default();
        let mut connections = BTreeSet::new();
        for seen in seen {
            connections.insert(seen.connection);
            match seen.kind {
                RequestKind::InfoRefs => stats.info_refs += 1,
                RequestKind::LsRefs => stats.ls_refs += 1,
                RequestKind::Fetch => stats.fetches += 1,
                RequestKind::Other => {}
            }
            stats.bytes_received += seen.bytes_received;
            stats.bytes_sent += seen.bytes_sent;
        }
        stats.connections = connections.len() as u64;
        stats
    }
}

/// The requests so far, with a condition variable to wait for more.
#[derive(Debug, Default)]
pub(crate) struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    seen: Vec<ReceivedRequest>,
    /// The number of times that the log was cleared, which invalidates earlier entries.
    generation: u64,
}

/// A reference to an entry of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogEntry {
    generation: u64,
    index: usize,
}

impl Log {
    pub(crate) fn add(&self, seen: ReceivedRequest) -> LogEntry {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.push(seen);
        self.changed.notify_all();
        LogEntry {
            generation: state.generation,
            index: state.seen.len() - 1,
        }
    }

    pub(crate) fn update(&self, entry: LogEntry, change: impl FnOnce(&mut ReceivedRequest)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == entry.generation {
            change(&mut state.seen[entry.index]);
            self.changed.notify_all();
        }
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.clear();
        state.generation += 1;
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&[ReceivedRequest]) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner).seen)
    }

    pub(crate) fn wait(&self, limit: Duration, condition: impl Fn(&[ReceivedRequest]) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| !condition(&state.seen))
            .unwrap_or_else(PoisonError::into_inner);
        condition(&state.seen)
    }
}
