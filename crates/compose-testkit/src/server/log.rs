//! What clients have asked, and what it cost.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::http;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `GET .../info/refs`: the handshake; on protocol v0 and v1 with all refs.
    InfoRefs,
    /// `POST .../git-upload-pack` with protocol v2's `ls-refs`.
    LsRefs,
    /// Any other `POST .../git-upload-pack`.
    Fetch,
    /// Anything else.
    Other,
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Numbers the connection that it came by.
    pub connection: u64,
    /// The repo's name: the path without what git appends, and without `.git`.
    pub repo: String,
    /// What it is for.
    pub kind: Kind,
    /// `GET`, `POST`.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// In the order they came.
    pub headers: Vec<(String, String)>,
    /// No longer compressed.
    pub body: Vec<u8>,
    /// The status of the response; none as long as there is none.
    pub status: Option<u16>,
    /// Head and body of the request, in bytes.
    pub bytes_received: u64,
    /// Head and body of the response so far, in bytes.
    pub bytes_sent: u64,
}

impl Seen {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// The credential that came with it.
    pub fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// The body as text; its pkt-lines are text but for packs.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that brought at least one request.
    pub connections: u64,
    /// Handshakes.
    pub info_refs: u64,
    /// Looks at the refs by protocol v2.
    pub ls_refs: u64,
    /// Fetches.
    pub fetches: u64,
    /// Heads and bodies of requests.
    pub bytes_received: u64,
    /// Heads and bodies of responses.
    pub bytes_sent: u64,
}

impl Stats {
    /// Handshakes, looks at the refs and fetches: the round trips beyond connecting.
    pub fn requests(&self) -> u64 {
        self.info_refs + self.ls_refs + self.fetches
    }

    pub(crate) fn of<'a>(seen: impl Iterator<Item = &'a Seen>) -> Self {
        let mut stats = Self::default();
        let mut connections = BTreeSet::new();
        for seen in seen {
            connections.insert(seen.connection);
            match seen.kind {
                Kind::InfoRefs => stats.info_refs += 1,
                Kind::LsRefs => stats.ls_refs += 1,
                Kind::Fetch => stats.fetches += 1,
                Kind::Other => {}
            }
            stats.bytes_received += seen.bytes_received;
            stats.bytes_sent += seen.bytes_sent;
        }
        stats.connections = connections.len() as u64;
        stats
    }
}

/// The requests so far, and somebody to wake when there are more.
#[derive(Debug, Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    /// How often it was cleared: entries of before are gone.
    generation: u64,
}

/// Names an entry of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    generation: u64,
    index: usize,
}

impl Log {
    pub(crate) fn add(&self, seen: Seen) -> Entry {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.push(seen);
        self.changed.notify_all();
        Entry {
            generation: state.generation,
            index: state.seen.len() - 1,
        }
    }

    pub(crate) fn update(&self, entry: Entry, change: impl FnOnce(&mut Seen)) {
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

    pub(crate) fn read<T>(&self, read: impl FnOnce(&[Seen]) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner).seen)
    }

    pub(crate) fn wait(&self, limit: Duration, condition: impl Fn(&[Seen]) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| !condition(&state.seen))
            .unwrap_or_else(PoisonError::into_inner);
        condition(&state.seen)
    }
}
