//! Makes foreign text harmless in the log of a runner, where a line may be a command.

use std::borrow::Cow;

/// Returns the text with everything escaped that a runner would take for a command.
///
/// For GitHub's runner, a command is a line that begins with `::` after any white space, or, in the
/// older syntax, `##[` anywhere in a line. Azure's takes `##vso[` and `##[`, TeamCity's `##teamcity[`.
/// A backslash makes all of them harmless. In JSON the bracket is written as an escape, so that the
/// value stays the same.
pub(in crate::report) fn guard(text: &str, json: bool) -> Cow<'_, str> {
    let text = without_brackets(text, if json { "\\u005b" } else { "\\[" });
    if json || !lines(&text).any(is_command) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for line in lines(&text) {
        let indent = line.len() - line.trim_start().len();
        out.push_str(&line[..indent]);
        if is_command(line) {
            out.push('\\');
        }
        out.push_str(&line[indent..]);
    }
    Cow::Owned(out)
}

/// Replaces the bracket of each `##word[`, where the word may be empty.
fn without_brackets<'a>(text: &'a str, bracket: &str) -> Cow<'a, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("##") {
        let after = rest[at..].trim_start_matches('#');
        let (before, behind) = rest.split_at(rest.len() - after.len());
        let word = behind.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        let (name, word) = behind.split_at(behind.len() - word.len());
        out.push_str(before);
        out.push_str(name);
        rest = word;
        if let Some(command) = word.strip_prefix('[') {
            out.push_str(bracket);
            rest = command;
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Returns the lines as the runner reads them, each with its line break. A carriage return alone is
/// a line break.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['\n', '\r'])
}

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        let text = "a ::error::x\n ::error::x\n\u{a0}\t::stop-commands::y\rb\r::add-mask::z\nc ##[error]d\n";
        assert_eq!(
            guard(text, false),
            "a ::error::x\n \\::error::x\n\u{a0}\t\\::stop-commands::y\rb\r\\::add-mask::z\nc ##\\[error]d\n"
        );
        let harmless = "a: b\n# #\n:x\n[a]\n";
        assert!(matches!(guard(harmless, false), Cow::Borrowed(_)));
        assert_eq!(guard("## a [b] ##c ##", false), "## a [b] ##c ##");
        assert_eq!(
            guard("###[x ##vso[task.setvariable]y ##teamcity[z ##", false),
            "###\\[x ##vso\\[task.setvariable]y ##teamcity\\[z ##"
        );
        assert_eq!(guard("::", false), "\\::");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": "##[error]x\n::error::y", "##[b": 1});
        let text = format!("{value:#}");
        let guarded = guard(&text, true);
        assert!(!guarded.contains("##["), "{guarded}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&guarded).unwrap(),
            value
        );
    }
}
