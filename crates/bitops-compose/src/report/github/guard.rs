//! Makes foreign text harmless in the log of a runner, where a line may be a command.

use std::borrow::Cow;

/// Returns the text with everything escaped that a runner would take for a workflow command.
///
/// For the runner, a command is a line that begins with `::` after any white space, or, in the
/// older syntax, `##[` anywhere in a line. A backslash makes both harmless. In JSON the bracket is
/// written as an escape, so that the value stays the same.
pub(in crate::report) fn guard(text: &str, json: bool) -> Cow<'_, str> {
    let text = if text.contains("##[") {
        Cow::Owned(text.replace("##[", if json { "##\\u005b" } else { "##\\[" }))
    } else {
        Cow::Borrowed(text)
    };
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
        let harmless = "a: b\n# ##\n:x\n";
        assert!(matches!(guard(harmless, false), Cow::Borrowed(_)));
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
