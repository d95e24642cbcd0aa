//! Python's regular expressions and their templates, rewritten for `fancy_regex`.
//!
//! Both languages accept texts to which they give different meanings, such as `\<` or `[[a]`. A mask
//! with another meaning would hide nothing, so each construct is translated by itself, and a pattern
//! with a construct that has no counterpart is refused. Source: CPython's `re/_parser.py`.
//!
//! BitOps applies a mask to each line, this program to whole texts. The anchors `^`, `$`, `\A` and
//! `\Z` therefore match at every line.

use std::{iter::Peekable, str::Chars};

/// The start of a line, or of a line's text in a diff, where one character precedes it.
const LINE_START: &str = "(?m:^|(?<=^[-+ ]))";
const LINE_END: &str = "(?m:$)";
/// `\w` and `\s`, for use in brackets. The characters from U+001C to U+001F are white space to Python.
const WORD: &str = r"\p{L}\p{N}_";
const SPACE: &str = r"\s\x{1c}-\x{1f}";

/// Translates a pattern. Returns `None` if Python refuses it, or if it has no counterpart.
pub(super) fn pattern(python: &str) -> Option<String> {
    let mut reader = Reader {
        rest: python.chars().peekable(),
        out: String::with_capacity(python.len()),
        is_verbose: false,
    };
    reader.global_flags()?;
    while let Some(c) = reader.rest.next() {
        reader.item(c)?;
    }
    Some(reader.out)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether white space and comments are ignored.
    is_verbose: bool,
}

