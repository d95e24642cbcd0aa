//! Serves one connection, request by request.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{self, BackendOptions};
use super::body::Response;
use super::fault::Fault;
use super::http::{self, Connection, Request, Socket, Stream};
use super::log::{LogEntry, ReceivedRequest, RequestKind};
use super::{Behaviour, Protocol, ServerState, pkt};

/// Serves a connection until either side ends it.
pub(crate) fn serve(shared: &ServerState, stream: TcpStream, number: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = Socket(Arc::new(stream));
    shared.sockets.add(number, &socket);
    let served = serve_socket(shared, socket, number);
    shared.sockets.remove(number);
    served
}

fn serve_socket(shared: &ServerState, socket: Socket, number: u64) -> io::Result<()> {
    // The round trips of connecting, which take no time on this machine, and of the TLS 1.3
    // handshake.
    let round_trips = 1 + u32::from(shared.tls.is_some());
    if shared.stop.wait(shared.latency() * round_trips) {
        return Ok(());
    }
    let stream: Box<dyn Stream> = match &shared.tls {
        None => Box::new(socket.clone()),
        Some(config) => {
            let session = rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Box::new(rustls::StreamOwned::new(session, socket.clone()))
        }
    };
    let mut connection = Connection::new(stream, socket);
    while let Some(request) = next_request(shared, &mut connection)? {
        let (repo, kind) = purpose(&request);
        let entry = shared.log.add(ReceivedRequest {
            connection: number,
            repo: repo.clone(),
            kind,
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            status: None,
            bytes_received: request.received,
            bytes_sent: 0,
        });
        if shared.stop.wait(shared.latency()) {
            return Ok(());
        }
        let (behaviour, fault) = shared.behaviour(&repo, kind);
        let exchange = Exchange {
            shared,
            request: &request,
            kind,
            entry,
            behaviour,
        };
        exchange.respond(&mut connection, fault)?;
        if request.wants_close() {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads the next request. Input that is not HTTP (such as a TLS handshake) gets the usual answer
/// of servers, and the connection ends.
fn next_request(shared: &ServerState, connection: &mut Connection) -> io::Result<Option<Request>> {
    let read = connection.read_request();
    if let Err(error) = &read
        && error.kind() == io::ErrorKind::InvalidData
        && shared.tls.is_none()
    {
        connection
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    }
    read
}

/// Returns the repo that a request is about, and the type of the request.
fn purpose(request: &Request) -> (String, RequestKind) {
    let path = request.target.split('?').next().unwrap_or_default();
    let (repo, kind) = if let Some(repo) = path.strip_suffix("/info/refs") {
        (repo, RequestKind::InfoRefs)
    } else if let Some(repo) = path.strip_suffix("/git-upload-pack") {
        let ls_refs = request
            .body
            .get(4..)
            .is_some_and(|body| body.starts_with(b"command=ls-refs"));
        (
            repo,
            if ls_refs {
                RequestKind::LsRefs
            } else {
                RequestKind::Fetch
            },
        )
    } else {
        (path, RequestKind::Other)
    };
    let repo = repo.trim_matches('/');
    (repo.strip_suffix(".git").unwrap_or(repo).to_owned(), kind)
}

struct Exchange<'a> {
    shared: &'a ServerState,
    request: &'a Request,
    kind: RequestKind,
    entry: LogEntry,
    behaviour: Behaviour,
}

impl Exchange<'_> {
    /// Answers the request. An error ends the connection.
    fn respond(&self, connection: &mut Connection, fault: Option<Fault>) -> io::Result<()> {
        match &fault {
            Some(Fault::Reset) => {
                connection.socket.reset_on_close()?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(Fault::Stall) => {
                connection.socket.wait_for_close();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            _ => {}
        }
        let response = Response::new(connection, self.shared, self.entry, fault.clone());
        match fault {
            Some(Fault::Status { code, retry_after }) => {
                let mut headers = vec![("Content-Type", "text/plain")];
                headers.extend(retry_after.as_deref().map(|value| ("Retry-After", value)));
                headers.extend((code == 401).then_some(CHALLENGE));
                response.answer(code, &headers, format!("status {code}\n").as_bytes())
            }
            Some(Fault::LoginPage) => response.answer(200, &[("Content-Type", "text/html")], LOGIN_PAGE),
            Some(Fault::Error(text)) => {
                self.answer_git(response, &pkt::line(format!("ERR {text}").as_bytes()))
            }
            Some(Fault::SideBandError(text)) => {
                self.answer_pack(response, &pkt::side_band(3, text.as_bytes()))
            }
            Some(Fault::Pack(pack)) => self.answer_pack(response, &pkt::side_band(1, &pack)),
            Some(Fault::Redirect { code, to }) => {
                let location = format!("{to}{}", self.request.target);
                response.answer(code, &[("Location", &location)], b"")
            }
            Some(Fault::EndlessRefs) => self.answer_endlessly(response),
            Some(Fault::Answer { content_type, body }) => {
                response.answer(200, &[("Content-Type", &content_type)], &body)
            }
            _ if !self.is_authorized() => response.answer(
                401,
                &[CHALLENGE, ("Content-Type", "text/plain")],
                b"who are you?\n",
            ),
            _ => {
                let options = BackendOptions {
                    protocol: self.protocol(),
                    hidden: &self.behaviour.hidden,
                };
                backend::answer(&self.shared.root, self.request, &options, response)
            }
        }
    }

    fn protocol(&self) -> Option<&str> {
        match self.behaviour.protocol {
            Protocol::AsAsked => self.request.header("git-protocol"),
            Protocol::V0 => None,
            Protocol::V1 => Some("version=1"),
        }
    }

    fn is_v2(&self) -> bool {
        self.protocol()
            .is_some_and(|protocol| protocol.contains("version=2"))
    }

    fn is_authorized(&self) -> bool {
        let Some((user, password)) = &self.behaviour.credentials else {
            return true;
        };
        self.request.header("authorization") == Some(&http::basic(user, password))
    }

    /// Answers with a git message instead of what was requested.
    fn answer_git(&self, response: Response<'_>, message: &[u8]) -> io::Result<()> {
        if self.kind == RequestKind::InfoRefs {
            let body = [&pkt::line(SERVICE), pkt::FLUSH, message, pkt::FLUSH].concat();
            response.answer(200, &[("Content-Type", ADVERTISEMENT)], &body)
        } else {
            response.answer(200, &[("Content-Type", RESULT)], message)
        }
    }

    /// Answers a fetch with the given side-band lines.
    fn answer_pack(&self, response: Response<'_>, side_band: &[u8]) -> io::Result<()> {
        let before = if self.is_v2() {
            pkt::line(b"packfile\n")
        } else {
            // If the client asked for a depth, an empty list of shallow commits comes first.
            let deepens = self.request.body.windows(7).any(|window| window == b"deepen ");
            [if deepens { pkt::FLUSH } else { b"" }, &pkt::line(b"NAK\n")].concat()
        };
        let body = [&before, side_band, pkt::FLUSH].concat();
        response.answer(200, &[("Content-Type", RESULT)], &body)
    }

    fn answer_endlessly(&self, mut response: Response<'_>) -> io::Result<()> {
        let advertises = self.kind == RequestKind::InfoRefs;
        response.start(
            200,
            &[("Content-Type", if advertises { ADVERTISEMENT } else { RESULT })],
        )?;
        if advertises {
            response.write(&[&pkt::line(SERVICE), pkt::FLUSH].concat())?;
        }
        for block in 0_u64.. {
            if self.shared.stop.wait(Duration::ZERO) {
                break;
            }
            let refs = (0..256).flat_map(|one| {
                let number = block * 256 + one;
                let capabilities = if advertises && number == 0 {
                    "\0agent=endless"
                } else {
                    ""
                };
                pkt::line(format!("{:040x} refs/tags/{number}{capabilities}\n", number + 1).as_bytes())
            });
            response.write(&refs.collect::<Vec<u8>>())?;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Basic realm=\"git\"");
const SERVICE: &[u8] = b"# service=git-upload-pack\n";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";
const LOGIN_PAGE: &[u8] = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n\
    <body><form action=\"/login\"><input name=\"user\"></form></body></html>\n";
