//! Listening in on packet lines for what a server says when it fails.
//!
//! gix turns an `ERR` line and side-band 3 into errors of several shapes, depending on where they stand, and takes a
//! stream that just ends for a protocol error. Here all of it passes anyway, so one small machine finds them for every transport.

use std::mem;

use compose_model::text::escape;

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The server's error text, escaped.
    Error(String),
    /// The stream ended before it was complete.
    Cut,
}

/// How much of what a server says is shown.
pub(crate) const SAID: usize = 400;
/// Text beyond this is not kept.
const LONGEST: usize = 1000;

#[derive(Default)]
pub(super) struct Packets {
    state: State,
    /// A line was seen after the last flush: everything that git sends ends with one.
    is_open: bool,
    error: Vec<u8>,
}

#[derive(Default)]
enum State {
    /// Up to four digits of a length.
    #[default]
    Start,
    Length([u8; 4], usize),
    /// The first bytes of a line, until it is clear what it is; bytes left in the line.
    Head(Vec<u8>, usize),
    /// Bytes left in a line; `true`: it is error text.
    Line(usize, bool),
    /// This is no packet line stream (a pack without side-band): nothing to hear.
    Deaf,
}

impl Packets {
    /// Takes the next bytes. Returns what the server said, whenever there is more of it.
    pub(super) fn observe(&mut self, mut bytes: &[u8]) -> Option<Said> {
        let before = self.error.len();
        while !bytes.is_empty() {
            self.state = match mem::take(&mut self.state) {
                State::Start => State::Length([0; 4], 0),
                State::Length(mut digits, count) => {
                    digits[count] = bytes[0];
                    bytes = &bytes[1..];
                    if count < 3 {
                        State::Length(digits, count + 1)
                    } else {
                        let next = after_length(digits);
                        self.is_open = matches!(next, State::Head(..));
                        next
                    }
                }
                State::Head(mut head, left) => {
                    head.push(bytes[0]);
                    bytes = &bytes[1..];
                    after_head(head, left - 1)
                }
                State::Line(left, heard) => {
                    let (line, rest) = bytes.split_at(left.min(bytes.len()));
                    bytes = rest;
                    if heard {
                        self.keep(line);
                    }
                    if line.len() == left {
                        State::Start
                    } else {
                        State::Line(left - line.len(), heard)
                    }
                }
                State::Deaf => {
                    bytes = &[];
                    State::Deaf
                }
            };
        }
        (self.error.len() > before).then(|| {
            let text = String::from_utf8_lossy(&self.error);
            Said::Error(escape(text.trim(), SAID))
        })
    }

    /// Did the stream end inside a line, or without a flush?
    pub(super) fn is_cut(&self) -> bool {
        match self.state {
            State::Deaf => false,
            State::Start => self.is_open,
            _ => true,
        }
    }

    fn keep(&mut self, text: &[u8]) {
        let room = LONGEST.saturating_sub(self.error.len());
        self.error.extend_from_slice(&text[..text.len().min(room)]);
    }
}

fn after_head(head: Vec<u8>, left: usize) -> State {
    let side_band_error = head[0] == 3;
    let maybe_err = b"ERR ".starts_with(&head);
    match (side_band_error, maybe_err, left) {
        (true, _, 0) => State::Start,
        (true, _, left) => State::Line(left, true),
        (false, true, left) if head.len() == 4 && left > 0 => State::Line(left, true),
        (false, true, left) if left > 0 => State::Head(head, left),
        (false, _, 0) => State::Start,
        (false, _, left) => State::Line(left, false),
    }
}

fn after_length(digits: [u8; 4]) -> State {
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        // Flush, delimiter, response end, and the empty line.
        Some(0..=4) => State::Start,
        Some(length) => State::Head(Vec::new(), length - 4),
        None => State::Deaf,
    }
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    fn line(text: &[u8]) -> Vec<u8> {
        [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
    }

    /// The same whatever the sizes of the chunks.
    fn heard(bytes: &[u8]) -> (Option<Said>, bool) {
        let results: Vec<_> = [1, 2, 3, 7, bytes.len()]
            .into_iter()
            .map(|size| {
                let mut packets = Packets::default();
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
    fn errors_are_heard_wherever_they_stand_and_escaped() {
        let error = |text: &str| Some(Said::Error(text.to_owned()));
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
    fn a_cut_is_noticed_and_a_bare_pack_is_not_understood() {
        assert_eq!(heard(&line(b"packfile\n")[..7]), (None, true));
        assert_eq!(heard(b"00"), (None, true));
        assert_eq!(heard(&line(b"packfile\n")), (None, true), "no flush");
        assert_eq!(heard(b"PACK\0\0\0\x02 and whatever"), (None, false));
    }
    #[test]
    fn damaged_streams_are_heard_the_same_in_every_chunk_and_escaped() {
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
            if let (Some(Said::Error(text)), _) = heard(stream) {
                assert!(!text.chars().any(char::is_control), "{text:?}");
                assert!(text.len() <= 4 * LONGEST, "{}", text.len());
            }
        });
    }
}
