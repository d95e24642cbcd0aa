//! What a catalog offers: the environments in the names of its files.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::{BlobId, OutlineEntry, OutlineKind, TreePath, file_name, text::escape};

/// The directories of BitOps' tools.
pub const TOOLS: [&str; 4] = ["terraform", "ansible", "helm", "cloudformation"];

/// The most characters of a README's first line.
const LONGEST_LINE: usize = 200;

/// An environment of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its directory.
    pub path: TreePath,
    /// The tools that it has a directory for, in the order of [`TOOLS`].
    pub tools: Vec<&'static str>,
    /// Its README.
    pub readme: Option<BlobId>,
}

/// Lists the environments among the files of a repo, sorted by path.
///
/// An environment is a directory with a `bitops.config.yaml`, or one with a tool's directory that has one. What is below
/// an environment belongs to it. Directories whose names begin with `_` or `.` are not listed.
///
/// ```
/// use compose_model::{BlobId, FileMode, ObjectId, OutlineEntry, OutlineKind, TreePath};
///
/// let file = |path: &str| OutlineEntry {
///     path: TreePath::new(path).unwrap(),
///     kind: OutlineKind::File(FileMode::Regular),
///     id: BlobId(ObjectId::from_bytes([1; 20])),
/// };
/// let files = ["README.md", "stacks/eks/README.md", "stacks/eks/terraform/bitops.config.yaml"].map(file);
/// let found = compose_plan::catalog::environments(&files);
/// assert_eq!(found[0].path.as_str(), "stacks/eks");
/// assert_eq!(found[0].tools, ["terraform"]);
/// assert!(found[0].readme.is_some() && found.len() == 1);
/// ```
pub fn environments(files: &[OutlineEntry]) -> Vec<Environment> {
    let mut candidates = BTreeSet::new();
    for file in files
        .iter()
        .filter(|file| file.path.file_name() == file_name::CONFIG)
    {
        let dirs: Vec<&str> = file.path.components().rev().skip(1).collect::<Vec<_>>();
        let dirs: Vec<&str> = dirs.into_iter().rev().collect();
        if dirs.is_empty() || dirs.iter().any(|dir| dir.starts_with(['_', '.'])) {
            continue;
        }
        let tool = dirs.iter().position(|dir| TOOLS.contains(dir));
        let length = tool.unwrap_or(dirs.len());
        if length > 0 {
            candidates.insert(dirs[..length].join("/"));
        }
    }
    let mut found: BTreeMap<String, Environment> = BTreeMap::new();
    for path in &candidates {
        let is_inside = path
            .match_indices('/')
            .any(|(at, _)| candidates.contains(&path[..at]));
        if let Some(path) = TreePath::new(path).ok().filter(|_| !is_inside) {
            let (tools, readme) = (Vec::new(), None);
            found.insert(path.to_string(), Environment { path, tools, readme });
        }
    }
    for file in files {
        let text = file.path.as_str();
        let own = text
            .match_indices('/')
            .find_map(|(at, _)| found.contains_key(&text[..at]).then_some(at));
        let Some(environment) = own.and_then(|at| found.get_mut(&text[..at])) else {
            continue;
        };
        let inside = file.path.relative_to(&environment.path);
        match inside.split_once('/') {
            Some((dir, _)) => {
                let tool = TOOLS.iter().find(|tool| is_of(dir, tool));
                if let Some(tool) = tool.filter(|tool| !environment.tools.contains(tool)) {
                    environment.tools.push(tool);
                }
            }
            None if is_readme(&inside) && matches!(file.kind, OutlineKind::File(_)) => {
                environment.readme.get_or_insert(file.id);
            }
            None => {}
        }
    }
    let mut found: Vec<Environment> = found.into_values().collect();
    for one in &mut found {
        one.tools
            .sort_by_key(|tool| TOOLS.iter().position(|known| known == tool));
    }
    found
}

/// Returns whether a directory is a tool's: `terraform`, or `blue-terraform`, as `as` names them.
fn is_of(dir: &str, tool: &str) -> bool {
    dir.strip_suffix(tool)
        .is_some_and(|before| before.is_empty() || before.ends_with('-'))
}

fn is_readme(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    stem == "readme"
}

/// Returns the first line of a README that says something, without Markdown's `#` and without anything that a terminal
/// would act on.
pub fn first_line(readme: &[u8]) -> String {
    let text = String::from_utf8_lossy(&readme[..readme.len().min(64 << 10)]);
    let text = text.trim_start_matches('\u{feff}');
    let says = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.starts_with(['<', '[', '!']);
    let line = text
        .lines()
        .map(|line| line.trim().trim_matches('#').trim())
        .find(says);
    escape(line.unwrap_or_default(), LONGEST_LINE)
}

#[cfg(test)]
mod tests {
    use compose_model::{FileMode, ObjectId};

    use super::*;

    fn found(paths: &[&str]) -> Vec<String> {
        let file = |path: &&str| OutlineEntry {
            path: TreePath::new(path).unwrap(),
            kind: OutlineKind::File(FileMode::Regular),
            id: BlobId(ObjectId::from_bytes([1; 20])),
        };
        let files: Vec<OutlineEntry> = paths.iter().map(file).collect();
        let shown = |one: Environment| format!("{}: {}", one.path, one.tools.join(" "));
        environments(&files).into_iter().map(shown).collect()
    }

    #[test]
    fn environments_are_found_by_their_configs() {
        assert_eq!(
            found(&[
                "bitops.config.yaml",
                "eks/bitops.config.yaml",
                "eks/terraform/main.tf",
                "eks/terraform/bitops.config.yaml",
                "eks/blue-helm/x/values.yaml",
                "stacks/web/helm/chart/bitops.config.yaml",
                "stacks/web/docs/terraform.md",
                "_default/bitops.config.yaml",
                ".github/terraform/bitops.config.yaml",
                "terraform/bitops.config.yaml",
                "none/README.md",
            ]),
            ["eks: terraform helm", "stacks/web: helm"]
        );
    }

    #[test]
    fn the_first_line_of_a_readme_is_plain_and_harmless() {
        for (text, expected) in [
            ("# EKS #\n\ntext", "EKS"),
            (
                "\u{feff}\n<p align=center>\n[![ci](x)](y)\n## A cluster\n",
                "A cluster",
            ),
            ("===\nTitle", "Title"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("", ""),
        ] {
            assert_eq!(first_line(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(first_line(&[0xff, b'x']), "\u{fffd}x");
    }
}
