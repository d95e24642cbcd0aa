//! The environment files of a step.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of one step; a variable names each of them.
#[derive(Debug)]
pub(super) struct StepFiles {
    directory: PathBuf,
    number: usize,
}

const VARIABLES: [&str; 5] = [
    "GITHUB_OUTPUT",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
];

impl StepFiles {
    /// Creates the files, empty.
    pub(super) fn new(directory: &Path, number: usize) -> Self {
        fs::create_dir_all(directory).unwrap_or_else(|error| panic!("no {}: {error}", directory.display()));
        let files = Self {
            directory: directory.to_owned(),
            number,
        };
        for variable in VARIABLES {
            fs::write(files.path(variable), "").expect("the directory was just made");
        }
        files
    }

    fn path(&self, variable: &str) -> PathBuf {
        let name = variable.trim_start_matches("GITHUB_").to_lowercase();
        self.directory.join(format!("{name}_{}", self.number))
    }

    /// Returns the variables with the files' paths on this machine.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        VARIABLES
            .iter()
            .map(|name| ((*name).to_owned(), self.path(name).display().to_string()))
    }

    /// Returns what a step wrote into a file.
    pub(super) fn content(&self, variable: &str) -> String {
        fs::read_to_string(self.path(variable)).unwrap_or_default()
    }

    /// Returns the pairs in `GITHUB_OUTPUT` or `GITHUB_ENV`.
    pub(super) fn pairs(&self, variable: &str) -> BTreeMap<String, String> {
        pairs(&self.content(variable))
    }
}

/// Parses `name=value`, or `name<<DELIMITER` with the lines up to the delimiter.
///
/// # Panics
///
/// If the runner would fail the step: a line is neither, or a delimiter is missing.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                pairs.insert(line[..equals].to_owned(), line[equals + 1..].to_owned());
            }
            (_, Some(heredoc)) => {
                let delimiter = &line[heredoc + 2..];
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some(next) if next == delimiter => break,
                        Some(next) => value.push(next),
                        None => panic!("the delimiter {delimiter} is missing in {text:?}"),
                    }
                }
                pairs.insert(line[..heredoc].to_owned(), value.join("\n"));
            }
            _ => panic!("{line:?} is not a pair"),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_by_the_runner() {
        let pairs = pairs("a=1<<2\nb<<E\nx\n\ny=z\nE\nc<<F\nF\nd=\n");
        let expected = [("a", "1<<2"), ("b", "x\n\ny=z"), ("c", ""), ("d", "")];
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, expected);
    }
}
