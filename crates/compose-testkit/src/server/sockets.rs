//! Stopping waiting threads, and ports that refuse connections.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};

use super::GitServer;
use super::http::Socket;

/// A signal that stops all threads at once.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the given time or until the stop. Returns whether it was stopped.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

/// The open connections, which can be shut down. Weak references do not keep them open, so that a
/// reset happens when the last owner closes its socket.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<HashMap<u64, Weak<std::net::TcpStream>>>);

impl Sockets {
    pub(crate) fn add(&self, number: u64, socket: &Socket) {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.insert(number, std::sync::Arc::downgrade(&socket.0));
    }

    pub(crate) fn remove(&self, number: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&number);
    }

    pub(crate) fn shut_down(&self) {
        for socket in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            if let Some(socket) = socket.upgrade() {
                Socket(socket).shut_down();
            }
        }
    }
}

/// Ends all connections of a server and waits for the thread that accepts them at `address`.
pub(crate) fn stop_accepting(
    stop: &StopSignal,
    sockets: &Sockets,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
) {
    stop.stop();
    sockets.shut_down();
    // Wakes the accepting thread; this fails if it has ended already.
    let _ = TcpStream::connect(address);
    if let Some(accepting) = accepting {
        // The thread panicked if a connection's thread could not be started; nothing is left to
        // wait for.
        let _ = accepting.join();
    }
}

/// A port of 127.0.0.1 that is reserved but refuses connections until a server opens it.
#[derive(Debug)]
pub struct ClosedPort {
    socket: socket2::Socket,
    address: SocketAddr,
}

impl ClosedPort {
    /// Reserves a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[expect(clippy::new_without_default, reason = "it reserves a port")]
    pub fn new() -> Self {
        let take = || {
            let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0))))?;
            Ok((socket.local_addr()?.as_socket(), socket))
        };
        let (address, socket) =
            take().unwrap_or_else(|error: io::Error| panic!("cannot take a port: {error}"));
        let address = address.unwrap_or_else(|| panic!("the port's address is not of the internet"));
        Self { socket, address }
    }

    /// Returns the URL of a plain HTTP server at the port.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a server at the port.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn open(self, root: &Path) -> GitServer {
        self.socket
            .listen(128)
            .unwrap_or_else(|error| panic!("cannot listen on {}: {error}", self.address));
        GitServer::accept(root, TcpListener::from(self.socket), None)
    }
}
