//! A smart-HTTP git server over the real `git http-backend`, on the loopback interface, which
//! counts requests, delays them and injects faults.
//!
//! It uses a thread per connection and its own socket handling, because tests need to stall, reset
//! or flip a bit at a certain byte.

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
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use fault::{BodyOffset, Fault, Rule};
pub use log::{ReceivedRequest, RequestKind, Stats};
pub use proxy::{Proxy, Tunnel};
pub use sockets::ClosedPort;
pub use tls::{Authority, Identity};

use log::Log;
use sockets::{Sockets, StopSignal, stop_accepting};

/// Stands for every repo in methods that take a repo's name.
pub const ANY: &str = "*";

/// The protocol versions that the server supports for a repo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The version that the client requests: v2 for every current client.
    #[default]
    AsAsked,
    /// Only v0: the client's request for another version is not passed on.
    V0,
    /// Only v1.
    V1,
}

/// How the requests for a repo are answered.
#[derive(Debug, Clone, Default)]
struct Behaviour {
    rules: Vec<Rule>,
    credentials: Option<(String, String)>,
    protocol: Protocol,
    hidden: Vec<String>,
}

/// The state that the connections share.
#[derive(Debug)]
struct ServerState {
    root: PathBuf,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// The latency in microseconds.
    latency: AtomicU64,
    behaviours: Mutex<BTreeMap<String, Behaviour>>,
    log: Log,
    stop: StopSignal,
    sockets: Sockets,
}

impl ServerState {
    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency.load(Ordering::Relaxed))
    }

    /// Returns how a request is answered, by the settings for its repo and then those for any repo,
    /// and the fault that is applied.
    fn behaviour(&self, repo: &str, kind: RequestKind) -> (Behaviour, Option<Fault>) {
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

/// A running server. Dropping it ends all connections and waits for their threads.
#[derive(Debug)]
pub struct GitServer {
    shared: Arc<ServerState>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Serves the repos below `root` on a free port of 127.0.0.1, over plain HTTP.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(root: &Path) -> Self {
        Self::listen(root, "127.0.0.1:0", None)
    }

    /// Serves over HTTPS, like [`GitServer::start`].
    pub fn start_tls(root: &Path, identity: &Identity) -> Self {
        Self::listen(root, "127.0.0.1:0", Some(identity))
    }

    /// Serves on a certain address, over HTTPS if there is an identity.
    ///
    /// # Panics
    ///
    /// If the address is not available.
    pub fn listen(root: &Path, address: &str, identity: Option<&Identity>) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        Self::accept(root, listener, identity)
    }

    fn accept(root: &Path, listener: TcpListener, identity: Option<&Identity>) -> Self {
        let address = listener.local_addr().expect("the listener is bound");
        let shared = Arc::new(ServerState {
            root: root.to_owned(),
            tls: identity.map(Identity::server_config),
            latency: AtomicU64::new(0),
            behaviours: Mutex::default(),
            log: Log::default(),
            stop: StopSignal::default(),
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

    /// Returns the address that the server listens on.
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL, such as `http://127.0.0.1:40123`, or `https://localhost:40123` for
    /// HTTPS.
    pub fn address(&self) -> String {
        match self.shared.tls {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// Returns the URL of a repo.
    pub fn url(&self, repo: &str) -> String {
        format!("{}/{repo}", self.address())
    }

    /// Delays each request from now on, and each new connection (twice for HTTPS), by the round
    /// trip of a distant server.
    pub fn set_latency(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).expect("a latency is below an age of the earth");
        self.shared.latency.store(micros, Ordering::Relaxed);
    }

    /// Adds a fault for requests to a repo, after the existing rules.
    pub fn inject(&self, repo: &str, rule: impl Into<Rule>) {
        self.change(repo, |behaviour| behaviour.rules.push(rule.into()));
    }

    /// Removes all faults of a repo.
    pub fn heal(&self, repo: &str) {
        self.change(repo, |behaviour| behaviour.rules.clear());
    }

    /// Requires Basic credentials for a repo.
    pub fn require_credentials(&self, repo: &str, user: &str, password: &str) {
        let credentials = Some((user.to_owned(), password.to_owned()));
        self.change(repo, |behaviour| behaviour.credentials = credentials);
    }

    /// Sets the protocol versions that the server supports for a repo.
    pub fn set_protocol(&self, repo: &str, protocol: Protocol) {
        self.change(repo, |behaviour| behaviour.protocol = protocol);
    }

    /// Removes a capability (such as `filter` or `shallow`) from a repo's handshakes.
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

    /// Returns all requests so far, in order.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.log.read(<[ReceivedRequest]>::to_vec)
    }

    /// Returns the sums over a repo's requests, or over all of them ([`ANY`]).
    pub fn stats(&self, repo: &str) -> Stats {
        self.shared
            .log
            .read(|seen| Stats::of(seen.iter().filter(|seen| repo == ANY || seen.repo == repo)))
    }

    /// Clears the log of requests.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// Waits until the requests satisfy a condition.
    ///
    /// # Panics
    ///
    /// If they do not within `limit`.
    #[track_caller]
    pub fn wait_for(&self, limit: Duration, condition: impl Fn(&[ReceivedRequest]) -> bool) {
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
        stop_accepting(
            &self.shared.stop,
            &self.shared.sockets,
            self.address,
            self.accepting.take(),
        );
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<ServerState>) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stop.is_stopped() {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        connections.retain(|connection| !connection.is_finished());
        connections.push(std::thread::spawn(move || {
            // An error comes from the client or from an injected fault; either ends the connection.
            let _ = exchange::serve(&shared, stream, number as u64);
        }));
    }
    // Closes connections that were accepted during the shutdown.
    shared.sockets.shut_down();
    for connection in connections {
        // The thread has printed its panic.
        let _ = connection.join();
    }
}
