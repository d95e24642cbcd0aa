//! Scans block, quoted and plain scalars.

use std::borrow::Cow;

use super::{Mark, Scanner, TokenKind, is_break};
use crate::{
    error::{Error, Header, Syntax},
    tree::Style,
};

/// The treatment of the line breaks at the end of a block scalar.
#[derive(Clone, Copy, PartialEq)]
enum Chomping {
    /// No line break is kept (`-`).
    Strip,
    /// One line break is kept.
    Clip,
    /// All line breaks are kept (`+`).
    Keep,
}

/// Line breaks that belong to a scalar.
#[derive(Default)]
struct Breaks {
    value: String,
    /// The byte at which the last one starts.
    last: usize,
}

impl<'t> Scanner<'t> {
    /// Pushes a scalar. Its value is borrowed if it is the same as the text.
    fn push_scalar(&mut self, value: String, style: Style, start: Mark, end: usize) {
        let quotes = usize::from(style == Style::Quoted);
        let written = &self.text[start.at + quotes..end - quotes];
        let value = if value == written {
            Cow::Borrowed(written)
        } else {
            Cow::Owned(value)
        };
        self.push_until(TokenKind::Scalar { value, style }, start, end);
    }

    /// Scans a block scalar (`|` or `>`). The token ends with the last line that is part of the
    /// value, without its line break.
    pub(super) fn block_scalar(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let folded = self.peek(0) == '>';
        self.forward();
        let (chomping, increment) = self.block_header(start)?;
        let mut end = self.mark.at;
        self.rest_of_line(Header::BlockScalar)?;

        let least = usize::try_from(self.indent + 1).unwrap_or(0).max(1);
        let (mut breaks, indent) = match increment {
            Some(increment) => {
                let indent = least + increment - 1;
                (self.block_breaks(indent), indent)
            }
            None => {
                let (breaks, widest) = self.block_indentation();
                (breaks, widest.max(least))
            }
        };
        let mut value = String::new();
        let mut line_break = None;
        while self.is_block_line(indent) {
            value.push_str(&breaks.value);
            let is_text = !matches!(self.peek(0), ' ' | '\t');
            value.push_str(self.take_while(|c| !is_break(c)));
            end = self.mark.at;
            line_break = self.line_break();
            breaks = self.block_breaks(indent);
            if !self.is_block_line(indent) {
                break;
            }
            if folded && line_break == Some('\n') && is_text && !matches!(self.peek(0), ' ' | '\t') {
                if breaks.value.is_empty() {
                    value.push(' ');
                }
            } else {
                value.extend(line_break);
            }
        }
        if chomping != Chomping::Strip {
            value.extend(line_break);
        }
        let keep = chomping == Chomping::Keep;
        if keep {
            value.push_str(&breaks.value);
            end = end.max(breaks.last);
        }
        self.push_scalar(value, Style::Block { keep }, start, end);
        Ok(())
    }

    fn is_block_line(&self, indent: usize) -> bool {
        self.mark.column == indent && self.peek(0) != '\0'
    }

