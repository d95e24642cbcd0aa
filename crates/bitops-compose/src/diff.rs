//! Two compositions of one environment compared, file by file, as `diff -u` would.

use std::collections::BTreeMap;

use compose_model::{ExitCode, FileMode, TreePath, text::escape};
use compose_plan::{
    compose::{ComposedFile, Composition, Write},
    layer::{Contents as _, LocalKind, LocalTree as _},
    lock::Locked,
};
use similar::TextDiff;

use crate::{
    commands::update::Change,
    gather::Gathered,
    job::Job,
    local::DiskTree,
    problem::{Failure, Problem},
};

/// GitHub takes 65,536 characters for the text of a pull request; this leaves room for what others add.
const MOST_MARKDOWN: usize = 60_000;

/// What would change in one composed file.
pub(crate) struct FileDiff {
    /// Relative to the operations repo.
    pub(crate) path: String,
    /// In unified format, with git's words for modes and for what is no text.
    pub(crate) text: String,
}

/// What a composition has at a path.
struct Side {
    bytes: Vec<u8>,
    mode: FileMode,
}

/// The files that differ, by path. Files of the user's own that no source touches are the same on both sides.
pub(crate) fn files(
    job: &Job,
    (old, before): (&Composition, &Gathered),
    (new, after): (&Composition, &Gathered),
) -> Result<Vec<FileDiff>, Failure> {
    let mut paths: BTreeMap<&TreePath, (Option<&ComposedFile>, Option<&ComposedFile>)> = BTreeMap::new();
    for file in &old.files {
        paths.entry(&file.path).or_default().0 = Some(file);
    }
    for file in &new.files {
        paths.entry(&file.path).or_default().1 = Some(file);
    }
    let local = DiskTree::new(&job.root);
    let mut diffs = Vec::new();
    for (path, (was, is)) in paths {
        if same_blob(was, is) {
            continue;
        }
        let was = side(path, was, before, &local)?;
        let is = side(path, is, after, &local)?;
        let text = unified(path.as_str(), was.as_ref(), is.as_ref());
        if !text.is_empty() {
            diffs.push(FileDiff {
                path: path.to_string(),
                text,
            });
        }
    }
    Ok(diffs)
}

/// Told without reading them, for the many that stay.
fn same_blob(was: Option<&ComposedFile>, is: Option<&ComposedFile>) -> bool {
    match (was.map(|file| &file.write), is.map(|file| &file.write)) {
        (Some(Write::Blob { file: was, .. }), Some(Write::Blob { file: is, .. })) => {
            (was.blob, was.mode) == (is.blob, is.mode)
        }
        (was, is) => was == is,
    }
}

fn side(
    path: &TreePath,
    file: Option<&ComposedFile>,
    gathered: &Gathered,
    local: &DiskTree,
) -> Result<Option<Side>, Failure> {
    let failed = |error| Failure::from(Problem::from_error(ExitCode::Unreachable, &error));
    Ok(match file.map(|file| &file.write) {
        Some(Write::Blob { source, file }) => Some(Side {
            bytes: gathered.read(*source, file).map_err(failed)?.to_vec(),
            mode: file.mode,
        }),
        Some(Write::Bytes { bytes, mode }) => Some(Side {
            bytes: bytes.clone(),
            mode: *mode,
        }),
        // Where no source touches it, it is the user's own file, if there is one.
        Some(Write::Local) | None => match local.kind(path).map_err(failed)? {
            Some(LocalKind::File(mode)) => Some(Side {
                bytes: local.read(path).map_err(failed)?.to_vec(),
                mode,
            }),
            _ => None,
        },
    })
}

fn unified(path: &str, was: Option<&Side>, is: Option<&Side>) -> String {
    let mut out = String::new();
    match (was, is) {
        (Some(was), Some(is)) if was.mode != is.mode => {
            out.push_str(&format!(
                "{path}: mode {:04o} -> {:04o}\n",
                was.mode.bits(),
                is.mode.bits()
            ));
        }
        _ => {}
    }
    let bytes = |side: Option<&Side>| side.map_or(Vec::new(), |side| side.bytes.clone());
    let (old, new) = (bytes(was), bytes(is));
    let name = |side: Option<&Side>, prefix: &str| match side {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name(was, "a"), name(is, "b"));
    if old == new && was.is_some() == is.is_some() {
        return out;
    }
    match (std::str::from_utf8(&old), std::str::from_utf8(&new)) {
        (Ok(old), Ok(new)) if !old.is_empty() || !new.is_empty() => {
            let diff = TextDiff::from_lines(old, new);
            let diff = diff
                .unified_diff()
                .context_radius(3)
                .header(&from, &to)
                .to_string();
            out.extend(diff.split_inclusive('\n').map(printable));
        }
        (Ok(_), Ok(_)) => out.push_str(&format!("--- {from}\n+++ {to}\n")),
        _ => out.push_str(&format!("Binary files {from} and {to} differ\n")),
    }
    out
}

/// A line of a source, fit for a terminal; tabs are text.
fn printable(line: &str) -> String {
    let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    let (text, end) = text.strip_suffix('\r').map_or((text, end), |text| (text, "\r\n"));
    let parts: Vec<String> = text.split('\t').map(|part| escape(part, usize::MAX)).collect();
    parts.join("\t") + end
}

