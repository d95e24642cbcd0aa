//! An HTTP proxy: `CONNECT` for https, absolute URLs for http.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::http::{self, Connection, Request, Socket};
use super::sockets::{Sockets, StopSignal, stop_accepting};

/// A running proxy on a free port of 127.0.0.1. Dropping it ends all connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<ProxyState>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

/// A request to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// `CONNECT`, or the method of a forwarded request.
    pub method: String,
    /// `host:port` or an absolute URL, as requested.
    pub target: String,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

#[derive(Debug, Default)]
struct ProxyState {
    /// The value of `Proxy-Authorization` that is required, if any.
    credentials: Option<String>,
    tunnels: Mutex<Vec<Tunnel>>,
    stop: StopSignal,
    sockets: Sockets,
}

impl Proxy {
    /// Starts a proxy.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// Starts a proxy that requires Basic credentials.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start_with_credentials(user: &str, password: &str) -> Self {
        Self::listen(Some(http::basic(user, password)))
    }

    fn listen(credentials: Option<String>) -> Self {
        let listener =
            TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("cannot take a port: {error}"));
        let address = listener.local_addr().expect("the listener is bound");
        let shared = Arc::new(ProxyState {
            credentials,
            ..ProxyState::default()
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

    /// Returns the proxy's URL, for `HTTPS_PROXY` and `http_proxy`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests so far, including refused ones.
    pub fn tunnels(&self) -> Vec<Tunnel> {
        self.shared
            .tunnels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        stop_accepting(
            &self.shared.stop,
            &self.shared.sockets,
            self.address,
            self.accepting.take(),
        );
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<ProxyState>) {
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stop.is_stopped() {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let socket = Socket(Arc::new(stream));
            // A tunnel has two sockets: the client's and the server's.
            let numbers = (number as u64 * 2, number as u64 * 2 + 1);
            shared.sockets.add(numbers.0, &socket);
            // An error means that one of the peers has gone.
            let _ = serve(&shared, socket, numbers.1);
            shared.sockets.remove(numbers.0);
            shared.sockets.remove(numbers.1);
        });
    }
}

fn serve(shared: &ProxyState, client: Socket, number: u64) -> io::Result<()> {
    let mut connection = Connection::new(Box::new(client.clone()), client.clone());
    while let Some(request) = connection.read_request()? {
        shared
            .tunnels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Tunnel {
                method: request.method.clone(),
                target: request.target.clone(),
                authorization: request.header("proxy-authorization").map(str::to_owned),
            });
        if shared.credentials.is_some()
            && request.header("proxy-authorization") != shared.credentials.as_deref()
        {
            connection.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
                  Content-Length: 0\r\n\r\n",
            )?;
            continue;
        }
        if request.method == "CONNECT" {
            let Ok(server) = TcpStream::connect(&request.target) else {
                return connection.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
            };
            let server = Socket(Arc::new(server));
            shared.sockets.add(number, &server);
            connection.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            return tunnel(client, server);
        }
        forward(&mut connection, &request)?;
    }
    Ok(())
}

/// Copies in both directions until both sides have ended.
fn tunnel(mut client: Socket, mut server: Socket) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.clone(), server.clone());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // An error ends the tunnel like the end of the stream.
            let _ = io::copy(&mut from_client, &mut to_server);
            to_server.shut_down();
        });
        let copied = io::copy(&mut server, &mut client);
        client.shut_down();
        copied.map(drop)
    })
}

/// Forwards a request for an absolute URL over a new connection, and returns the response
/// unchanged.
fn forward(connection: &mut Connection, request: &Request) -> io::Result<()> {
    let rest = request
        .target
        .strip_prefix("http://")
        .ok_or(io::ErrorKind::InvalidInput)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut server = TcpStream::connect(host)?;
    let mut head = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", request.method);
    for (name, value) in &request.headers {
        let dropped = [
            "connection",
            "proxy-authorization",
            "content-length",
            "transfer-encoding",
            "content-encoding",
        ];
        if !dropped.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !request.body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    head.push_str("\r\n");
    io::Write::write_all(&mut server, &[head.as_bytes(), &request.body].concat())?;
    let mut buffer = [0; 16 * 1024];
    loop {
        match io::Read::read(&mut server, &mut buffer)? {
            0 => return Err(io::ErrorKind::ConnectionAborted.into()),
            count => connection.write_all(&buffer[..count])?,
        }
    }
}
