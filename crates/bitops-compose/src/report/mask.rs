//! BitOps' `bitops.logging.masks`: what they hide in BitOps' output they hide in ours.

use std::{borrow::Cow, ops::Range};

use compose_model::StyledText;
use fancy_regex::{Captures, Regex};

/// What is shown where a mask cannot be applied.
const WITHHELD: &str = "[withheld: a mask of bitops.logging.masks could not be applied]\n";

/// Pairs of a regular expression and what replaces it, applied in order.
#[derive(Debug, Default)]
pub(crate) struct Masks(Vec<(Regex, String)>);

impl Masks {
    /// Reads `search` (a Python regular expression) and `replace` (a Python template) pairs. Those that cannot be
    /// read are returned, for a warning.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let mut masks = Vec::new();
        let mut failed = Vec::new();
        for (search, replace) in pairs {
            match Regex::new(search) {
                Ok(regex) => masks.push((regex, template(replace))),
                Err(error) => failed.push(format!("{search}: {error}")),
            }
        }
        (Self(masks), failed)
    }

    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(text), |text, (regex, with)| {
            match regex.try_replacen(&text, 0, with.as_str()) {
                Ok(Cow::Owned(masked)) => Cow::Owned(masked),
                Ok(Cow::Borrowed(_)) => text,
                // Backtracking ran out: showing nothing is the safe side of a mask.
                Err(_) => Cow::Borrowed(WITHHELD),
            }
        })
    }

    /// Applies the masks to a text with styles. A mask sees the text alone, whatever style its parts have.
    pub(crate) fn apply_to_styled(&self, text: &mut StyledText) {
        for (regex, with) in &self.0 {
            let mut parts: Vec<(Range<usize>, String)> = Vec::new();
            let replaced = regex.try_replacen(text.as_str(), 0, |found: &Captures<'_, str>| {
                let mut new = String::new();
                found.expand(with, &mut new);
                parts.extend(found.get(0).map(|whole| (whole.range(), new.clone())));
                new
            });
            if replaced.is_ok() {
                text.replace(&parts);
            } else {
                *text = WITHHELD.to_owned().into();
            }
        }
    }

    /// Applies the masks to every string value of a JSON document of ours, which stays one.
    pub(crate) fn apply_to_json(&self, json: &str) -> String {
        if self.0.is_empty() {
            return json.to_owned();
        }
        let mut out = String::with_capacity(json.len());
        let mut rest = 0;
        while let Some(start) = json[rest..].find('"').map(|at| rest + at) {
            let end = string_end(json, start);
            out.push_str(&json[rest..start]);
            let string = &json[start..end];
            let is_key = json[end..].starts_with(':');
            match serde_json::from_str::<String>(string) {
                Ok(value) if !is_key => {
                    out.push_str(&serde_json::Value::from(self.apply(&value)).to_string());
                }
                _ => out.push_str(string),
            }
            rest = end;
        }
        out.push_str(&json[rest..]);
        out
    }
}

/// The byte after a JSON string that starts at `start`.
fn string_end(json: &str, start: usize) -> usize {
    let bytes = json.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Python's `\1` and `\g<name>` as `${1}` and `${name}`.
fn template(python: &str) -> String {
    let mut out = String::new();
    let mut chars = python.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                chars.next();
                out.push_str(&format!("${{{digit}}}"));
            }
            ('\\', Some('g')) => {
                chars.next();
                chars.next_if_eq(&'<');
                let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push_str(&format!("${{{name}}}"));
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use compose_model::styled;

    use super::*;

    #[test]
    fn masks_are_pythons() {
        let (masks, failed) = Masks::new([
            (r"(?<=token=)\w+", "***"),
            (r"(user)-(\w+)", r"\1-\g<1>$"),
            ("(", "x"),
        ]);
        assert_eq!(masks.apply("token=abc user-bob"), "token=*** user-user$");
        assert_eq!(failed.len(), 1);
    }

    #[test]
    fn styles_hide_nothing_from_a_mask() {
        let (masks, _) = Masks::new([(r"(token)=\w+", r"\1=***"), (r"\*+ b", "* b")]);
        let mut text = StyledText::new();
        text.push("token=");
        text.push_styled(styled::ADDED, "secret");
        text.push(" b ");
        text.push_styled(styled::ERROR, "token=x");
        let plain = masks.apply(text.as_str()).into_owned();
        masks.apply_to_styled(&mut text);
        assert_eq!(text.as_str(), plain);
        assert_eq!(plain, "token=* b token=***");
        assert!(text.to_ansi().ends_with("\u{1b}[31mtoken=***\u{1b}[0m"));
        // Backtracking runs out.
        let (masks, _) = Masks::new([("(?:(?=x)x+(?=x)x+)+(?=y)", "")]);
        let mut text = StyledText::from("x".repeat(200));
        masks.apply_to_styled(&mut text);
        assert_eq!(text.as_str(), WITHHELD);
    }

    #[test]
    fn masked_json_is_json_with_the_same_keys() {
        let (masks, _) = Masks::new([("(?s)token=.*", "\"hidden\"")]);
        let json = "{\n  \"token=\": [\"a \\\"b\\\" token=abc\\n\", \"\\\\\", 1]\n}\n";
        let masked = masks.apply_to_json(json);
        let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"token=": ["a \"b\" \"hidden\"", "\\", 1]})
        );
    }
}
