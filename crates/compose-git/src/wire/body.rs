//! The reading end of an answer.

use std::{
    io::{self, BufRead, Read},
    sync::{Arc, atomic::Ordering},
};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use super::{
    connection::Wire,
    opening::Opening,
    packets::{PacketScanner, ServerMessage},
};
use crate::sync::lock_unpoisoned;

/// A message from the task that receives to the thread that reads.
pub(super) enum Event {
    Chunk(Bytes),
    /// The remaining bytes, possibly none, and the end of the answer.
    End(Bytes),
}

/// The bytes that a server sends, for gix's blocking readers.
pub(crate) struct Body {
    wire: Arc<Wire>,
    from: mpsc::Receiver<Event>,
    chunk: Bytes,
    ended: bool,
    packets: PacketScanner,
    /// Set while the answer may begin with a handshake.
    opening: Option<Opening>,
}

impl Body {
    pub(super) fn new(wire: Arc<Wire>, from: mpsc::Receiver<Event>) -> Self {
        Self {
            wire,
            from,
            chunk: Bytes::new(),
            ended: false,
            packets: PacketScanner::default(),
            opening: None,
        }
    }

    /// Creates the body of an answer that begins with a handshake.
    pub(super) fn of_handshake(wire: Arc<Wire>, from: mpsc::Receiver<Event>) -> Self {
        Self {
            opening: Some(Opening::default()),
            ..Self::new(wire, from)
        }
    }

    fn take(&mut self, chunk: Bytes, at_end: bool) {
        if let Some(said) = self.packets.observe(&chunk) {
            *lock_unpoisoned(&self.wire.said) = Some(said);
        }
        self.chunk = match &mut self.opening {
            Some(opening) => opening.pass(chunk, at_end),
            None => chunk,
        };
    }

    fn wait(&mut self) -> io::Result<()> {
        let meanwhile = lock_unpoisoned(&self.wire.meanwhile).take();
        if let Some(work) = meanwhile {
            work();
        }
        self.wire.waiting.store(true, Ordering::Relaxed);
        let event = self.from.blocking_recv();
        self.wire.waiting.store(false, Ordering::Relaxed);
        match event {
            Some(Event::Chunk(chunk)) => {
                self.take(chunk, false);
                Ok(())
            }
            Some(Event::End(rest)) => {
                self.take(rest, true);
                self.ended = true;
                if self.packets.is_cut() {
                    lock_unpoisoned(&self.wire.said).get_or_insert(ServerMessage::Cut);
                }
                Ok(())
            }
            // The wire knows the reason; [`Wire::explain`] reports it instead of gix's error.
            None => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection ended",
            )),
        }
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.ended {
            self.wait()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
