//! Splits commits and tags into the signed bytes and the signature, exactly as git does.

use compose_model::text;

use crate::error::{Object, Unverified};

/// Where a signature may begin: git's own list (`gpg-interface.c`).
const ARMOR: [&[u8]; 4] = [
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];

/// An object with a signature that has not been verified yet.
pub(super) struct Signed {
    pub(super) object: Object,
    /// The bytes that were signed.
    pub(super) payload: Vec<u8>,
    /// The armoured signature.
    pub(super) signature: Vec<u8>,
    /// The committer's or tagger's time, at which the key must have been valid, as for git.
    pub(super) time: i64,
}

/// The content of a tag. It can be trusted only once the signature is verified.
pub(super) struct Tag {
    /// The raw name, which is compared byte for byte.
    pub(super) name: Vec<u8>,
    /// The kind of the target, escaped.
    pub(super) kind: String,
    /// The id of the target, escaped.
    pub(super) target: String,
    pub(super) signed: Signed,
}

/// Splits a raw commit. The signed bytes are everything except the signature's own header (and `gpgsig-sha256`, which
/// holds the signature of the SHA-256 form of the same commit).
///
/// It is stricter than git where git guesses: it refuses a second signature, and a header that merely begins with
/// `gpgsig`, which git leaves out of the signed bytes.
pub(super) fn commit(raw: &[u8]) -> Result<Signed, Unverified> {
    let malformed = |why: &str| Unverified::Malformed {
        object: Object::Commit,
        why: why.into(),
    };
    if !raw.starts_with(b"tree ") {
        return Err(malformed("it does not begin with its tree"));
    }
    let (headers, message) = split_headers(raw);
    let mut payload = Vec::with_capacity(raw.len());
    let mut signature: Option<Vec<u8>> = None;
    let mut time = None;
    let mut inside = Header::Signed;
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        let value = match line.strip_prefix(b" ") {
            Some(continued) => continued,
            None => {
                let (name, value) = name_and_value(line);
                inside = match name {
                    b"gpgsig" if signature.is_some() => return Err(malformed("it carries two signatures")),
                    b"gpgsig" => Header::Signature,
                    b"gpgsig-sha256" => Header::OtherSignature,
                    _ if name.starts_with(b"gpgsig") => {
                        return Err(malformed("it has a header that only looks like a signature"));
                    }
                    _ => Header::Signed,
                };
                if name == b"committer" && time.is_none() {
                    time = Some(time_of(value));
                }
                value
            }
        };
        match inside {
            Header::Signed => payload.extend_from_slice(line),
            Header::Signature => signature.get_or_insert_default().extend_from_slice(value),
            Header::OtherSignature => {}
        }
    }
    payload.extend_from_slice(message);
    let signature = signature.ok_or(Unverified::Unsigned {
        object: Object::Commit,
    })?;
    let time = time
        .flatten()
        .ok_or_else(|| malformed("its committer line tells no time"))?;
    Ok(Signed {
        object: Object::Commit,
        payload,
        signature,
        time,
    })
}

/// What the lines of a header belong to.
#[derive(Clone, Copy)]
enum Header {
    Signed,
    Signature,
    OtherSignature,
}

/// Splits a raw annotated tag. The signed bytes are everything before the last line that begins a signature.
pub(super) fn tag(raw: &[u8]) -> Result<Tag, Unverified> {
    let malformed = |why: &str| Unverified::Malformed {
        object: Object::Tag,
        why: why.into(),
    };
    let (headers, message) = split_headers(raw);
    let mut lines = headers.split_inclusive(|byte| *byte == b'\n').map(name_and_value);
    let mut header = |wanted: &'static str| match lines.next() {
        Some((name, value)) if name == wanted.as_bytes() => Ok(value.strip_suffix(b"\n").unwrap_or(value)),
        _ => Err(malformed(&format!("its `{wanted}` line is missing"))),
    };
    let target = header("object")?;
    let kind = header("type")?;
    let name = header("tag")?;
    let tagger = header("tagger");
    if lines.any(|(name, _)| name.starts_with(b"gpgsig")) {
        return Err(malformed("it has a signature among its headers"));
    }
    let start = last_armor(message).ok_or(Unverified::Unsigned { object: Object::Tag })?;
    let (text, signature) = message.split_at(start);
    let time = time_of(tagger?).ok_or_else(|| malformed("its tagger line tells no time"))?;
    Ok(Tag {
        name: name.to_vec(),
        kind: escape(kind, 20),
        target: escape(target, 64),
        signed: Signed {
            object: Object::Tag,
            payload: [headers, text].concat(),
            signature: signature.to_vec(),
            time,
        },
    })
}

/// Escapes bytes of an object for printing.
pub(super) fn escape(bytes: &[u8], limit: usize) -> String {
    text::escape(&String::from_utf8_lossy(bytes), limit)
}

/// Splits an object into its header lines and the rest, which starts with the empty line.
fn split_headers(raw: &[u8]) -> (&[u8], &[u8]) {
    let end = raw
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map_or(raw.len(), |at| at + 1);
    raw.split_at(end)
}

