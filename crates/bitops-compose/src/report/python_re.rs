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
        groups: Vec::new(),
        conditions: Vec::new(),
    };
    reader.global_flags()?;
    while let Some(c) = reader.rest.next() {
        reader.item(c)?;
    }
    reader.has_groups_of_conditions().then_some(reader.out)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether white space and comments are ignored.
    is_verbose: bool,
    /// The groups that capture, with the names of those that have one.
    groups: Vec<Option<String>>,
    /// The numbers and names of groups that `(?(…)` asks for.
    conditions: Vec<String>,
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
            self.groups.push(None);
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
                    self.groups.push(Some(text));
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
                self.conditions.push(of);
            }
            first => self.scoped_flags(first)?,
        }
        Some(())
    }

    /// Returns whether every condition asks for a group of the pattern. `fancy_regex` does not look, and
    /// panics when it matches.
    fn has_groups_of_conditions(&self) -> bool {
        self.conditions.iter().all(|of| match of.parse::<usize>() {
            Ok(number) => (1..=self.groups.len()).contains(&number),
            Err(_) => self
                .groups
                .iter()
                .any(|group| group.as_deref() == Some(of.as_str())),
        })
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
mod tests;
