//! Moves an answer from the network or a process to its reader, and checks the bounds.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncReadExt as _, sync::mpsc, time::Instant};

use super::{body::Event, connection::Wire, net_error};
use crate::error::Error;

/// The interval at which stalls are checked.
const STALL_CHECK: Duration = Duration::from_millis(20);
/// The most chunks that wait for the reader.
pub(super) const IN_FLIGHT: usize = 8;
/// The bytes of an HTTP answer that are handed to the reader at once.
const HTTP_CHUNK: usize = 16 << 10;

/// The source of an answer's chunks.
pub(super) enum ChunkSource {
    Http(reqwest::Response),
    Process(tokio::process::ChildStdout),
}

impl ChunkSource {
    async fn next(&mut self, wire: &Wire) -> Result<Option<Bytes>, Error> {
        match self {
            ChunkSource::Http(response) => response
                .chunk()
                .await
                .map_err(|error| net_error::explain(wire.failed_at(), &error, None)),
            ChunkSource::Process(stdout) => {
                let mut chunk = BytesMut::with_capacity(64 << 10);
                match stdout.read_buf(&mut chunk).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(chunk.freeze())),
                    Err(error) => Err(wire.network(error.to_string())),
                }
            }
        }
    }
}

/// Moves chunks into the channel until the answer ends, an error or a bound stops it, or the reader
/// is gone. At the end of the stream it returns the bytes that the reader has not received yet; the
/// caller sends [`Event::End`] or records an error.
///
/// Each event wakes the reader, which on a busy machine has to wait for its turn. The chunks of an
/// HTTP answer, a dozen for a pack of ten files, are therefore collected up to [`HTTP_CHUNK`]. A
/// process takes part in a dialogue, so its chunks are passed on at once.
pub(super) async fn pump(
    wire: &Wire,
    source: &mut ChunkSource,
    to: &mpsc::Sender<Event>,
) -> Result<Bytes, Error> {
    let mut held = BytesMut::new();
    let moved = move_chunks(wire, source, to, &mut held).await;
    let rest = held.freeze();
    if moved.is_err() && !rest.is_empty() {
        // The server may have explained the error in these bytes. A reader that is gone or whose
        // channel is full learns of the error otherwise.
        _ = to.try_send(Event::Chunk(rest));
        return moved.map(|()| Bytes::new());
    }
    moved.map(|()| rest)
}

async fn move_chunks(
    wire: &Wire,
    source: &mut ChunkSource,
    to: &mpsc::Sender<Event>,
    held: &mut BytesMut,
) -> Result<(), Error> {
    let stall = wire.run.stall();
    let mut waited = Duration::ZERO;
    let mut arrived = 0;
    let mut before = Instant::now();
    let mut tick = tokio::time::interval(
        STALL_CHECK
            .max(stall.window / 100)
            .min(Duration::from_millis(250)),
    );
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let chunk = tokio::select! {
            biased;
            error = wire.interrupted() => return Err(error),
            () = to.closed() => return Ok(()),
            chunk = source.next(wire) => chunk?,
            now = tick.tick() => {
                if wire.waiting.load(Ordering::Relaxed) {
                    waited += now.saturating_duration_since(before);
                }
                before = now;
                if waited >= stall.window {
                    if arrived < stall.bytes {
                        let why = format!("the server stalled: {arrived} bytes in {:.1} s", waited.as_secs_f32());
                        return Err(wire.network(why));
                    }
                    (waited, arrived) = (Duration::ZERO, 0);
                }
                continue;
            }
        };
        let Some(chunk) = chunk else { return Ok(()) };
        wire.receive(chunk.len())?;
        arrived += chunk.len() as u64;
        let chunk = match source {
            ChunkSource::Http(..) => {
                held.extend_from_slice(&chunk);
                if held.len() < HTTP_CHUNK {
                    continue;
                }
                held.split().freeze()
            }
            ChunkSource::Process(_) => chunk,
        };
        tokio::select! {
            biased;
            error = wire.interrupted() => return Err(error),
            sent = to.send(Event::Chunk(chunk)) => if sent.is_err() { return Ok(()) },
        }
    }
}