/// Splits a header line. Without a space in it, the name includes the line break and so matches no known header.
fn name_and_value(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, b""),
    }
}

/// Parses the seconds of `Name <mail> 1700000000 +0100`.
fn time_of(ident: &[u8]) -> Option<i64> {
    let after = ident
        .rsplit(|byte| *byte == b'>')
        .next()
        .filter(|after| after.len() < ident.len())?;
    let seconds = std::str::from_utf8(after).ok()?.split_ascii_whitespace().next()?;
    seconds
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| seconds.parse().ok())?
}

fn last_armor(message: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if ARMOR.iter().any(|armor| line.starts_with(armor)) {
            found = Some(at);
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "tree 0123\nauthor A <a> 1 +0000\n";

    fn why(result: Result<Signed, Unverified>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn only_the_signature_is_left_out_of_what_is_signed() {
        let raw = format!(
            "{HEAD}committer C <c> 1700000000 +0100\ngpgsig one\n two\n \n three\nmergetag object 1\n  x\n\
             gpgsig-sha256 other\n more\nencoding x\n\nmessage\r\n\ngpgsig not a header\n"
        );
        let signed = commit(raw.as_bytes()).unwrap();
        assert_eq!(signed.signature, b"one\ntwo\n\nthree\n");
        assert_eq!(signed.time, 1_700_000_000);
        let payload = format!(
            "{HEAD}committer C <c> 1700000000 +0100\nmergetag object 1\n  x\nencoding x\n\n\
             message\r\n\ngpgsig not a header\n"
        );
        assert_eq!(String::from_utf8(signed.payload).unwrap(), payload);
    }

    #[test]
    fn commits_that_git_would_guess_at_are_refused() {
        let with = |headers: &str| why(commit(format!("{HEAD}{headers}\nmessage\n").as_bytes()));
        assert_eq!(with("committer C <c> 1 +0000\n"), "the commit is not signed");
        assert!(with("committer C <c> 1 +0000\ngpgsig a\ngpgsig b\n").contains("two signatures"));
        for lookalike in ["gpgsigx b\n", "gpgsig\n b\n", "gpgsig\tb\n"] {
            let committer = "committer C <c> 1 +0000\n";
            assert!(
                with(&format!("{committer}{lookalike}")).contains("only looks like"),
                "{lookalike:?}"
            );
        }
        for committer in [
            "",
            "committer C <c>\n",
            "committer C <c> -1 +0000\n",
            "committer 1 +0000\n",
        ] {
            assert!(
                with(&format!("{committer}gpgsig a\n")).contains("tells no time"),
                "{committer:?}"
            );
        }
        assert!(why(commit(b"gpgsig a\ntree 0123\n\n")).contains("does not begin with its tree"));
        assert!(why(commit(b"")).contains("does not begin with its tree"));
    }

    #[test]
    fn a_tags_signature_is_the_last_one() {
        let head = "object 0123\ntype commit\ntag v1\ntagger T <t> 7 +0000\n";
        let raw =
            format!("{head}\ntext\n-----BEGIN PGP SIGNATURE-----\na\n-----BEGIN SSH SIGNATURE-----\nb\n");
        let tag = tag(raw.as_bytes()).unwrap();
        assert_eq!(
            (tag.name.as_slice(), tag.kind.as_str(), tag.target.as_str()),
            (&b"v1"[..], "commit", "0123")
        );
        assert_eq!(tag.signed.signature, b"-----BEGIN SSH SIGNATURE-----\nb\n");
        assert_eq!(tag.signed.time, 7);
        assert!(tag.signed.payload.ends_with(b"\na\n"));
    }

    #[test]
    fn tags_that_git_would_not_write_are_refused() {
        let sig = "-----BEGIN SSH SIGNATURE-----\nb\n";
        for (raw, expected) in [
            (
                "object 1\ntype commit\ntag v\ntagger T <t> 7 +0000\n\ntext\n".to_owned(),
                "is not signed",
            ),
            (
                format!("object 1\ntype commit\ntag v\ntagger T <t> 7 +0000\n\ntext {sig}"),
                "is not signed",
            ),
            (
                format!("type commit\nobject 1\ntag v\ntagger T <t> 7 +0000\n\n{sig}"),
                "`object` line is missing",
            ),
            (
                format!("object 1\ntype commit\ntag v\n\n{sig}"),
                "`tagger` line is missing",
            ),
            (
                format!("object 1\ntype commit\ntag v\ntagger T <t> x\n\n{sig}"),
                "tells no time",
            ),
            (
                format!("object 1\ntype commit\ntag v\ntagger T <t> 7\ngpgsig x\n\n{sig}"),
                "among its headers",
            ),
            (String::new(), "`object` line is missing"),
        ] {
            let error = tag(raw.as_bytes())
                .err()
                .unwrap_or_else(|| panic!("{raw:?} is taken"))
                .to_string();
            assert!(error.contains(expected), "{raw:?}: {error}");
        }
    }
}
