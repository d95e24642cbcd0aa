//! Scans packet lines for error messages of the server.
//!
//! gix turns an `ERR` line and side-band 3 into errors of several shapes, depending on their
//! position, and reports a stream that just ends as a protocol error. All bytes pass through here,
//! so one small state machine finds them for every transport.

use std::mem;

use compose_model::text::escape;

/// What the packet lines say about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerMessage {
    /// The server's error text, escaped.
    Error(String),
    /// The stream ended before it was complete.
    Cut,
}

/// The most characters of a server's message that are shown.
pub(crate) const MAX_SHOWN_MESSAGE: usize = 400;
/// The most bytes of a server's message that are kept.
const MAX_KEPT_MESSAGE: usize = 1000;

#[derive(Default)]
pub(super) struct PacketScanner {
    state: PacketState,
    /// Whether a line was seen after the last flush; every complete answer of git ends with a
    /// flush.
    is_open: bool,
    error: Vec<u8>,
}

#[derive(Default)]
enum PacketState {
    /// Up to four digits of a length.
    #[default]
    Start,
    Length([u8; 4], usize),
    /// The first bytes of a line, while its type is unclear, and the number of bytes left in it.
    Head(Vec<u8>, usize),
    /// The number of bytes left in a line, and whether they are error text.
    Line(usize, bool),
    /// The stream has no packet lines (such as a pack without side-band).
    NotPackets,
}

impl PacketScanner {
    /// Reads the next bytes. Returns the server's message so far whenever it has grown.
    pub(super) fn observe(&mut self, mut bytes: &[u8]) -> Option<ServerMessage> {
        let before = self.error.len();
        while !bytes.is_empty() {
            self.state = match mem::take(&mut self.state) {
                PacketState::Start => PacketState::Length([0; 4], 0),
                PacketState::Length(mut digits, count) => {
                    digits[count] = bytes[0];
                    bytes = &bytes[1..];
                    if count < 3 {
                        PacketState::Length(digits, count + 1)
                    } else {
                        let next = after_length(digits);
                        self.is_open = matches!(next, PacketState::Head(..));
                        next
                    }
                }
                PacketState::Head(mut head, left) => {
                    head.push(bytes[0]);
                    bytes = &bytes[1..];
                    after_head(head, left - 1)
                }
                PacketState::Line(left, heard) => {
                    let (line, rest) = bytes.split_at(left.min(bytes.len()));
                    bytes = rest;
                    if heard {
                        self.keep(line);
                    }
                    if line.len() == left {
                        PacketState::Start
                    } else {
                        PacketState::Line(left - line.len(), heard)
                    }
                }
                PacketState::NotPackets => {
                    bytes = &[];
                    PacketState::NotPackets
                }
            };
        }
        (self.error.len() > before).then(|| {
            let text = String::from_utf8_lossy(&self.error);
            ServerMessage::Error(escape(text.trim(), MAX_SHOWN_MESSAGE))
        })
    }

    /// Returns whether the stream ended inside a line or without a flush.
    pub(super) fn is_cut(&self) -> bool {
        match self.state {
            PacketState::NotPackets => false,
            PacketState::Start => self.is_open,
            _ => true,
        }
    }

    fn keep(&mut self, text: &[u8]) {
        let room = MAX_KEPT_MESSAGE.saturating_sub(self.error.len());
        self.error.extend_from_slice(&text[..text.len().min(room)]);
    }
}

fn after_head(head: Vec<u8>, left: usize) -> PacketState {
    let side_band_error = head[0] == 3;
    let maybe_err = b"ERR ".starts_with(&head);
    match (side_band_error, maybe_err, left) {
        (true, _, 0) => PacketState::Start,
        (true, _, left) => PacketState::Line(left, true),
        (false, true, left) if head.len() == 4 && left > 0 => PacketState::Line(left, true),
        (false, true, left) if left > 0 => PacketState::Head(head, left),
        (false, _, 0) => PacketState::Start,
        (false, _, left) => PacketState::Line(left, false),
    }
}

fn after_length(digits: [u8; 4]) -> PacketState {
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        // Flush, delimiter, response end, or an empty line.
        Some(0..=4) => PacketState::Start,
        Some(length) => PacketState::Head(Vec::new(), length - 4),
        None => PacketState::NotPackets,
    }
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    fn line(text: &[u8]) -> Vec<u8> {
        [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
    }

    /// Scans the bytes in chunks of several sizes, which must all give the same result.
    fn heard(bytes: &[u8]) -> (Option<ServerMessage>, bool) {
        let results: Vec<_> = [1, 2, 3, 7, bytes.len()]
            .into_iter()
            .map(|size| {
                let mut packets = PacketScanner::default();
                let last = bytes
                    .chunks(size)
                    .filter_map(|chunk| packets.observe(chunk))
                    .last();
                (last, packets.is_cut())
            })
            .collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
        results[0].clone()
    }

    #[test]
    fn errors_are_found_in_every_position_and_escaped() {
        let error = |text: &str| Some(ServerMessage::Error(text.to_owned()));
        let announced = [
            line(b"# service=git-upload-pack\n"),
            b"0000".to_vec(),
            line(b"ERR no\x1b[31m access\n"),
        ]
        .concat();
        assert_eq!(heard(&announced), (error("no\\u{1b}[31m access"), true));
        let pack = [
            line(b"packfile\n"),
            line(b"\x01PACK..."),
            line(b"\x03fatal: broken"),
            b"0000".to_vec(),
        ]
        .concat();
        assert_eq!(heard(&pack), (error("fatal: broken"), false));
        let fine = [
            line(b"packfile\n"),
            line(b"\x02ERR is only progress"),
            line(b"ERRATA"),
            b"0000".to_vec(),
        ]
        .concat();
        assert_eq!(heard(&fine), (None, false));
    }

    #[test]
    fn a_cut_stream_is_detected_and_a_bare_pack_is_ignored() {
        assert_eq!(heard(&line(b"packfile\n")[..7]), (None, true));
        assert_eq!(heard(b"00"), (None, true));
        assert_eq!(heard(&line(b"packfile\n")), (None, true), "no flush");
        assert_eq!(heard(b"PACK\0\0\0\x02 and whatever"), (None, false));
    }
    #[test]
    fn damaged_streams_give_the_same_escaped_message_in_every_chunk_size() {
        let seeds = [
            [
                line(b"# service=git-upload-pack\n"),
                b"0000".to_vec(),
                line(b"ERR no access\n"),
            ]
            .concat(),
            [
                line(b"packfile\n"),
                line(b"\x02progress\r"),
                line(b"\x01PACK..."),
                line(b"\x03fatal: broken"),
                b"0000".to_vec(),
            ]
            .concat(),
            b"000eversion 2\n0001000dls-refs=x\n00020004".to_vec(),
        ];
        let pieces: [&[u8]; 12] = [
            b"0000",
            b"0001",
            b"0003",
            b"0004",
            b"0005\x03",
            b"fff0",
            b"ffff",
            b"+00f",
            b"ERR ",
            b"\x03\x1b[31m",
            b"PACK",
            b"\xff",
        ];
        feed(1000, &seeds, &pieces, |stream, _| {
            if stream.is_empty() {
                return;
            }
            if let (Some(ServerMessage::Error(text)), _) = heard(stream) {
                assert!(!text.chars().any(char::is_control), "{text:?}");
                assert!(text.len() <= 4 * MAX_KEPT_MESSAGE, "{}", text.len());
            }
        });
    }
}
