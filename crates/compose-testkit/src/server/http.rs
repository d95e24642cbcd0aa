//! HTTP/1.1 as far as git needs it, on a socket under direct control: the faults have to stall,
//! reset and cut it at a certain byte, which a server library does not allow.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use socket2::SockRef;

/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// The most bytes of a request's body.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A request with its complete, decompressed body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The bytes that the request took on the wire (inside TLS).
    pub(crate) received: u64,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Returns whether a header contains the item, read as a comma-separated list.
    fn lists(&self, name: &str, item: &str) -> bool {
        self.header(name)
            .is_some_and(|list| list.split(',').any(|part| part.trim().eq_ignore_ascii_case(item)))
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.lists("connection", "close")
    }
}

/// Returns the first header with this name.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Returns the value of `Authorization` for Basic credentials.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

/// A socket that is shared by its connection and the server's list of connections, so that the
/// server can close it.
#[derive(Debug, Clone)]
pub(crate) struct Socket(pub(crate) Arc<TcpStream>);

impl Socket {
    /// Reads until the peer closes, or the server shuts the socket down.
    pub(crate) fn wait_for_close(&self) {
        let mut buffer = [0; 4096];
        while matches!((&*self.0).read(&mut buffer), Ok(count) if count > 0) {}
    }

    /// Makes closing the socket a reset (RST), as if the peer had died.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&*self.0).set_linger(Some(std::time::Duration::ZERO))
    }

    pub(crate) fn shut_down(&self) {
        // This fails if the peer has closed first.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection on the server's side, plain or inside TLS.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    pub(crate) socket: Socket,
    /// Bytes that were read beyond the last request.
    ahead: Vec<u8>,
    received: u64,
}

/// The stream that a connection reads from and writes to.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, socket: Socket) -> Self {
        Self {
            stream,
            socket,
            ahead: Vec::new(),
            received: 0,
        }
    }

    /// Reads the next request. Returns `None` if the peer has closed the connection between
    /// requests.
    pub(crate) fn read_request(&mut self) -> io::Result<Option<Request>> {
        self.received = 0;
        let Some(mut request) = self.read_head()? else {
            return Ok(None);
        };
        if request
            .header("expect")
            .is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"))
        {
            self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = if request.lists("transfer-encoding", "chunked") {
            self.read_chunked()?
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().ok().filter(|length| *length <= MAX_BODY);
            self.read_exactly(length.ok_or_else(|| invalid("an invalid content-length"))?)?
        } else {
            Vec::new()
        };
        request.body = match request.header("content-encoding") {
            Some("gzip" | "x-gzip") => {
                let mut plain = Vec::new();
                let limit = MAX_BODY as u64;
                flate2::read::GzDecoder::new(body.as_slice())
                    .take(limit)
                    .read_to_end(&mut plain)?;
                plain
            }
            _ => body,
        };
        request.received = self.received;
        Ok(Some(request))
    }

    fn read_head(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Request::new(&mut headers);
            match parsed
                .parse(&self.ahead)
                .map_err(|error| invalid(&error.to_string()))?
            {
                httparse::Status::Complete(length) => {
                    let decode = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let request = Request {
                        method: parsed.method.unwrap_or_default().to_owned(),
                        target: parsed.path.unwrap_or_default().to_owned(),
                        headers: parsed
                            .headers
                            .iter()
                            .map(|one| (one.name.to_owned(), decode(one.value)))
                            .collect(),
                        body: Vec::new(),
                        received: 0,
                    };
                    self.take(length);
                    return Ok(Some(request));
                }
                httparse::Status::Partial if self.ahead.len() > MAX_HEAD => {
                    return Err(invalid("a head beyond the limit"));
                }
                httparse::Status::Partial => {
                    if !self.fill()? {
                        return if self.ahead.is_empty() {
                            Ok(None)
                        } else {
                            Err(cut())
                        };
                    }
                }
            }
        }
    }

    fn read_chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| invalid("a chunk without a size"))?;
            if size == 0 {
                // Trailers, up to the empty line.
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            if size > MAX_BODY - body.len() {
                return Err(invalid("a body beyond the limit"));
            }
            body.extend(self.read_exactly(size)?);
            self.read_line()?;
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
                self.take(end + 2);
                return Ok(line);
            }
            if self.ahead.len() > MAX_HEAD || !self.fill()? {
                return Err(cut());
            }
        }
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if !self.fill()? {
                return Err(cut());
            }
        }
        Ok(self.take(length))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.received += length as u64;
        self.ahead.drain(..length).collect()
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
