//! A smart-HTTP git server over real `git http-backend`, on the loopback interface, that counts, delays and fails.
//!
//! A thread per connection and a socket in our own hands: what a test needs of a server here is a stall, a reset or a
//! flipped bit at a byte of its choice.

mod backend;
mod body;
mod exchange;
mod fault;
mod http;
mod log;
mod pkt;
mod proxy;
mod sockets;
mod tls;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use fault::{At, Fault, Rule};
pub use log::{Kind, Seen, Stats};
pub use proxy::{Proxy, Tunnel};
pub use sockets::ClosedPort;
pub use tls::{Authority, Identity};

use log::Log;
use sockets::{Sockets, Stop};

/// Stands for every repo where a repo's name is asked for.
pub const ANY: &str = "*";

/// The protocol versions that a repo's server speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What the client asks for: v2 from every current one.
    #[default]
    AsAsked,
    /// Only v0: the client's wish is not passed on.
    V0,
    /// Only v1.
    V1,
}

/// How a repo's requests are answered.
#[derive(Debug, Clone, Default)]
struct Behaviour {
    rules: Vec<Rule>,
    credentials: Option<(String, String)>,
    protocol: Protocol,
    hidden: Vec<String>,
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    root: PathBuf,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// In microseconds.
    latency: AtomicU64,
    behaviours: Mutex<BTreeMap<String, Behaviour>>,
    log: Log,
    stop: Stop,
    sockets: Sockets,
}

impl Shared {
    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency.load(Ordering::Relaxed))
    }

    /// How a request is to be answered, by what is said of its repo, then of any; and what it suffers.
    fn behaviour(&self, repo: &str, kind: Kind) -> (Behaviour, Option<Fault>) {
        let mut behaviours = self.behaviours.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fault = None;
        for name in [repo, ANY] {
            let rules = behaviours
                .get_mut(name)
                .map(|behaviour| behaviour.rules.iter_mut());
            fault = fault.or_else(|| rules.into_iter().flatten().find_map(|rule| rule.apply(kind)));
        }
        let own = behaviours.get(repo).cloned().unwrap_or_default();
        let general = behaviours.get(ANY).cloned().unwrap_or_default();
        let behaviour = Behaviour {
            rules: Vec::new(),
            credentials: own.credentials.or(general.credentials),
            protocol: if own.protocol == Protocol::AsAsked {
                general.protocol
            } else {
                own.protocol
            },
            hidden: [own.hidden, general.hidden].concat(),
        };
        (behaviour, fault)
    }
}

/// A running server. Dropping it ends every connection, and waits for the end.
#[derive(Debug)]
pub struct GitServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Serves the repos below `root` on a free port of 127.0.0.1, by plain HTTP.
    ///
    /// # Panics
    /// Where there is no port to be had.
    pub fn start(root: &Path) -> Self {
        Self::listen(root, "127.0.0.1:0", None)
    }

    /// As [`GitServer::start`], by HTTPS.
    pub fn start_tls(root: &Path, identity: &Identity) -> Self {
        Self::listen(root, "127.0.0.1:0", Some(identity))
    }

    /// Serves on an address of choice, by HTTPS where there is an identity.
    ///
    /// # Panics
    /// Where the address is not to be had.
    pub fn listen(root: &Path, address: &str, identity: Option<&Identity>) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        Self::accept(root, listener, identity)
    }

    fn accept(root: &Path, listener: TcpListener, identity: Option<&Identity>) -> Self {
        let address = listener.local_addr().expect("the listener is bound");
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            tls: identity.map(Identity::server_config),
            latency: AtomicU64::new(0),
            behaviours: Mutex::default(),
            log: Log::default(),
            stop: Stop::default(),
            sockets: Sockets::default(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept_all(&listener, &shared))
        };
        Self {
            shared,
            address,
            accepting: Some(accepting),
        }
    }

    /// Where it listens.
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// Such as `http://127.0.0.1:40123`; by HTTPS `https://localhost:40123`.
    pub fn address(&self) -> String {
        match self.shared.tls {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// A repo's URL.
    pub fn url(&self, repo: &str) -> String {
        format!("{}/{repo}", self.address())
    }

    /// What each request takes at least from now on, and each new connection (by HTTPS, twice): the round trip of a
    /// distant server.
    pub fn set_latency(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).expect("a latency is below an age of the earth");
        self.shared.latency.store(micros, Ordering::Relaxed);
    }

    /// Lets requests to a repo suffer a fault, after the rules that are there already.
    pub fn inject(&self, repo: &str, rule: impl Into<Rule>) {
        self.change(repo, |behaviour| behaviour.rules.push(rule.into()));
    }

    /// Takes all faults of a repo away.
    pub fn heal(&self, repo: &str) {
        self.change(repo, |behaviour| behaviour.rules.clear());
    }

    /// Requires Basic credentials for a repo.
    pub fn require_credentials(&self, repo: &str, user: &str, password: &str) {
        let credentials = Some((user.to_owned(), password.to_owned()));
        self.change(repo, |behaviour| behaviour.credentials = credentials);
    }

    /// Sets the protocol versions that a repo's server speaks.
    pub fn set_protocol(&self, repo: &str, protocol: Protocol) {
        self.change(repo, |behaviour| behaviour.protocol = protocol);
    }

    /// Leaves a capability (`filter`, `shallow`) out of a repo's handshakes.
    pub fn hide_capability(&self, repo: &str, capability: &str) {
        self.change(repo, |behaviour| behaviour.hidden.push(capability.to_owned()));
    }

    fn change(&self, repo: &str, change: impl FnOnce(&mut Behaviour)) {
        let mut behaviours = self
            .shared
            .behaviours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(behaviours.entry(repo.to_owned()).or_default());
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.log.read(<[Seen]>::to_vec)
    }

    /// The sums over a repo's requests, or over all ([`ANY`]).
    pub fn stats(&self, repo: &str) -> Stats {
        self.shared
            .log
            .read(|seen| Stats::of(seen.iter().filter(|seen| repo == ANY || seen.repo == repo)))
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// Waits until the requests satisfy a condition.
    ///
    /// # Panics
    /// Where they do not within `limit`.
    #[track_caller]
    pub fn wait_for(&self, limit: Duration, condition: impl Fn(&[Seen]) -> bool) {
        let satisfied = self.shared.log.wait(limit, condition);
        assert!(
            satisfied,
            "not within {limit:?}; the server has seen {:#?}",
            self.requests()
        );
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.stop.stop();
        self.shared.sockets.shut_down();
        // Wakes the thread that accepts; fails where it has ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            // It has panicked where a connection's thread could not be started: nothing is left to wait for.
            let _ = accepting.join();
        }
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stop.is_stopped() {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        connections.retain(|connection| !connection.is_finished());
        connections.push(std::thread::spawn(move || {
            // An error is the client's, or the fault that was asked for: the connection has ended with it.
            let _ = exchange::serve(&shared, stream, number as u64);
        }));
    }
    // Of those that were accepted while the others were being shut down.
    shared.sockets.shut_down();
    for connection in connections {
        // A panic has been printed by its thread.
        let _ = connection.join();
    }
}
