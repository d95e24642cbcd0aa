//! BitOps' `bitops.logging.masks`: what they hide in BitOps' output they hide in ours.

use std::borrow::Cow;

use fancy_regex::Regex;

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
                Err(_) => {
                    Cow::Owned("[withheld: a mask of bitops.logging.masks could not be applied]\n".to_owned())
                }
            }
        })
    }
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
}
