//! Compares two compositions of one environment, file by file.

use std::{collections::BTreeMap, sync::Arc};

use compose_model::{Failure, FileMode, TreePath, filter::is_hook};
use compose_plan::{
    compose::{
        ComposedFile, Composition, Write,
        bytes::Bytes,
        report::diff::{MOST_TEXT, Side, not_compared, unified},
    },
    layer::{LocalKind, LocalTree as _},
    lock::Change,
};
use compose_sources::Gathered;

use crate::{job::Job, local::DiskTree};

/// GitHub takes 65,536 characters for the text of a pull request; this leaves room for what others add.
const MOST_MARKDOWN: usize = 60_000;

/// What would change in one composed file.
pub(crate) struct FileDiff {
    /// The path, relative to the operations repo.
    pub(crate) path: String,
    /// A unified diff, after a line of its own for a changed mode. Control characters are escaped.
    pub(crate) text: String,
    /// Whether it is a hook or an executable, before or after: it runs with the deployment's credentials.
    pub(crate) runs: bool,
}

/// Returns whether a composed file is executable. The user's own files are not asked: no source brings them.
fn is_executable(file: &ComposedFile) -> bool {
    file.write.mode() == Some(FileMode::Executable)
}

/// What a composition has at a path.
type Content = (Arc<[u8]>, FileMode);

/// One of the two compositions.
pub(crate) struct State<'a> {
    /// The environment that it is of.
    pub(crate) job: &'a Job,
    pub(crate) composition: &'a Composition,
    pub(crate) gathered: &'a Gathered,
    /// What it is called in the headers of the diffs.
    pub(crate) name: &'a str,
}

/// Returns the files that differ, by path.
///
/// Of two compositions of one operations repo, the user's own files that no source touches are the same.
pub(crate) fn files(old: &State<'_>, new: &State<'_>) -> Result<Vec<FileDiff>, Failure> {
    let mut paths: BTreeMap<&TreePath, (Option<&ComposedFile>, Option<&ComposedFile>)> = BTreeMap::new();
    for file in &old.composition.files {
        paths.entry(&file.path).or_default().0 = Some(file);
    }
    for file in &new.composition.files {
        paths.entry(&file.path).or_default().1 = Some(file);
    }
    let is_one_repo = old.job.root == new.job.root;
    let (local_before, local_after) = (DiskTree::of(old.job), DiskTree::of(new.job));
    let before = Bytes::new(&old.gathered.layers, old.gathered, &local_before);
    let after = Bytes::new(&new.gathered.layers, new.gathered, &local_after);
    let mut diffs: Vec<FileDiff> = Vec::new();
    let mut length = 0;
    for (path, (was, is)) in paths {
        if same_blob(was, is, is_one_repo) {
            continue;
        }
        let runs = is_hook(path) || [was, is].into_iter().flatten().any(is_executable);
        if length > MOST_TEXT {
            diffs.push(FileDiff {
                path: path.to_string(),
                text: not_compared(path.as_str()),
                runs,
            });
            continue;
        }
        let was = content(path, was, &before, &local_before)?;
        let is = content(path, is, &after, &local_after)?;
        if let Some(text) = diff(path.as_str(), (was.as_ref(), old.name), (is.as_ref(), new.name)) {
            length += text.len();
            diffs.push(FileDiff {
                path: path.to_string(),
                text,
                runs,
            });
        }
    }
    Ok(diffs)
}

/// Returns whether the files are the same, without reading them: most files do not change.
fn same_blob(was: Option<&ComposedFile>, is: Option<&ComposedFile>, is_one_repo: bool) -> bool {
    match (was.map(|file| &file.write), is.map(|file| &file.write)) {
        (Some(Write::Local), Some(Write::Local)) => is_one_repo,
        (Some(Write::Blob { file: was, .. }), Some(Write::Blob { file: is, .. })) => {
            (was.blob, was.mode) == (is.blob, is.mode)
        }
        (was, is) => was == is,
    }
}

/// Returns what a composition has at a path; `None` means nothing.
///
/// Where no source touches the path, that is the user's own file, if there is one.
fn content(
    path: &TreePath,
    file: Option<&ComposedFile>,
    bytes: &Bytes<'_>,
    local: &DiskTree,
) -> Result<Option<Content>, Failure> {
    let found = match file {
        Some(file) => bytes.composed(file).map(Some),
        None => match local.kind(path) {
            Ok(Some(LocalKind::File(mode))) => local.read(path).map(|bytes| Some((bytes, mode))),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        },
    };
    Ok(found?)
}

fn diff(
    path: &str,
    (was, old_name): (Option<&Content>, &str),
    (is, new_name): (Option<&Content>, &str),
) -> Option<String> {
    let mut out = String::new();
    if let (Some((_, was)), Some((_, is))) = (was, is)
        && was != is
    {
        out = format!("{path}: mode {:04o} -> {:04o}\n", was.bits(), is.bits());
    }
    let name = |side: Option<&Content>, prefix: &str| match side {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name(was, "a"), name(is, "b"));
    let bytes = |side: Option<&'_ Content>| {
        side.map_or_else(|| Arc::<[u8]>::from([]), |(bytes, _)| Arc::clone(bytes))
    };
    let (old, new) = (bytes(was), bytes(is));
    let old = Side {
        path: &from,
        whose: old_name,
        bytes: &old,
    };
    let new = Side {
        path: &to,
        whose: new_name,
        bytes: &new,
    };
    match unified(old, new) {
        Some(text) => out.push_str(text.as_str()),
        // An empty file is added or removed.
        None if was.is_some() != is.is_some() => out.push_str(&format!("--- {from}\n+++ {to}\n")),
        None => {}
    }
    (!out.is_empty()).then_some(out)
}