impl Reader<'_> {
    fn item(&mut self, c: char) -> Option<()> {
        match c {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '{' => self.repetition(),
            '^' => self.out.push_str(LINE_START),
            '$' => self.out.push_str(LINE_END),
            '#' if self.is_verbose => while self.rest.next_if(|c| *c != '\n').is_some() {},
            c if self.is_verbose && " \t\n\r\u{b}\u{c}".contains(c) => {}
            '|' | ')' | '*' | '+' | '?' | '.' => self.out.push(c),
            c => literal(&mut self.out, c),
        }
        Some(())
    }

    /// Reads flags at the start of the pattern, where they are for all of it. Elsewhere Python's
    /// versions disagree.
    fn global_flags(&mut self) -> Option<()> {
        let mut ahead = self.rest.clone();
        if (ahead.next(), ahead.next()) != (Some('('), Some('?')) {
            return Some(());
        }
        let flags: String = std::iter::from_fn(|| ahead.next_if(char::is_ascii_alphabetic)).collect();
        if flags.is_empty() || flags == "P" || ahead.next() != Some(')') {
            return Some(());
        }
        self.rest = ahead;
        let mut kept = String::new();
        for flag in flags.chars() {
            match flag {
                'i' | 's' => kept.push(flag),
                'x' => self.is_verbose = true,
                // Anchors match at every line in any case, and texts are Unicode.
                'm' | 'u' => {}
                _ => return None,
            }
        }
        if !kept.is_empty() {
            self.out.push_str(&format!("(?{kept})"));
        }
        Some(())
    }

    /// Reads a group after its `(`.
    fn group(&mut self) -> Option<()> {
        if self.rest.peek() == Some(&'*') {
            return None;
        }
        if self.rest.next_if_eq(&'?').is_none() {
            self.out.push('(');
            return Some(());
        }
        match self.rest.next()? {
            c @ (':' | '=' | '!' | '>') => {
                self.out.push_str("(?");
                self.out.push(c);
            }
            '<' => {
                let c = self.rest.next_if(|c| matches!(c, '=' | '!'))?;
                self.out.push_str("(?<");
                self.out.push(c);
            }
            'P' => match self.rest.next()? {
                '<' => {
                    let text = self.until('>')?;
                    self.out.push_str(&format!("(?P<{}>", name(&text)?));
                }
                '=' => {
                    let text = self.until(')')?;
                    self.out.push_str(&format!("(?P={})", name(&text)?));
                }
                _ => return None,
            },
            '#' => drop(self.until(')')?),
            '(' => {
                let of = self.until(')')?;
                if of.bytes().all(|byte| byte.is_ascii_digit()) {
                    self.out.push_str(&format!("(?({of})"));
                } else {
                    self.out.push_str(&format!("(?(<{}>)", name(&of)?));
                }
            }
            first => self.scoped_flags(first)?,
        }
        Some(())
    }

    /// Reads `i-s:` of `(?i-s:…)`, without its first character.
    fn scoped_flags(&mut self, first: char) -> Option<()> {
        let flags = format!("{first}{}", self.until(':')?);
        if !flags.chars().all(|flag| "imsu-".contains(flag)) {
            return None;
        }
        let kept = flags.replace(['m', 'u'], "");
        let kept = kept.strip_suffix('-').unwrap_or(&kept);
        self.out.push_str(&format!("(?{kept}:"));
        Some(())
    }

    fn until(&mut self, end: char) -> Option<String> {
        let text: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != end)).collect();
        self.rest.next().map(|_| text)
    }

    /// Reads `m,n}` after `{`. Whatever is not a repetition is a text.
    fn repetition(&mut self) {
        let mut ahead = self.rest.clone();
        let number = |ahead: &mut Peekable<Chars<'_>>| -> String {
            std::iter::from_fn(|| ahead.next_if(char::is_ascii_digit)).collect()
        };
        let least = number(&mut ahead);
        let comma = ahead.next_if_eq(&',').is_some();
        let most = if comma { number(&mut ahead) } else { String::new() };
        if ahead.next() != Some('}') || (least.is_empty() && !comma) {
            return literal(&mut self.out, '{');
        }
        self.rest = ahead;
        let least = if least.is_empty() { "0" } else { &least };
        let comma = if comma { "," } else { "" };
        self.out.push_str(&format!("{{{least}{comma}{most}}}"));
    }

    /// Reads an escape outside of brackets.
    fn escape(&mut self) -> Option<()> {
        match self.rest.next()? {
            'A' => self.out.push_str(LINE_START),
            'Z' => self.out.push_str(LINE_END),
            // A brace after it is a text, and not the name of a boundary.
            c @ ('b' | 'B') => self.out.push_str(&format!("(?:\\{c})")),
            c @ ('d' | 'D') => self.out.extend(['\\', c]),
            'w' => self.out.push_str(&format!("[{WORD}]")),
            'W' => self.out.push_str(&format!("[^{WORD}]")),
            's' => self.out.push_str(&format!("[{SPACE}]")),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            c @ '1'..='9' => match number_or_octal(c, &mut self.rest)? {
                Number::Octal(c) => literal(&mut self.out, c),
                Number::Group(group) => self.out.push_str(&format!("(?:\\{group})")),
            },
            c => {
                let c = escaped(c, &mut self.rest)?;
                literal(&mut self.out, c);
            }
        }
        Some(())
    }

    /// Reads a set of characters after its `[`.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.rest.next()?;
            if c == ']' && !is_first {
                self.out.push(']');
                return Some(());
            }
            is_first = false;
            let Some(from) = self.class_item(c)? else {
                // A range cannot begin with a class. Python refuses it as well.
                let mut ahead = self.rest.clone();
                if ahead.next() == Some('-') && ahead.next() != Some(']') {
                    return None;
                }
                continue;
            };
            literal(&mut self.out, from);
            let mut ahead = self.rest.clone();
            if ahead.next() != Some('-') || ahead.peek() == Some(&']') {
                continue;
            }
            self.rest = ahead;
            let to = self.rest.next()?;
            let to = self.class_item(to)??;
            self.out.push('-');
            literal(&mut self.out, to);
        }
    }

    /// Reads a character in brackets, or writes a class such as `\d`.
    #[expect(clippy::option_option, reason = "a refusal is not a class")]
    fn class_item(&mut self, c: char) -> Option<Option<char>> {
        if c != '\\' {
            return Some(Some(c));
        }
        match self.rest.next()? {
            c @ ('d' | 'D') => self.out.extend(['\\', c]),
            'w' => self.out.push_str(WORD),
            'W' => self.out.push_str(&format!("[^{WORD}]")),
            's' => self.out.push_str(SPACE),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'b' => return Some(Some('\u{8}')),
            c @ '1'..='7' => return octal(c, &mut self.rest).map(Some),
            c => return escaped(c, &mut self.rest).map(Some),
        }
        Some(None)
    }
}