/// The repo and the environment of a change.
pub(crate) fn source(change: &Change<'_>) -> (String, String) {
    let of = |locked: &Locked| (locked.repo.to_string(), locked.environment.to_string());
    change.1.or(change.0).map(of).unwrap_or_default()
}

/// What a change leads from and to, for people.
pub(crate) fn versions(change: &Change<'_>) -> (String, String) {
    let (before, after) = change;
    let same_name = matches!((before, after), (Some(a), Some(b)) if a.resolved == b.resolved);
    let name = |locked: &Locked| {
        let name = locked.name();
        let commit = locked.commit.short();
        if same_name && !name.contains(&commit) {
            format!("{name} ({commit})")
        } else {
            name
        }
    };
    (
        before.map_or_else(|| "new".to_owned(), name),
        after.map_or_else(|| "gone".to_owned(), name),
    )
}

/// For the text of a pull request: a table of the sources, and the difference behind a fold.
pub(crate) fn markdown(
    environment: &str,
    changes: &[Change<'_>],
    files: &[FileDiff],
    dry_run: bool,
) -> String {
    let mut out = format!("### Sources of `{environment}`\n\n");
    if changes.is_empty() {
        return out + "Nothing to update.\n";
    }
    out.push_str("| source | locked | update |\n|---|---|---|\n");
    for change in changes {
        let (repo, environment) = source(change);
        let (from, to) = versions(change);
        let cells = [format!("{environment} of {repo}"), from, to].map(|text| cell(&text));
        out.push_str(&format!("| {} | {} | {} |\n", cells[0], cells[1], cells[2]));
    }
    if !dry_run {
        return out;
    }
    if files.is_empty() {
        return out + "\nThe composed files stay the same.\n";
    }
    let diff: String = files.iter().map(|file| file.text.as_str()).collect();
    let room = MOST_MARKDOWN.saturating_sub(out.len());
    let end = diff
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= room)
        .last()
        .unwrap_or(0);
    let (shown, cut) = if diff.len() > room {
        (diff[..end].trim_end_matches(|c| c != '\n'), true)
    } else {
        (diff.as_str(), false)
    };
    // Longer than any fence in the files.
    let fence = "`".repeat(longest_run(shown).max(2) + 1);
    let count = match files.len() {
        1 => "1 composed file changes".to_owned(),
        count => format!("{count} composed files change"),
    };
    out.push_str(&format!(
        "\n<details><summary>{count}</summary>\n\n{fence}diff\n{shown}{fence}\n\n</details>\n"
    ));
    if cut {
        out.push_str(
            "\nThe rest is too long to be shown: `bitops-compose update --dry-run` prints all of it.\n",
        );
    }
    out
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text that stays in its cell. Names come from remotes.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(bytes: &[u8], mode: FileMode) -> Side {
        Side {
            bytes: bytes.to_vec(),
            mode,
        }
    }

    fn regular(text: &str) -> Side {
        side(text.as_bytes(), FileMode::Regular)
    }

    fn of(was: Option<Side>, is: Option<Side>) -> String {
        unified("dev/x", was.as_ref(), is.as_ref())
    }

    #[test]
    fn modes_bytes_and_ends_of_files_are_told() {
        assert_eq!(of(Some(regular("a\n")), Some(regular("a\n"))), "");
        assert_eq!(
            of(Some(regular("a")), Some(side(b"a", FileMode::Executable))),
            "dev/x: mode 0644 -> 0755\n"
        );
        assert_eq!(
            of(Some(side(b"\xff", FileMode::Regular)), Some(regular("a"))),
            "Binary files a/dev/x and b/dev/x differ\n"
        );
        assert_eq!(of(None, Some(regular(""))), "--- /dev/null\n+++ b/dev/x\n");
        assert_eq!(
            of(Some(regular("a\n")), Some(regular("b"))),
            "--- a/dev/x\n+++ b/dev/x\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn a_terminal_obeys_nothing_of_a_file() {
        let text = of(None, Some(regular("\ta\x1b[31mb\r\n")));
        assert!(text.ends_with("+\ta\\u{1b}[31mb\r\n"), "{text:?}");
    }

    #[test]
    fn a_pull_request_is_not_broken_by_what_it_shows() {
        let lock = "format: 1\nsources:\n- repo: https://host/a\n  environment: eks\n  version: \"1.0.0\"\n  tag: \"1.0.0\"\n  \
                    commit: \"0101010101010101010101010101010101010101\"\n  tree: \"0101010101010101010101010101010101010101\"\n...\n";
        let lock = compose_plan::lock::Lock::parse(&"lock".into(), &lock.into()).unwrap();
        let changes = [(None, lock.sources.first())];
        let file = |text: String| FileDiff {
            path: "dev/x".to_owned(),
            text,
        };
        let fenced = markdown("dev", &changes, &[file("+````\n".to_owned())], true);
        assert!(fenced.contains("\n`````diff\n+````\n`````\n"), "{fenced}");
        let long = markdown("dev", &changes, &[file("+é\n".repeat(30_000))], true);
        assert!((50_000..65_536).contains(&long.len()), "{}", long.len());
        assert!(
            long.contains("+é\n```\n\n</details>\n\nThe rest is too long"),
            "cut at the end of a line"
        );
    }
}
