//! The pkt-line format of git's protocol (gitprotocol-common).

/// The packet that ends a message.
pub(crate) const FLUSH: &[u8] = b"0000";

/// The most bytes of one line, including its length.
const MAX_LINE: usize = 65_520;

/// Formats one line with its length.
pub(crate) fn line(content: &[u8]) -> Vec<u8> {
    let mut line = format!("{:04x}", content.len() + 4).into_bytes();
    line.extend_from_slice(content);
    line
}

/// Formats data on a side-band channel, in as many lines as needed.
pub(crate) fn side_band(channel: u8, data: &[u8]) -> Vec<u8> {
    data.chunks(MAX_LINE - 5)
        .flat_map(|part| {
            let mut content = vec![channel];
            content.extend_from_slice(part);
            line(&content)
        })
        .collect()
}

/// Replaces the content of every line by the result of `edit`. Bytes that are not pkt-lines are
/// kept unchanged.
pub(crate) fn rewrite(message: &[u8], edit: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some(length) = rest.get(..4).and_then(length) {
        if length < 4 {
            out.extend_from_slice(&rest[..4]);
            rest = &rest[4..];
        } else if let Some(content) = rest.get(4..length) {
            out.extend(line(&edit(content)));
            rest = &rest[length..];
        } else {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

fn length(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rewritten_and_flush_packets_are_kept() {
        let message = [
            line(b"# service=git-upload-pack\n"),
            FLUSH.to_vec(),
            line(b"fetch=shallow filter\n"),
        ]
        .concat();
        let edited = rewrite(&message, |content| {
            String::from_utf8_lossy(content)
                .replace("shallow ", "")
                .into_bytes()
        });
        assert_eq!(
            edited,
            [
                line(b"# service=git-upload-pack\n"),
                FLUSH.to_vec(),
                line(b"fetch=filter\n")
            ]
            .concat()
        );
    }

    #[test]
    fn long_data_takes_several_lines() {
        let lines = side_band(1, &vec![7; MAX_LINE]);
        assert_eq!(&lines[..5], b"fff0\x01");
        assert_eq!(&lines[MAX_LINE..], b"000a\x01\x07\x07\x07\x07\x07");
    }
}
