//! Decodes one tree object.

use compose_model::{FileMode, ObjectId};

use crate::{error::TreeProblem, names::printable_name};

/// The type of an entry by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Tree,
    File(FileMode),
    Link,
    Submodule,
    /// A mode that git does not write.
    Unknown(u32),
}

/// One entry, with its name unchecked.
#[derive(Debug)]
pub(crate) struct TreeEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) id: ObjectId,
}

/// Decodes a tree's entries and checks that they are in git's order without repetition. Names are
/// not checked here.
///
/// gix's iterator is not used: it takes a socket for a directory and unknown modes for submodules,
/// and truncates modes to 16 bits.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Vec<TreeEntry>, TreeProblem> {
    let mut entries: Vec<TreeEntry> = Vec::new();
    while !bytes.is_empty() {
        let (entry, rest) =
            split_entry(bytes).ok_or_else(|| TreeProblem::Malformed("it cannot be decoded".to_owned()))?;
        if entries
            .last()
            .is_some_and(|last| sort_key(last).ge(sort_key(&entry)))
        {
            return Err(TreeProblem::Malformed(format!(
                "`{}` is repeated or out of order",
                printable_name(&entry.name)
            )));
        }
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// Splits off the first entry: `<octal mode> <name> NUL <20 bytes of id>`.
fn split_entry(bytes: &[u8]) -> Option<(TreeEntry, &[u8])> {
    let space = bytes
        .iter()
        .position(|byte| *byte == b' ')
        .filter(|length| (1..=6).contains(length))?;
    let (mode, rest) = (&bytes[..space], &bytes[space + 1..]);
    let mode = mode
        .iter()
        .all(|digit| (b'0'..=b'7').contains(digit))
        .then_some(mode)?;
    let mode = mode
        .iter()
        .fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0'));
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (&rest[..end], &rest[end + 1..]);
    let (id, rest) = rest.split_first_chunk::<20>()?;
    let kind = match mode & 0o170_000 {
        0o040_000 => EntryKind::Tree,
        0o120_000 => EntryKind::Link,
        0o160_000 => EntryKind::Submodule,
        0o100_000 if mode & 0o111 != 0 => EntryKind::File(FileMode::Executable),
        0o100_000 => EntryKind::File(FileMode::Regular),
        _ => EntryKind::Unknown(mode),
    };
    Some((
        TreeEntry {
            name: name.to_vec(),
            kind,
            id: ObjectId::from_bytes(*id),
        },
        rest,
    ))
}

/// Returns the key of git's order, in which directory names end in a slash.
fn sort_key(entry: &TreeEntry) -> impl Iterator<Item = &u8> {
    let slash = (entry.kind == EntryKind::Tree).then_some(&b'/');
    entry.name.iter().chain(slash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(entries: &[(&str, &str)]) -> Vec<u8> {
        entries
            .iter()
            .flat_map(|(mode, name)| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[7; 20]].concat())
            .collect()
    }

    fn kind(mode: &str) -> EntryKind {
        parse(&raw(&[(mode, "x")])).unwrap()[0].kind
    }

    #[test]
    fn modes_map_to_entry_kinds() {
        assert_eq!(kind("100644"), EntryKind::File(FileMode::Regular));
        assert_eq!(kind("100664"), EntryKind::File(FileMode::Regular));
        for mode in ["100755", "100777", "104755"] {
            assert_eq!(kind(mode), EntryKind::File(FileMode::Executable), "{mode}");
        }
        assert_eq!(
            (kind("40000"), kind("120000"), kind("160000")),
            (EntryKind::Tree, EntryKind::Link, EntryKind::Submodule)
        );
        for mode in ["10644", "20000", "60000", "140000"] {
            assert!(matches!(kind(mode), EntryKind::Unknown(_)), "{mode}");
        }
    }

    #[test]
    fn entries_out_of_order_or_repeated_are_refused() {
        assert!(parse(&raw(&[("100644", "a.b"), ("40000", "a"), ("100644", "a0")])).is_ok());
        for wrong in [
            [("100644", "b"), ("100644", "a")],
            [("100644", "a"), ("100644", "a")],
            [("120000", "a"), ("120000", "a")],
        ] {
            assert!(
                matches!(parse(&raw(&wrong)), Err(TreeProblem::Malformed(_))),
                "{wrong:?}"
            );
        }
        for torn in [
            &b"100644 x"[..],
            b"100644",
            b"99 x\0",
            b" x\0aaaaaaaaaaaaaaaaaaaa",
            b"1006440 x\0aaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(parse(torn).is_err(), "{torn:?}");
        }
    }
}
