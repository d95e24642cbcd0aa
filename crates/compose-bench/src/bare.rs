//! The lowest cost of a run's requests: the same requests, sent again by a client that does nothing
//! else.
//!
//! The time of a run above this is the program's own. The time of this above the delays is the
//! server's, which starts a `git http-backend` for each request on the same processors.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use compose_testkit::{GitServer, server::ReceivedRequest};

/// The requests for one repo in order, as sent over the wire.
#[derive(Debug)]
pub(crate) struct Script {
    server: SocketAddr,
    requests: Vec<Vec<u8>>,
}

impl Script {
    /// Returns a script for each repo that the server has received requests for.
    pub(crate) fn of_all_repos(server: &GitServer) -> Vec<Self> {
        let mut repos: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for seen in server.requests() {
            repos.entry(seen.repo.clone()).or_default().push(encode(&seen));
        }
        let server = server.socket_address();
        repos
            .into_values()
            .map(|requests| Self { server, requests })
            .collect()
    }

    /// Sends the requests one after the other over one connection, each after the previous answer.
    ///
    /// # Panics
    ///
    /// If an answer is not 200.
    pub(crate) fn play(&self) {
        let fail = |error: std::io::Error| -> ! { panic!("{}: {error}", self.server) };
        let mut connection = TcpStream::connect(self.server).unwrap_or_else(|error| fail(error));
        connection.set_nodelay(true).unwrap_or_else(|error| fail(error));
        for request in &self.requests {
            let response = connection
                .write_all(request)
                .and_then(|()| read_chunked(&mut connection))
                .unwrap_or_else(|error| fail(error));
            let status = response.split(|byte| *byte == b'\r').next().unwrap_or_default();
            assert!(
                status.ends_with(b" 200 OK"),
                "{}",
                String::from_utf8_lossy(status)
            );
        }
    }
}

/// Encodes a request as it was, except for the encoding of its body.
fn encode(seen: &ReceivedRequest) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", seen.method, seen.target).into_bytes();
    for (name, value) in &seen.headers {
        let packing = ["content-length", "content-encoding", "transfer-encoding"];
        if !packing.iter().any(|packing| name.eq_ignore_ascii_case(packing)) {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", seen.body.len()).bytes());
    bytes.extend(&seen.body);
    bytes
}

/// Reads one response of the kit's server, which always uses chunks.
fn read_chunked(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut response = Vec::new();
    let mut buffer = [0; 65_536];
    while !response.ends_with(b"\r\n0\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => response.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(response)
}