/// Writes a character that stands for itself, such that it does so everywhere.
fn literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    } else {
        out.push(c);
    }
}

/// Returns the text if it is the name of a group.
fn name(text: &str) -> Option<&str> {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(text)
}

/// Reads the rest of an escape that means one character.
fn escaped(first: char, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    Some(match first {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => return hexadecimal(2, rest),
        'u' => return hexadecimal(4, rest),
        'U' => return hexadecimal(8, rest),
        '0' => return octal('0', rest),
        c if c.is_ascii_alphanumeric() => return None,
        c => c,
    })
}

fn hexadecimal(digits: usize, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut value = 0;
    for _ in 0..digits {
        value = value * 16 + rest.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
    }
    char::from_u32(value)
}

/// Reads up to three octal digits.
fn octal(first: char, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut value = first.to_digit(8)?;
    for _ in 0..2 {
        if let Some(digit) = rest.next_if(|c| c.is_digit(8)) {
            value = value * 8 + digit.to_digit(8)?;
        }
    }
    u8::try_from(value).ok().map(char::from)
}

enum Number {
    Group(String),
    Octal(char),
}

/// Reads a number after a backslash: three octal digits are a character, else one or two digits are
/// a group.
fn number_or_octal(first: char, rest: &mut Peekable<Chars<'_>>) -> Option<Number> {
    let mut digits = String::from(first);
    if let Some(second) = rest.next_if(char::is_ascii_digit) {
        digits.push(second);
        let is_octal = digits.chars().all(|c| c.is_digit(8)) && rest.peek().is_some_and(|c| c.is_digit(8));
        if is_octal {
            digits.extend(rest.next());
            let value = u8::from_str_radix(&digits, 8).ok()?;
            return Some(Number::Octal(value.into()));
        }
    }
    Some(Number::Group(digits))
}

