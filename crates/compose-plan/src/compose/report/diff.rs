//! Shows what composing changed, as unified diffs.

use compose_model::{StyledText, styled, text::is_unprintable};
use similar::{ChangeTag, TextDiff};

use crate::{
    compose::{
        bytes::Bytes,
        composition::{Action, ComposedFile, Composition, Provenance},
        wording,
    },
    layer::{ContentsError, Origin, Source},
};

/// The size in bytes above which only the fact that texts differ is reported. Nobody reads larger
/// diffs.
const LARGEST: usize = 1 << 20;
/// The number of lines above which the same holds. Comparing takes the product of their numbers.
const MOST_LINES: usize = 20_000;
/// The bytes that all diffs of a report have together. Further files are only named.
pub const MOST_TEXT: usize = 8 << 20;

/// The change of one contribution to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    /// The composed file, relative to the environment.
    pub path: String,
    /// A unified diff with its two header lines. Control characters are escaped.
    pub text: StyledText,
}

/// One side of a diff.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The path, for the header.
    pub path: &'a str,
    /// The owner of the file, in words.
    pub whose: &'a str,
    /// The content of the file.
    pub bytes: &'a [u8],
}

/// Returns the diffs of every merged and every overridden file.
///
/// For a merged file, the diff compares the user's own file with the result, or the lowest layer's
/// file if the user has none. For an overridden file, the diffs compare each lower layer's file
/// with the one that wins.
pub fn diffs(
    composition: &Composition,
    sources: &[Source],
    bytes: &Bytes<'_>,
) -> Result<Vec<FileDiff>, ContentsError> {
    let mut all: Vec<FileDiff> = Vec::new();
    let mut length = 0;
    for file in &composition.files {
        if !matches!(file.action, Action::Merge | Action::Override) {
            continue;
        }
        if length > MOST_TEXT {
            let path = file.path.relative_to(&composition.environment).into_owned();
            let text = not_compared(&path).into();
            all.push(FileDiff { path, text });
            continue;
        }
        let (result, _) = bytes.composed(file)?;
        let whose = match (file.action, file.from.last()) {
            (Action::Override, Some(winner)) => who(winner, sources),
            _ => "composed".to_owned(),
        };
        let new = Side {
            path: file.path.as_str(),
            whose: &whose,
            bytes: &result,
        };
        for from in compared(file) {
            let old = Side {
                path: from.path.as_str(),
                whose: &who(from, sources),
                bytes: &bytes.contribution(from)?,
            };
            if let Some(text) = unified(old, new) {
                let path = file.path.relative_to(&composition.environment).into_owned();
                length += text.as_str().len();
                all.push(FileDiff { path, text });
            }
        }
    }
    Ok(all)
}

/// Returns the line in place of a diff for which there is no room.
pub fn not_compared(path: &str) -> String {
    format!("{path} is not compared: the diffs before it take all the room\n")
}

/// Returns the contributions that the result is compared with.
fn compared(file: &ComposedFile) -> &[Provenance] {
    let own = file.from.iter().position(|from| from.origin == Origin::Local);
    match (file.action, own) {
        (Action::Merge, Some(own)) => &file.from[own..=own],
        (Action::Merge, None) => &file.from[..file.from.len().min(1)],
        _ => &file.from[..file.from.len().saturating_sub(1)],
    }
}

fn who(from: &Provenance, sources: &[Source]) -> String {
    match from.origin {
        Origin::Source(id) => {
            let source = &sources[id.0];
            format!("{} {}", wording::label(source), wording::version(source))
        }
        Origin::Local => wording::label_of(Origin::Local, sources),
    }
}

/// Returns a unified diff, or `None` if both sides have the same bytes. Files that are not text, or
/// too long for a reader, are reported to differ in one line, as `diff` does.
pub fn unified(old: Side<'_>, new: Side<'_>) -> Option<StyledText> {
    if old.bytes == new.bytes {
        return None;
    }
    let header = |side: Side<'_>| format!("{}\t{}", side.path, side.whose);
    let texts = (readable(old.bytes), readable(new.bytes));
    let (Some(before), Some(after)) = texts else {
        return Some(format!("Files {} and {} differ\n", header(old), header(new)).into());
    };
    // Only `
    // ` ends a line; a lone `\r` is a character like any other.
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (before, after) = (lines(before), lines(after));
    let diff = TextDiff::configure()
        .newline_terminated(true)
        .diff_slices(&before, &after);
    let mut out = StyledText::new();
    for (mark, side) in [("---", old), ("+++", new)] {
        out.push_line(styled::HEADING, &printable(&format!("{mark} {}", header(side))));
    }
    for hunk in diff.unified_diff().iter_hunks() {
        out.push_line(styled::POSITION, &hunk.header().to_string());
        for change in hunk.iter_changes() {
            let line = printable(&format!("{}{}", change.tag(), change.value()));
            let text = line.trim_end_matches(['\n', '\r']);
            match change.tag() {
                ChangeTag::Equal => out.push(text),
                ChangeTag::Delete => out.push_styled(styled::REMOVED, text),
                ChangeTag::Insert => out.push_styled(styled::ADDED, text),
            }
            out.push(&line[text.len()..]);
            if change.missing_newline() {
                out.push("\n\\ No newline at end of file\n");
            }
        }
    }
    Some(out)
}

fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_short = || text.bytes().filter(|byte| *byte == b'\n').count() <= MOST_LINES;
    (bytes.len() <= LARGEST && !text.contains('\0') && is_short()).then_some(text)
}

/// Escapes characters that a terminal would interpret. Tabs and line ends (including `\r
/// `) count as text.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let plain = match c {
            '\t' | '\n' => true,
            '\r' => rest.peek() == Some(&'\n'),
            c => !is_unprintable(c),
        };
        if plain {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::World;

    fn diffs_of(world: &World) -> Vec<FileDiff> {
        let composition = world.composed();
        let bytes = Bytes::new(&world.layers, world, world);
        diffs(&composition, &world.layers.sources, &bytes).unwrap()
    }

    #[test]
    fn what_is_overridden_is_compared_with_what_wins() {
        let world = World::new(&[("dev/x.sh", "one\nmine\n"), ("dev/alone.sh", "x")])
            .source("eks", &[("x.sh", "one\ntheirs\n"), ("y.sh", "y")]);
        let all = diffs_of(&world);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].path, "x.sh");
        let lines: Vec<&str> = all[0].text.as_str().lines().collect();
        assert!(
            lines[0].starts_with("--- eks/x.sh\teks of https://host/org/eks-repo v1.0.0 ("),
            "{}",
            lines[0]
        );
        assert_eq!(lines[1], "+++ dev/x.sh\tyour own environment");
        assert_eq!(lines[2..], ["@@ -1,2 +1,2 @@", " one", "-theirs", "+mine"]);
    }

    #[test]
    fn of_a_merged_file_the_own_one_is_compared_with_the_result() {
        let local = &[("dev/x.kv", "b=2\n")];
        let files: &[(&str, &str)] = &[("x.kv", "a=1\n")];
        let own = diffs_of(&World::new(local).source("eks", files));
        assert!(
            own[0]
                .text
                .as_str()
                .starts_with("--- dev/x.kv\tyour own environment\n+++ dev/x.kv\tcomposed\n")
        );
        assert!(own[0].text.as_str().contains("\n+a=1\n b=2\n"), "{}", own[0].text);

        let sources = diffs_of(
            &World::new(&[])
                .source("eks", files)
                .source("web", &[("x.kv", "c=3\n")]),
        );
        assert!(
            sources[0].text.as_str().starts_with("--- eks/x.kv\t"),
            "{}",
            sources[0].text
        );
        assert!(
            sources[0].text.as_str().contains("\n a=1\n+c=3\n"),
            "{}",
            sources[0].text
        );
    }

    #[test]
    fn nothing_a_terminal_obeys_comes_through_and_no_binary_either() {
        let side = |bytes| Side {
            path: "x",
            whose: "y",
            bytes,
        };
        let text = unified(side(b"a\x1b[31m\r\n"), side(b"\tb\rc\n"))
            .unwrap()
            .into_string();
        assert!(text.contains("-a\\u{1b}[31m\r\n+\tb\\rc\n"), "{text:?}");
        assert_eq!(
            unified(side(b"\0"), side(b"a")).as_ref().map(StyledText::as_str),
            Some("Files x\ty and x\ty differ\n")
        );
        assert_eq!(unified(side(b"a"), side(b"a")), None);
        let open = unified(side(b"a"), side(b"b\n")).unwrap().into_string();
        assert!(open.contains("\\ No newline at end of file"), "{open}");
    }

    #[test]
    fn what_comes_and_goes_has_a_style_and_the_text_stays_as_it_is() {
        let side = |path, bytes| Side {
            path,
            whose: "y",
            bytes,
        };
        let (old, new) = (b"-- x\r\nsame\nend".as_slice(), b"++ x\nsame\n".as_slice());
        let text = unified(side("a", old), side("b", new)).unwrap();
        assert_eq!(
            text.to_ansi(),
            "\x1b[1m--- a\ty\x1b[0m\n\x1b[1m+++ b\ty\x1b[0m\n\x1b[36m@@ -1,3 +1,2 @@\x1b[0m\n\
             \x1b[31m--- x\x1b[0m\r\n\x1b[32m+++ x\x1b[0m\n same\n\x1b[31m-end\x1b[0m\n\
             \\ No newline at end of file\n"
        );
        let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
        let (old, new) = (str::from_utf8(old).unwrap(), str::from_utf8(new).unwrap());
        let (old, new) = (lines(old), lines(new));
        let plain = TextDiff::configure()
            .newline_terminated(true)
            .diff_slices(&old, &new)
            .unified_diff()
            .header("a\ty", "b\ty")
            .to_string();
        assert_eq!(text.as_str(), plain);
    }
}
