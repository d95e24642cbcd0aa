//! The body of a response, and the faults that are applied while it is sent.

use std::borrow::Cow;
use std::io;

use super::ServerState;
use super::fault::{BodyOffset, Fault};
use super::http::Connection;
use super::log::LogEntry;

/// Sends a response, counts its bytes, and applies a fault at a byte.
pub(crate) struct Response<'a> {
    connection: &'a mut Connection,
    shared: &'a ServerState,
    entry: LogEntry,
    fault: Option<Fault>,
    chunked: bool,
    /// The number of body bytes so far, and the last of them.
    offset: u64,
    tail: Vec<u8>,
    pack: Option<u64>,
    truncated: bool,
}

impl<'a> Response<'a> {
    pub(crate) fn new(
        connection: &'a mut Connection,
        shared: &'a ServerState,
        entry: LogEntry,
        fault: Option<Fault>,
    ) -> Self {
        Self {
            connection,
            shared,
            entry,
            fault,
            chunked: false,
            offset: 0,
            tail: Vec::new(),
            pack: None,
            truncated: false,
        }
    }

    /// Sends a complete response.
    pub(crate) fn answer(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        self.start(status, headers)?;
        self.write(body)?;
        self.finish()
    }

    /// Sends the head. The body follows in chunks.
    pub(crate) fn start(&mut self, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.chunked = status != 304 && status != 204;
        head.push_str(if self.chunked {
            "Transfer-Encoding: chunked\r\n\r\n"
        } else {
            "\r\n"
        });
        self.shared
            .log
            .update(self.entry, |seen| seen.status = Some(status));
        self.send_raw(head.as_bytes())
    }

    /// Sends a part of the body. An error ends the connection.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.truncated || bytes.is_empty() || !self.chunked {
            return Ok(());
        }
        self.look_for_pack(bytes);
        let start = self.offset;
        self.offset += bytes.len() as u64;
        let altered = self.altered(bytes, start);
        match self.cut().and_then(|at| self.position(at)) {
            Some(cut) if cut < self.offset => {
                let keep = usize::try_from(cut.saturating_sub(start)).expect("less than what is in memory");
                self.send(&altered[..keep])?;
                self.suffer_cut()
            }
            _ => self.send(&altered),
        }
    }

    /// Ends the body.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.chunked {
            self.send_raw(b"0\r\n\r\n")
        } else {
            Ok(())
        }
    }

    fn cut(&self) -> Option<BodyOffset> {
        match self.fault {
            Some(Fault::ResetAt(at) | Fault::CloseAt(at) | Fault::TruncateAt(at) | Fault::StallAt(at)) => {
                Some(at)
            }
            _ => None,
        }
    }

    fn suffer_cut(&mut self) -> io::Result<()> {
        match self.fault {
            Some(Fault::TruncateAt(_)) => {
                self.truncated = true;
                return Ok(());
            }
            Some(Fault::ResetAt(_)) => self.connection.socket.reset_on_close()?,
            Some(Fault::StallAt(_)) => self.connection.socket.wait_for_close(),
            _ => {}
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn altered<'b>(&self, bytes: &'b [u8], start: u64) -> Cow<'b, [u8]> {
        let (at, over) = match &self.fault {
            Some(Fault::FlipBit(at)) => (*at, None),
            Some(Fault::Overwrite(at, over)) => (*at, Some(over)),
            _ => return Cow::Borrowed(bytes),
        };
        let Some(at) = self.position(at) else {
            return Cow::Borrowed(bytes);
        };
        let mut bytes = bytes.to_vec();
        for (index, byte) in bytes.iter_mut().enumerate() {
            let Some(index) = (start + index as u64).checked_sub(at) else {
                continue;
            };
            match over {
                None if index == 0 => *byte ^= 1,
                None => {}
                Some(over) => {
                    let new = usize::try_from(index).ok().and_then(|index| over.get(index));
                    *byte = new.copied().unwrap_or(*byte);
                }
            }
        }
        Cow::Owned(bytes)
    }

    /// Returns the byte's position in the body, once it is known.
    fn position(&self, at: BodyOffset) -> Option<u64> {
        match at {
            BodyOffset::Body(offset) => Some(offset),
            BodyOffset::Pack(offset) => self.pack.map(|pack| pack + offset),
        }
    }

    fn look_for_pack(&mut self, bytes: &[u8]) {
        if self.pack.is_some() {
            return;
        }
        let known = self.tail.len() as u64;
        self.tail.extend_from_slice(bytes);
        if let Some(found) = self.tail.windows(4).position(|window| window == b"PACK") {
            self.pack = Some(self.offset - known + found as u64);
        }
        // The signature may be split between two parts.
        self.tail.drain(..self.tail.len().saturating_sub(3));
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(Fault::Drip(pause)) = self.fault else {
            return self.send_chunk(bytes);
        };
        for byte in bytes {
            if self.shared.stop.wait(pause) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.send_chunk(&[*byte])?;
        }
        Ok(())
    }

    fn send_chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send_raw(&chunk)
    }

    fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Counted before it is sent, so that a client that has read a response finds it counted.
        self.shared
            .log
            .update(self.entry, |seen| seen.bytes_sent += bytes.len() as u64);
        self.connection.write_all(bytes)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