/// Formats the difference for the text of a pull request: a table of the sources, and the diff
/// behind a fold. `shown` hides what must not be shown, before a text is escaped or cut.
pub(crate) fn markdown(
    environment: &str,
    changes: &[Change<'_>],
    files: &[FileDiff],
    dry_run: bool,
    shown: &dyn Fn(&str) -> String,
) -> String {
    let mut out = format!("### Sources of `{}`\n\n", shown(environment));
    if changes.is_empty() {
        return out + "Nothing to update.\n";
    }
    out.push_str("| source | locked | update |\n|---|---|---|\n");
    for change in changes {
        let (repo, environment) = (&change.source().repo, &change.source().environment);
        let (from, to) = change.versions();
        let cells = [format!("{environment} of {repo}"), from, to].map(|text| cell(&shown(&text)));
        out.push_str(&format!("| {} | {} | {} |\n", cells[0], cells[1], cells[2]));
    }
    if !dry_run {
        return out;
    }
    let folded = folded(files, out.len(), Some("bitops-compose update --dry-run"), shown);
    out + &folded
}

/// Formats the diffs behind a fold, on a page that has this many bytes already. A diff that is too long is cut; `command`, if
/// there is one, shows the rest.
pub(crate) fn folded(
    files: &[FileDiff],
    taken: usize,
    command: Option<&str>,
    shown: &dyn Fn(&str) -> String,
) -> String {
    if files.is_empty() {
        return "\nThe composed files stay the same.\n".to_owned();
    }
    let diff: String = files.iter().map(|file| shown(&file.text)).collect();
    let room = MOST_MARKDOWN.saturating_sub(taken);
    let end = diff
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= room)
        .last()
        .unwrap_or(0);
    let (text, cut) = if diff.len() > room {
        (diff[..end].trim_end_matches(|c| c != '\n'), true)
    } else {
        (diff.as_str(), false)
    };
    // The fence is longer than any in the files.
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let count = count(files);
    let mut out =
        format!("\n<details><summary>{count}</summary>\n\n{fence}diff\n{text}{fence}\n\n</details>\n");
    if cut {
        let rest = command.map_or_else(String::new, |command| format!(": `{command}` prints all of it"));
        out.push_str(&format!("\nThe rest is too long to be shown{rest}.\n"));
    }
    out
}

/// Says how many files change.
pub(crate) fn count(files: &[FileDiff]) -> String {
    match files.len() {
        1 => "1 composed file changes".to_owned(),
        count => format!("{count} composed files change"),
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Escapes text so that it stays in its table cell. Names come from remotes.
pub(crate) fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(text: &str) -> Content {
        (text.as_bytes().into(), FileMode::Regular)
    }

    #[test]
    fn modes_are_shown_and_empty_files_come_and_go() {
        let executable = (b"a\n".as_slice().into(), FileMode::Executable);
        assert_eq!(
            diff(
                "dev/x",
                (Some(&regular("a\n")), "locked"),
                (Some(&regular("a\n")), "update")
            ),
            None
        );
        assert_eq!(
            diff(
                "dev/x",
                (Some(&regular("a\n")), "locked"),
                (Some(&executable), "update")
            )
            .as_deref(),
            Some("dev/x: mode 0644 -> 0755\n")
        );
        assert_eq!(
            diff("dev/x", (None, "locked"), (Some(&regular("")), "update")).as_deref(),
            Some("--- /dev/null\n+++ b/dev/x\n")
        );
        assert_eq!(
            diff("dev/x", (Some(&regular("a\n")), "locked"), (None, "update")).as_deref(),
            Some("--- a/dev/x\tlocked\n+++ /dev/null\tupdate\n@@ -1 +0,0 @@\n-a\n")
        );
    }

    #[test]
    fn a_pull_request_is_not_broken_by_what_it_shows() {
        let lock = "format: 1\nsources:\n- repo: https://host/a\n  environment: eks\n  version: \"1.0.0\"\n  tag: \"1.0.0\"\n  \
                    commit: \"0101010101010101010101010101010101010101\"\n  tree: \"0101010101010101010101010101010101010101\"\n...\n";
        let lock = compose_plan::lock::Lock::parse(&"lock".into(), &lock.into()).unwrap();
        let changes = [Change::New(&lock.sources[0])];
        let file = |text: String| FileDiff {
            path: "dev/x".to_owned(),
            text,
            runs: false,
        };
        let fenced = markdown(
            "dev",
            &changes,
            &[file("+````\n".to_owned())],
            true,
            &str::to_owned,
        );
        assert!(fenced.contains("\n`````diff\n+````\n`````\n"), "{fenced}");
        let hiding = |text: &str| text.replace("host/a", "|");
        let hidden = markdown("dev", &changes, &[], true, &hiding);
        assert!(hidden.contains("| eks of https://\\| |"), "{hidden}");
        let long = markdown(
            "dev",
            &changes,
            &[file("+é\n".repeat(30_000))],
            true,
            &str::to_owned,
        );
        assert!((50_000..65_536).contains(&long.len()), "{}", long.len());
        assert!(
            long.contains("+é\n```\n\n</details>\n\nThe rest is too long"),
            "cut at the end of a line"
        );
    }
}
