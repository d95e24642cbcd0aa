//! Placeholders for text that differs from run to run.

use std::path::{Path, PathBuf};

use regex::Regex;

/// Replaces temporary paths, ports, commit ids and times.
#[derive(Debug, Clone)]
pub(crate) struct Redactor {
    root: Option<PathBuf>,
    full_id: Regex,
    short_id: Regex,
    filters: Vec<(Regex, String)>,
}

impl Redactor {
    /// Creates a redactor. `root` is the temporary directory whose path is replaced.
    pub(crate) fn new(root: Option<&Path>) -> Self {
        let filters = [
            // Names by the standard library and by Python's tempfile.
            (r"\[ROOT\]/tmp/[^/\s'\x22]+", "[ROOT]/tmp/[TEMPORARY]"),
            (r"\b(127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b", "$1:[PORT]"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[TIME]"),
            (
                r"\b(\d+\.\d+ ?(ns|µs|us|ms|s)|\d+ ?(ns|µs|us|ms))\b",
                "[DURATION]",
            ),
        ];
        Self {
            root: root.map(Path::to_owned),
            full_id: compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b"),
            short_id: compile(r"\b[0-9a-f]{7,39}\b"),
            filters: filters
                .map(|(expression, with)| (compile(expression), with.to_owned()))
                .to_vec(),
        }
    }

    pub(crate) fn filter(&mut self, expression: &str, placeholder: &str) {
        self.filters.push((compile(expression), placeholder.to_owned()));
    }

    /// Replaces all such text. Ids are numbered in the order of their first occurrence: `[ID-1]`. A
    /// short id is recognized only if the full one occurs in the same text; `deadbeef` alone may be
    /// a word.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = match &self.root {
            Some(root) => text.replace(&*root.to_string_lossy(), "[ROOT]"),
            None => text.to_owned(),
        };
        let mut ids: Vec<String> = Vec::new();
        for found in self.full_id.find_iter(&text) {
            if !ids.iter().any(|id| id == found.as_str()) {
                ids.push(found.as_str().to_owned());
            }
        }
        let number = |short: &str| {
            ids.iter()
                .position(|id| id.starts_with(short))
                .map(|index| index + 1)
        };
        for expression in [&self.full_id, &self.short_id] {
            text = expression
                .replace_all(&text, |found: &regex::Captures<'_>| {
                    number(&found[0]).map_or_else(|| found[0].to_owned(), |number| format!("[ID-{number}]"))
                })
                .into_owned();
        }
        for (expression, placeholder) in &self.filters {
            text = expression.replace_all(&text, placeholder).into_owned();
        }
        text
    }
}

fn compile(expression: &str) -> Regex {
    Regex::new(expression).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_the_same_in_every_run() {
        let redactor = Redactor::new(Some(Path::new("/tmp/compose-context-Xy")));
        let id = "0123456789abcdef0123456789abcdef01234567";
        let other = "f".repeat(40);
        let text = format!(
            "/tmp/compose-context-Xy/tmp/tmpab12/dev at {id} from http://127.0.0.1:41234/x, then {other}, again \
             0123456 but not deadbeef, in 12.5 ms"
        );
        assert_eq!(
            redactor.redact(&text),
            "[ROOT]/tmp/[TEMPORARY]/dev at [ID-1] from http://127.0.0.1:[PORT]/x, then [ID-2], again [ID-1] but not \
             deadbeef, in [DURATION]"
        );
    }
}