    /// Scans the indicators after `|` or `>`, in either order.
    fn block_header(&mut self, start: Mark) -> Result<(Chomping, Option<usize>), Error> {
        let mut chomping = None;
        let mut increment = None;
        for _ in 0..2 {
            match self.peek(0) {
                '+' if chomping.is_none() => chomping = Some(Chomping::Keep),
                '-' if chomping.is_none() => chomping = Some(Chomping::Strip),
                '0' if increment.is_none() => return self.error(Syntax::ZeroIndentation),
                digit @ '1'..='9' if increment.is_none() => increment = Some(digit as usize - '0' as usize),
                _ => break,
            }
            self.forward();
        }
        if self.peek(0) != ' ' && !is_break(self.peek(0)) {
            return Err(Error::syntax(Syntax::BlockFirstLine, start.at));
        }
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    /// Skips the blank lines before the first line with text. Returns their breaks and the widest
    /// indentation.
    fn block_indentation(&mut self) -> (Breaks, usize) {
        let mut breaks = Breaks::default();
        let mut widest = 0;
        loop {
            self.take_while(|c| c == ' ');
            widest = widest.max(self.mark.column);
            if !self.take_break(&mut breaks) {
                return (breaks, widest);
            }
        }
    }

    /// Skips blank lines and the indentation of the next line. Returns the breaks.
    fn block_breaks(&mut self, indent: usize) -> Breaks {
        let mut breaks = Breaks::default();
        loop {
            while self.mark.column < indent && self.peek(0) == ' ' {
                self.forward();
            }
            if !self.take_break(&mut breaks) {
                return breaks;
            }
        }
    }

    fn take_break(&mut self, breaks: &mut Breaks) -> bool {
        let at = self.mark.at;
        let taken = self.line_break();
        if taken.is_some() {
            breaks.last = at;
        }
        breaks.value.extend(taken);
        taken.is_some()
    }

    /// Scans a quoted scalar (`'…'` or `"…"`).
    pub(super) fn quoted_scalar(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let quote = self.peek(0);
        let mut value = String::new();
        self.forward();
        self.quoted_text(quote, &mut value)?;
        while self.peek(0) != quote {
            self.quoted_spaces(start, &mut value)?;
            self.quoted_text(quote, &mut value)?;
        }
        self.forward();
        self.push_scalar(value, Style::Quoted, start, self.mark.at);
        Ok(())
    }

    /// Scans the characters up to a blank or the closing quote.
    fn quoted_text(&mut self, quote: char, value: &mut String) -> Result<(), Error> {
        loop {
            value.push_str(self.take_while(|c| !super::is_blank(c) && !matches!(c, '\'' | '"' | '\\')));
            match self.peek(0) {
                '\'' if quote == '\'' && self.peek(1) == '\'' => {
                    value.push('\'');
                    self.forward();
                    self.forward();
                }
                '\\' if quote == '"' => self.escape(value)?,
                c @ ('\'' | '"' | '\\') if c != quote => {
                    value.push(c);
                    self.forward();
                }
                _ => return Ok(()),
            }
        }
    }

    /// Scans an escape in a double-quoted scalar.
    fn escape(&mut self, value: &mut String) -> Result<(), Error> {
        self.forward();
        let c = self.peek(0);
        let plain = match c {
            '0' => '\0',
            'a' => '\x07',
            'b' => '\x08',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            ' ' | '"' | '\\' | '/' => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' | 'u' | 'U' => return self.code_point(value),
            _ if c != '\0' && is_break(c) => {
                self.line_break();
                return self.quoted_breaks(value).map(drop);
            }
            _ => return self.error(Syntax::UnknownEscape(c)),
        };
        value.push(plain);
        self.forward();
        Ok(())
    }

    /// Scans the code of an escape: `\xHH`, `\uHHHH` or `\UHHHHHHHH`.
    fn code_point(&mut self, value: &mut String) -> Result<(), Error> {
        let code = self.hexadecimal()?;
        if let Some(c) = char::from_u32(code) {
            value.push(c);
            return Ok(());
        }
        if code > 0x10_ffff {
            return self.error(Syntax::EscapeRange);
        }
        // JSON writes a character beyond U+FFFF as a pair of surrogates. Python keeps the two as
        // separate characters, which a Rust string cannot do.
        if (0xd800..0xdc00).contains(&code) && self.rest().starts_with("\\u") {
            let before = self.mark;
            self.forward();
            let low = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&low) {
                value.extend(char::from_u32(
                    0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                ));
                return Ok(());
            }
            self.mark = before;
        }
        value.push_str(&format!("\u{fffd}{code:x}"));
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<u32, Error> {
        let length = match self.peek(0) {
            'x' => 2,
            'u' => 4,
            _ => 8,
        };
        self.forward();
        let mut code = 0;
        for _ in 0..length {
            let Some(digit) = self.peek(0).to_digit(16) else {
                return self.error(Syntax::EscapeDigits(length));
            };
            code = code << 4 | digit;
            self.forward();
        }
        Ok(code)
    }

    /// Scans blanks or line breaks between words of a quoted scalar.
    fn quoted_spaces(&mut self, start: Mark, value: &mut String) -> Result<(), Error> {
        let blanks = self.take_while(|c| matches!(c, ' ' | '\t'));
        if self.peek(0) == '\0' {
            return Err(Error::syntax(Syntax::NeverClosed, start.at));
        }
        let Some(line_break) = self.line_break() else {
            value.push_str(blanks);
            return Ok(());
        };
        let fold = value.len();
        let found = self.quoted_breaks(value)?;
        if line_break != '\n' {
            value.insert(fold, line_break);
        } else if !found {
            value.push(' ');
        }
        Ok(())
    }

    /// Skips blank lines and indentation in a quoted scalar. The breaks of blank lines are part of
    /// the value. Returns whether there were any.
    fn quoted_breaks(&mut self, value: &mut String) -> Result<bool, Error> {
        let before = value.len();
        loop {
            if self.is_any_document_mark() {
                return self.error(Syntax::DocumentMark);
            }
            self.take_while(|c| matches!(c, ' ' | '\t'));
            match self.line_break() {
                Some(line_break) => value.push(line_break),
                None => return Ok(value.len() > before),
            }
        }
    }

    /// Scans a scalar without quotes.
    pub(super) fn plain_scalar(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let mut end = start.at;
        let least = self.indent + 1;
        let in_flow = self.flow_level > 0;
        let mut value = String::new();
        let mut spaces = String::new();
        while self.peek(0) != '#' {
            let length = self.plain_length();
            if length == 0 {
                break;
            }
            self.allow_simple_key = false;
            value.push_str(&spaces);
            let word = &self.rest()[..length];
            value.push_str(word);
            self.forward_by(word);
            end = self.mark.at;
            spaces = self.plain_spaces();
            if spaces.is_empty() || !in_flow && (self.mark.column as isize) < least {
                break;
            }
        }
        self.push_scalar(value, Style::Plain, start, end);
        Ok(())
    }

    /// Returns the length of the next word of a plain scalar, in bytes.
    fn plain_length(&self) -> usize {
        let in_flow = self.flow_level > 0;
        let rest = self.rest();
        let mut characters = rest.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map_or('\0', |(_, next)| *next);
            let ends_key =
                c == ':' && (super::is_blank(next) || in_flow && matches!(next, ',' | '[' | ']' | '{' | '}'));
            let ends_entry = in_flow && matches!(c, ',' | '?' | '[' | ']' | '{' | '}');
            if super::is_blank(c) || ends_key || ends_entry {
                return at;
            }
        }
        rest.len()
    }

    /// Scans blanks or line breaks between words of a plain scalar. Returns the text that
    /// represents them in the value.
    fn plain_spaces(&mut self) -> String {
        let blanks = self.take_while(|c| c == ' ');
        let Some(line_break) = self.line_break() else {
            return blanks.to_owned();
        };
        self.allow_simple_key = true;
        let mut breaks = String::new();
        loop {
            if self.is_any_document_mark() {
                return String::new();
            }
            self.take_while(|c| c == ' ');
            match self.line_break() {
                Some(line_break) => breaks.push(line_break),
                None => break,
            }
        }
        match line_break {
            '\n' if breaks.is_empty() => " ".to_owned(),
            '\n' => breaks,
            separator => format!("{separator}{breaks}"),
        }
    }
}
