//! Conversion of refs from gix's type, and to and from the cache's file.

use compose_model::{CommitId, ObjectId, RefEntry, Refs};
use gix::{
    hash::{Kind as Hash, hasher},
    protocol::handshake::Ref,
};

use crate::ids::from_gix;

/// The first word of the last line, which holds the hash of all lines before it.
const SUM: &str = "sha1 ";

/// Converts the refs that a server advertised. Names that are not UTF-8 are skipped: no
/// configuration can ask for them.
pub(crate) fn from_advertised(refs: &[Ref]) -> Vec<RefEntry> {
    refs.iter()
        .filter_map(|advertised| {
            let (name, object, peeled) = advertised.unpack();
            let object = from_gix(object?)?;
            let target = peeled.and_then(from_gix).unwrap_or(object);
            let name = std::str::from_utf8(name).ok()?;
            let symref = match advertised {
                Ref::Symbolic { target, .. } => std::str::from_utf8(target).ok(),
                _ => None,
            };
            Some(RefEntry {
                name: name.to_owned(),
                object,
                target: CommitId(target),
                symref: symref.map(str::to_owned),
            })
        })
        .collect()
}

/// Returns the refs that start with one of the prefixes.
pub(crate) fn select(entries: impl IntoIterator<Item = RefEntry>, prefixes: &[String]) -> Vec<RefEntry> {
    entries
        .into_iter()
        .filter(|entry| {
            prefixes
                .iter()
                .any(|prefix| entry.name.starts_with(prefix.as_str()))
        })
        .collect()
}

/// Returns whether a request for the prefixes `asked` covers all refs with `prefix`.
pub(crate) fn is_covered(prefix: &str, asked: &[String]) -> bool {
    asked.iter().any(|asked| prefix.starts_with(asked.as_str()))
}

/// Writes `prefix <name>` lines, then `<object> <target> <name>` lines, each followed by a
/// `symref <name>` line if the ref stands for another one. Names with control characters, which git
/// does not allow, are skipped. The last line holds a hash of the others: a file that was cut at the
/// end of a line must not pass for an older state of the repo.
pub(crate) fn to_text(prefixes: &[String], refs: &Refs) -> String {
    let plain = |name: &str| !name.chars().any(char::is_control);
    let mut text = String::new();
    for prefix in prefixes.iter().filter(|prefix| plain(prefix)) {
        text.push_str(&format!("prefix {prefix}\n"));
    }
    for entry in refs.iter().filter(|entry| plain(&entry.name)) {
        text.push_str(&format!("{} {} {}\n", entry.object, entry.target, entry.name));
        if let Some(symref) = entry.symref.as_deref().filter(|name| plain(name)) {
            text.push_str(&format!("symref {symref}\n"));
        }
    }
    text.push_str(&sum_line(&text));
    text
}

/// Returns the last line of a file with these lines.
fn sum_line(lines: &str) -> String {
    let mut hasher = hasher(Hash::Sha1);
    hasher.update(lines.as_bytes());
    // Hashing fails only for a SHA-1 collision attack; the file then counts as incomplete.
    let sum = hasher.try_finalize().map(|id| id.to_hex().to_string());
    format!("{SUM}{}\n", sum.unwrap_or_default())
}

/// Reads what [`to_text`] wrote. Returns `None` if the file is incomplete or was changed.
pub(crate) fn from_text(text: &str) -> Option<(Vec<String>, Refs)> {
    let (mut prefixes, mut entries) = (Vec::new(), Vec::<RefEntry>::new());
    let end = text.strip_suffix('\n')?.rfind('\n').map_or(0, |at| at + 1);
    let (lines, last) = text.split_at(end);
    if last != sum_line(lines) {
        return None;
    }
    for line in lines.lines() {
        if let Some(prefix) = line.strip_prefix("prefix ") {
            prefixes.push(prefix.to_owned());
            continue;
        }
        if let Some(symref) = line.strip_prefix("symref ") {
            entries.last_mut()?.symref = Some(symref.to_owned());
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let object: ObjectId = words.next()?.parse().ok()?;
        let target: CommitId = words.next()?.parse().ok()?;
        entries.push(RefEntry {
            name: words.next()?.to_owned(),
            object,
            target,
            symref: None,
        });
    }
    Some((prefixes, Refs::new(entries)))
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    #[test]
    fn refs_survive_writing_and_reading() {
        let id: ObjectId = "1".repeat(40).parse().unwrap();
        let entry = |name: &str| RefEntry {
            name: name.to_owned(),
            object: id,
            target: CommitId(id),
            symref: None,
        };
        let head = RefEntry {
            symref: Some("refs/heads/a b".to_owned()),
            ..entry("HEAD")
        };
        let refs = Refs::new(vec![entry("refs/tags/1.0.0"), head, entry("refs/heads/a b")]);
        let prefixes = vec!["refs/tags/".to_owned()];
        let text = to_text(&prefixes, &refs);
        assert_eq!(from_text(&text), Some((prefixes, refs)));
        for end in 0..text.len() {
            assert_eq!(from_text(&text[..end]), None, "a file that was cut at {end}");
        }
        let without_a_line = text.replacen("symref refs/heads/a b\n", "", 1);
        assert_ne!(without_a_line, text);
        assert_eq!(from_text(&without_a_line), None);
        assert_eq!(from_text("nonsense\n"), None);
    }

    #[test]
    fn damaged_files_are_refused_or_survive_a_round_trip() {
        let id = "1".repeat(40);
        let seeds = [
            format!("prefix refs/tags/\nprefix HEAD\n{id} {id} refs/tags/1.0.0\n{id} {id} refs/heads/a b\n"),
            format!("{id} {id} HEAD\nsymref refs/heads/a b\n"),
        ];
        let pieces = [
            "\n", "\r\n", " ", "prefix ", "prefix", "symref ", &id, "\0", "\t", "\u{85}", "refs/",
        ];
        feed(1000, &seeds, &pieces, |text, _| {
            // With a matching sum, so that the damage reaches the parser.
            let mut text = String::from_utf8_lossy(text).into_owned();
            text.push_str(&sum_line(&text));
            if let Some((prefixes, refs)) = from_text(&text) {
                for entry in refs.iter() {
                    let line = format!("{} {} {}", entry.object, entry.target, entry.name);
                    assert!(
                        text.lines().any(|whole| whole.eq_ignore_ascii_case(&line)),
                        "{line}"
                    );
                }
                let written = to_text(&prefixes, &refs);
                if !written.is_empty() {
                    let (prefixes, refs) = from_text(&written).unwrap();
                    assert_eq!(to_text(&prefixes, &refs), written);
                }
            }
        });
    }
}