/// Translates the template of a replacement. Returns `None` if Python refuses it.
pub(super) fn template(python: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = python.chars().peekable();
    let push = |out: &mut String, c: char| {
        out.push(c);
        if c == '$' {
            out.push(c);
        }
    };
    while let Some(c) = rest.next() {
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        let next = rest.next()?;
        match next {
            'g' => {
                rest.next_if_eq(&'<')?;
                let group: String = std::iter::from_fn(|| rest.next_if(|c| *c != '>')).collect();
                rest.next()?;
                if !group.bytes().all(|byte| byte.is_ascii_digit()) || group.is_empty() {
                    name(&group)?;
                }
                out.push_str(&format!("${{{group}}}"));
            }
            '1'..='9' => match number_or_octal(next, &mut rest)? {
                Number::Group(group) => out.push_str(&format!("${{{group}}}")),
                Number::Octal(c) => push(&mut out, c),
            },
            'b' => out.push('\u{8}'),
            'x' | 'u' | 'U' => return None,
            '\\' => out.push('\\'),
            next if next.is_ascii_alphanumeric() => push(&mut out, escaped(next, &mut rest)?),
            // Python keeps the backslash.
            next => {
                out.push('\\');
                push(&mut out, next);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use compose_testkit::{fuzz::feed, oracle, standin};
    use fancy_regex::Regex;

    use super::*;

    /// Reads pairs of a pattern, a template and a text, and writes what `re.sub` makes of each; `null`
    /// where Python refuses the pattern or the template.
    const ORACLE: &str = "
import json, re, sys, warnings
warnings.simplefilter('ignore')
def sub(search, replace, text):
    try:
        return re.sub(search, replace, text, flags=re.M)
    except (re.error, IndexError, OverflowError, RecursionError):
        return None
print(json.dumps([sub(*row) for row in json.load(sys.stdin)]))
";

    fn pythons(rows: &[(String, String, String)]) -> Vec<Option<String>> {
        let mut command = Command::new(standin::python());
        command.args(["-c", ORACLE]).env("PYTHONIOENCODING", "utf-8");
        serde_json::from_value(oracle::ask(command, &serde_json::json!(rows))).unwrap()
    }

    fn ours(search: &str, replace: &str, text: &str) -> Option<String> {
        let regex = Regex::new(&pattern(search)?).ok()?;
        let replaced = regex.try_replacen(text, 0, template(replace)?.as_str());
        replaced.ok().map(Into::into)
    }

    const TEXT: &str = "<secret> [secret] 'a-secret' secret{2} &&secret a1 secret\nsecret: AA \u{e9}\u{1c}\u{1d7d9} (s) x12 \u{8}";

    #[test]
    fn patterns_mean_what_they_mean_to_python() {
        let patterns = [
            r"\<secret\>",
            r"[[(]secret[\])]",
            r"[[a]]",
            r"[a&&b]+",
            r"[a-]+",
            r"[]a]",
            r"[^]a]",
            r"[\w-]+",
            r"secret{,2}",
            r"secret{2}",
            r"secret{",
            r"secret{a}",
            r"x{1,}1",
            r"[\b]",
            r"(?P<n>s)(?P=n)?ecret",
            r"secret$",
            r"^secret",
            r"(?i)SECRET",
            r"(?is)secret.A",
            r"(?x) sec ret # [",
            r"(?x)[ ]secret",
            r"(?x)\ secret",
            r"(?i:SEC)ret",
            r"(?s-i:secret)",
            r"(?m)^secret$",
            r"(?u)\w+",
            r"\101+",
            r"[\101]+",
            r"\x41+",
            r"\u0041+",
            r"\U00000041",
            r"\0",
            r"(s)ecret\1?",
            r"(s)(e)(c)(r)(e)(t)(:)( )(A)(A)(.)\11?",
            r"\w+",
            r"\W+",
            r"\s+",
            r"\S+",
            r"\d+",
            r"\D+",
            r"\bsecret\b",
            r"\b{secret",
            r"(?#note)secret",
            r"(<)?secret(?(1)>|\])",
            r"(?P<o><)?secret(?(o)>|\])",
            r"(?<=a-)secret",
            r"(?<!a-)secret",
            r"(?=secret)\w",
            r"secret(?! \[)",
            r"\-\#\ \/\:\'\=\@\%",
            r"secret\}",
            r"a}",
            r"a]",
            r"[\x41-\x43]+",
            r"[+--]",
            r"[~~a]",
            r"\.",
        ];
        let rows: Vec<_> = patterns
            .iter()
            .map(|search| (search.to_string(), r"*\g<0>*".to_owned(), TEXT.to_owned()))
            .collect();
        let expected = pythons(&rows);
        for ((search, replace, text), expected) in rows.iter().zip(expected) {
            let found = ours(search, replace, text);
            assert!(expected.is_some(), "{search}");
            assert_eq!(found, expected, "{search}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        for search in [
            r"(?a)\w",
            r"(?L)a",
            r"secret(?i)",
            r"(?x:a b)",
            r"\N{DOLLAR SIGN}",
            r"\N",
            r"\h",
            r"\R",
            r"\K",
            r"\G",
            r"\p{L}",
            r"\z",
            r"\k<n>",
            r"\g<1>",
            r"(?<n>a)",
            r"(?P>n)",
            r"(?&n)",
            r"(*FAIL)",
            r"(?~a)",
            r"\x{41}",
            r"\x4",
            r"\e",
            r"\8x",
            r"[a",
            r"[\w-z]",
            r"(?|a)",
            r"\ud800",
            r"a\",
        ] {
            assert_eq!(ours(search, "*", "a"), None, "{search}");
        }
        for replace in [r"\q", r"\g<a b>", r"\g<", r"\g1", r"\x41", r"\g<>"] {
            assert_eq!(template(replace), None, "{replace}");
        }
    }

    #[test]
    fn templates_mean_what_they_mean_to_python() {
        let rows = [
            r"\0",
            r"\0\g<0>",
            r"\1-\g<1>$",
            r"\g<n>",
            r"\\",
            r"\.",
            r"\n",
            r"\t\b",
            r"\101",
            r"\10",
            r"$1 ${1} $$",
            r"\",
        ]
        .map(|replace| {
            (
                "(?P<n>s)(e)(c)(r)(e)(t)(:)( )(A)(A)".to_owned(),
                replace.to_owned(),
                TEXT.to_owned(),
            )
        });
        for ((search, replace, text), expected) in rows.iter().zip(pythons(&rows)) {
            assert_eq!(ours(search, replace, text), expected, "{replace}");
        }
    }

    #[test]
    fn anchors_are_for_each_line_as_bitops_applies_masks_to_lines() {
        let text = "secret\n+secret\n-secret\n secret\n=secret\n";
        for search in [r"^secret$", r"\Asecret\Z", r"^\w+$", r"(?s)^secret$"] {
            let hidden = ours(search, "*", text).unwrap();
            assert_eq!(hidden, "*\n+*\n-*\n *\n=secret\n", "{search}");
        }
    }

    /// A damaged pattern hides at least what it hides from BitOps' output, or it is refused.
    #[test]
    fn damaged_patterns_are_pythons_or_refused() {
        let seeds = [
            r"(?i)(?P<n>[^]\w-]+)secret(?P=n)?\b\s*[a-z&&\d]{1,3}$",
            r"\<secret\>|^[[(]\x41\101\1",
            r"(?:secret|a(?=x))(?(1)a|b)",
        ];
        let pieces = [
            "[",
            "]",
            "^",
            "-",
            "\\",
            "{",
            "}",
            ",",
            "(?:",
            "(?P<n>",
            "(?P=n)",
            "(?i)",
            "(?s:",
            ")",
            "\\w",
            "\\W",
            "\\1",
            "\\0",
            "$",
            "|",
            "*",
            "+",
            "?",
            "&&",
            "--",
            "#",
            " ",
            "secret",
            "1",
            "\\b",
            "~~",
            "[:alpha:]",
        ];
        let rows = std::cell::RefCell::new(Vec::new());
        feed(3000, &seeds, &pieces, |text, _| {
            let search = String::from_utf8_lossy(text).into_owned();
            let regex = pattern(&search).and_then(|search| Regex::new(&search).ok());
            // After an empty match Python looks for one that is not, at the same place.
            let is_simple = |regex: &Regex| {
                regex
                    .find_iter(TEXT)
                    .all(|found| found.is_ok_and(|found| !found.range().is_empty()))
            };
            if regex.is_some_and(|regex| is_simple(&regex)) {
                rows.borrow_mut().push((search, r"*".to_owned(), TEXT.to_owned()));
            }
        });
        let rows = rows.into_inner();
        assert!(rows.len() > 300, "{}", rows.len());
        for ((search, replace, text), expected) in rows.iter().zip(pythons(&rows)) {
            let found = ours(search, replace, text);
            assert!(
                expected.is_none() || found == expected,
                "{search:?}\n{found:?}\n{expected:?}"
            );
        }
    }
}
