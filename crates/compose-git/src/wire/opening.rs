//! The first lines of a handshake, made harmless before gix reads them.
//!
//! Protocols 0 and 1 send all refs at once, and their first line ends in the server's capabilities.
//! gix ends the program (`unreachable!`) if `symref=HEAD:refs/heads/main` names a ref that the list
//! lacks, which a server with `transfer.hideRefs` sends in good faith. The capability is removed, and
//! what it says of `HEAD` is passed on under a name that gix does not know ([`HEAD_SYMREF`]). gix does not accept the line `version 1` either,
//! although the rest of that protocol is protocol 0.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// The capability that names the branch behind `HEAD`, as `HEAD:refs/heads/main`. It has the length
/// of `symref`, so that the line has its own.
pub(crate) const HEAD_SYMREF: &str = "SYMREF";

/// The longest packet line, with its length.
const LONGEST_LINE: usize = 65_520;

/// Holds back the start of an answer until it is known to be harmless.
#[derive(Default)]
pub(super) struct Opening {
    held: BytesMut,
    is_over: bool,
}

impl Opening {
    /// Takes the next bytes and returns those that the reader may have. `at_end` says that no more
    /// will come.
    pub(super) fn pass(&mut self, chunk: Bytes, at_end: bool) -> Bytes {
        if self.is_over {
            return chunk;
        }
        self.held.extend_from_slice(&chunk);
        match rewritten(&self.held) {
            None if !at_end && self.held.len() < 3 * LONGEST_LINE => Bytes::new(),
            None => {
                self.is_over = true;
                self.held.split().freeze()
            }
            Some((start, rest)) => {
                self.is_over = true;
                let rest = self.held.split_off(rest);
                self.held.clear();
                let mut whole = BytesMut::from(start.as_slice());
                whole.unsplit(rest);
                whole.freeze()
            }
        }
    }
}

/// Returns the start of the answer in a form that gix reads, and where the unchanged rest begins.
/// `None` if more bytes are needed.
fn rewritten(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut start = Vec::new();
    let mut at = 0;
    loop {
        let digits = bytes.get(at..at + 4)?;
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok());
        let line = match length {
            // The flush after the name of the service.
            Some(0) => &bytes[at + 4..at + 4],
            Some(length @ 5..=LONGEST_LINE) => bytes.get(at + 4..at + length)?,
            // Not packet lines: gix says so.
            _ => return Some((start, at)),
        };
        let next = at + 4 + line.len();
        if line == b"version 1\n" || line == b"version 1" {
            at = next;
        } else if line.is_empty() || line.starts_with(b"# service=") {
            start.extend_from_slice(&bytes[at..next]);
            at = next;
        } else if let Some(nul) = line.iter().position(|byte| *byte == 0) {
            let (reference, capabilities) = line.split_at(nul + 1);
            let kept = with_harmless_symrefs(capabilities);
            let length = 4 + reference.len() + kept.len();
            start.extend_from_slice(format!("{length:04x}").as_bytes());
            start.extend_from_slice(reference);
            start.extend_from_slice(&kept);
            return Some((start, next));
        } else {
            return Some((start, at));
        }
    }
}

fn with_harmless_symrefs(capabilities: &[u8]) -> Vec<u8> {
    let (words, end) = match capabilities.strip_suffix(b"\n") {
        Some(words) => (words, &b"\n"[..]),
        None => (capabilities, &b""[..]),
    };
    let kept: Vec<Cow<'_, [u8]>> = words
        .split(|byte| *byte == b' ')
        .filter(|word| !word.starts_with(HEAD_SYMREF.as_bytes()))
        .filter_map(|word| match word.strip_prefix(b"symref=") {
            None => Some(Cow::Borrowed(word)),
            Some(value) => value
                .starts_with(b"HEAD:")
                .then(|| Cow::Owned([HEAD_SYMREF.as_bytes(), b"=", value].concat())),
        })
        .collect();
    [&kept.join(&b' ')[..], end].concat()
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    /// Passes the text in chunks of several sizes, which must all give the same result.
    fn passed(text: &[u8]) -> Vec<u8> {
        let results: Vec<Vec<u8>> = [1, 3, 7, text.len().max(1)]
            .into_iter()
            .map(|size| {
                let mut opening = Opening::default();
                let mut all = Vec::new();
                for chunk in text.chunks(size) {
                    all.extend_from_slice(&opening.pass(Bytes::copy_from_slice(chunk), false));
                }
                all.extend_from_slice(&opening.pass(Bytes::new(), true));
                all
            })
            .collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
        results[0].clone()
    }

    #[test]
    fn symbolic_refs_are_made_harmless_and_the_version_is_removed() {
        let id = "1".repeat(40);
        let refs = |capabilities: &str| {
            line(&format!("{id} refs/heads/main\0{capabilities}\n"))
                + &line(&format!("{id} refs/tags/1\n"))
                + "0000"
        };
        let service = line("# service=git-upload-pack\n") + "0000";
        let full = refs(" multi_ack symref=HEAD:refs/heads/x symref=a:b SYMREF=HEAD:lie agent=x");
        let plain = refs(" multi_ack SYMREF=HEAD:refs/heads/x agent=x");
        for (before, after) in [
            (service.clone() + &full, service.clone() + &plain),
            (
                service.clone() + &line("version 1\n") + &full,
                service.clone() + &plain,
            ),
            (line("version 1\n") + &full, plain.clone()),
            (full.clone(), plain.clone()),
        ] {
            assert_eq!(passed(before.as_bytes()), after.as_bytes());
        }
        for same in [
            service.clone() + &line("version 2\n") + &line("ls-refs\n") + "0000",
            service + &line("ERR go away\n"),
            "<html>".to_owned(),
            "00".to_owned(),
            "fff".to_owned(),
            "00ff# service=cut".to_owned(),
            String::new(),
        ] {
            assert_eq!(passed(same.as_bytes()), same.as_bytes(), "{same}");
        }
    }

    #[test]
    fn damaged_openings_pass_alike_in_every_chunk_size() {
        let id = "1".repeat(40);
        let seed = line("# service=git-upload-pack\n")
            + "0000"
            + &line("version 1\n")
            + &line(&format!("{id} HEAD\0 symref=HEAD:refs/heads/x agent=x\n"))
            + "0000";
        let pieces = [
            "0000",
            "0004",
            "0005",
            "fff0",
            "\0",
            " symref=",
            "\n",
            "version 1\n",
            "# service=",
        ];
        feed(1000, &[seed], &pieces, |text, _| {
            passed(text);
        });
    }
}
