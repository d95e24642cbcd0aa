//! Splits a text into tokens with their places.
//!
//! The rules are those of PyYAML's own scanner (`yaml/scanner.py`, MIT licence, © Kirill Simonov
//! and Ingy döt Net), because a text must mean the same here as in BitOps: YAML 1.1 with PyYAML's
//! liberties and limits. For example, a key has at most 1,024 characters, and a tab cannot separate
//! a key's colon from its value.

mod properties;
mod scalars;

use std::{borrow::Cow, collections::VecDeque, ops::Range};

use crate::{
    decode::without_bom,
    error::{BlockPart, Error, Syntax, TokenName},
    tree::Style,
};

/// The maximum number of characters between the start of a key without `?` and its colon, which
/// identifies the key.
const MAX_SIMPLE_KEY: usize = 1024;

/// A token and its place.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: TokenKind<'t>,
    /// The bytes of the token; empty for a token that stands for indentation.
    pub(crate) span: Range<usize>,
    /// The column of its start in characters, counted from 0.
    pub(crate) column: usize,
    /// The number of spaces at the start of its line.
    pub(crate) line_indent: usize,
}

/// The kinds of [`Token`].
#[derive(Debug, PartialEq)]
pub(crate) enum TokenKind<'t> {
    StreamEnd,
    YamlDirective {
        major: u32,
    },
    TagDirective {
        handle: &'t str,
        prefix: String,
    },
    /// A directive that PyYAML skips.
    OtherDirective,
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    SequenceOpen,
    SequenceClose,
    MappingOpen,
    MappingClose,
    /// `-`
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `?`, or the start of a key without `?`.
    Key {
        explicit: bool,
    },
    /// `:`
    Value,
    Alias(&'t str),
    Anchor(&'t str),
    /// `!<suffix>` and a bare `!` have no handle.
    Tag {
        handle: Option<&'t str>,
        suffix: String,
    },
    Scalar {
        value: Cow<'t, str>,
        style: Style,
    },
}

impl TokenKind<'_> {
    /// Returns the name of the token in messages.
    pub(crate) fn name(&self) -> TokenName {
        match self {
            Self::StreamEnd => TokenName::StreamEnd,
            Self::YamlDirective { .. } | Self::TagDirective { .. } | Self::OtherDirective => {
                TokenName::Directive
            }
            Self::DocumentStart => TokenName::DocumentStart,
            Self::DocumentEnd => TokenName::DocumentEnd,
            Self::BlockSequenceStart | Self::BlockEntry => TokenName::Dash,
            Self::BlockMappingStart => TokenName::Mapping,
            Self::BlockEnd => TokenName::BlockEnd,
            Self::SequenceOpen => TokenName::SequenceOpen,
            Self::SequenceClose => TokenName::SequenceClose,
            Self::MappingOpen => TokenName::MappingOpen,
            Self::MappingClose => TokenName::MappingClose,
            Self::FlowEntry => TokenName::Comma,
            Self::Key { explicit: true } => TokenName::QuestionMark,
            Self::Key { explicit: false } => TokenName::Key,
            Self::Value => TokenName::Colon,
            Self::Alias(_) => TokenName::Alias,
            Self::Anchor(_) => TokenName::Anchor,
            Self::Tag { .. } => TokenName::Tag,
            Self::Scalar { .. } => TokenName::Scalar,
        }
    }
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// The offset in bytes.
    at: usize,
    /// The offset in characters.
    index: usize,
    line: usize,
    column: usize,
    /// The number of spaces at the start of the line.
    line_indent: usize,
}

/// A token that may be the start of a key.
#[derive(Debug)]
struct SimpleKey {
    /// The index of the token in the stream of tokens.
    token: usize,
    flow_level: usize,
    /// Whether only a key is valid here.
    required: bool,
    mark: Mark,
}

/// Reads the tokens of a text one by one.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    mark: Mark,
    tokens: VecDeque<Token<'t>>,
    /// The number of tokens that were returned.
    taken: usize,
    is_done: bool,
    flow_level: usize,
    /// The column of the innermost block collection; -1 outside of all block collections.
    indent: isize,
    indents: Vec<isize>,
    allow_simple_key: bool,
    /// The possible keys: at most one per flow level, outermost first, which is also their order in
    /// the text.
    simple_keys: VecDeque<SimpleKey>,
    /// The bytes of the comments so far, including their `#`.
    pub(crate) comments: Vec<Range<usize>>,
}

/// Returns whether a character ends a line or the text.
fn is_break(c: char) -> bool {
    matches!(c, '\0' | '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns the number of spaces at the start of a text.
fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

/// Returns whether a character ends a word.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t') || is_break(c)
}

impl<'t> Scanner<'t> {
    /// Creates a scanner at the start of a text. The text contains no NUL, which marks the end here
    /// as in PyYAML.
    pub(crate) fn new(text: &'t str) -> Self {
        let mark = Mark {
            line_indent: spaces(without_bom(text)),
            ..Mark::default()
        };
        Self {
            text,
            mark,
            tokens: VecDeque::new(),
            taken: 0,
            is_done: false,
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            allow_simple_key: true,
            simple_keys: VecDeque::new(),
            comments: Vec::new(),
        }
    }

    /// Returns the next token without removing it.
    pub(crate) fn peek_token(&mut self) -> Result<&Token<'t>, Error> {
        self.fill()?;
        Ok(&self.tokens[0])
    }

    /// Removes and returns the next token. There is none after the end of the text.
    pub(crate) fn next_token(&mut self) -> Result<Token<'t>, Error> {
        self.fill()?;
        self.taken += 1;
        Ok(self.tokens.pop_front().expect("it was just filled"))
    }

    /// Scans until the next token is final. As long as a token may start a key, another one may be
    /// inserted before it.
    fn fill(&mut self) -> Result<(), Error> {
        while !self.is_done {
            if !self.tokens.is_empty() {
                self.drop_stale_keys()?;
                if self.simple_keys.front().is_none_or(|key| key.token != self.taken) {
                    break;
                }
            }
            self.scan()?;
        }
        Ok(())
    }

    /// Returns the character at a distance in characters, or NUL after the end.
    fn peek(&self, distance: usize) -> char {
        self.rest().chars().nth(distance).unwrap_or('\0')
    }

    fn rest(&self) -> &'t str {
        &self.text[self.mark.at..]
    }

    /// Advances by one character.
    fn forward(&mut self) {
        let Some(c) = self.rest().chars().next() else {
            return;
        };
        self.mark.at += c.len_utf8();
        self.mark.index += 1;
        if c != '\0' && is_break(c) && !(c == '\r' && self.rest().starts_with('\n')) {
            self.mark.line += 1;
            self.mark.column = 0;
            self.mark.line_indent = spaces(self.rest());
        } else if c != '\u{feff}' {
            self.mark.column += 1;
        }
    }

    /// Advances by a text that contains no line break.
    fn forward_by(&mut self, text: &str) {
        let count = text.chars().count();
        self.mark.at += text.len();
        self.mark.index += count;
        self.mark.column += count - text.matches('\u{feff}').count();
    }

    /// Takes characters while they satisfy a condition.
    fn take_while(&mut self, condition: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !condition(c)).unwrap_or(rest.len())];
        self.forward_by(taken);
        taken
    }

    fn push(&mut self, kind: TokenKind<'t>, start: Mark) {
        self.push_until(kind, start, self.mark.at);
    }

    fn push_until(&mut self, kind: TokenKind<'t>, start: Mark, end: usize) {
        self.tokens.push_back(Token {
            kind,
            span: start.at..end,
            column: start.column,
            line_indent: start.line_indent,
        });
    }

    fn error<T>(&self, syntax: Syntax) -> Result<T, Error> {
        Err(Error::syntax(syntax, self.mark.at))
    }

    fn scan(&mut self) -> Result<(), Error> {
        self.skip_to_next_token();
        self.drop_stale_keys()?;
        self.unwind(self.mark.column as isize);
        let in_flow = self.flow_level > 0;
        let ends_word = |scanner: &Self| is_blank(scanner.peek(1));
        match self.peek(0) {
            '\0' => self.stream_end(),
            '%' if self.mark.column == 0 => self.directive(),
            '-' if self.is_document_mark("---") => self.document_mark(TokenKind::DocumentStart),
            '.' if self.is_document_mark("...") => self.document_mark(TokenKind::DocumentEnd),
            '[' => self.open(TokenKind::SequenceOpen),
            '{' => self.open(TokenKind::MappingOpen),
            ']' => self.close(TokenKind::SequenceClose),
            '}' => self.close(TokenKind::MappingClose),
            ',' => {
                self.allow_simple_key = true;
                self.remove_key()?;
                self.indicator(TokenKind::FlowEntry);
                Ok(())
            }
            '-' if ends_word(self) => self.block_entry(),
            '?' if in_flow || ends_word(self) => self.key(),
            ':' if in_flow || ends_word(self) => self.value(),
            '*' => self.property(Self::alias),
            '&' => self.property(Self::anchor),
            '!' => self.property(Self::tag),
            '|' | '>' if !in_flow => {
                self.allow_simple_key = true;
                self.remove_key()?;
                self.block_scalar()
            }
            '\'' | '"' => self.property(Self::quoted_scalar),
            _ if self.starts_plain() => self.property(Self::plain_scalar),
            '\t' => self.error(Syntax::Tab),
            c => self.error(Syntax::PlainStart(c)),
        }
    }

    fn skip_to_next_token(&mut self) {
        if self.mark.at == 0 && self.peek(0) == '\u{feff}' {
            self.forward();
        }
        loop {
            self.take_while(|c| c == ' ');
            self.skip_comment();
            if !self.skip_line_break() {
                break;
            }
            if self.flow_level == 0 {
                self.allow_simple_key = true;
            }
        }
    }

    /// Skips a comment up to its line break.
    fn skip_comment(&mut self) {
        if self.peek(0) == '#' {
            let start = self.mark.at;
            self.take_while(|c| !is_break(c));
            self.comments.push(start..self.mark.at);
        }
    }

    fn skip_line_break(&mut self) -> bool {
        self.line_break().is_some()
    }

    /// Takes a line break. Returns the character that represents it in a value.
    fn line_break(&mut self) -> Option<char> {
        let c = self.peek(0);
        if c == '\0' || !is_break(c) {
            return None;
        }
        if self.rest().starts_with("\r\n") {
            self.forward();
        }
        self.forward();
        Some(if matches!(c, '\u{2028}' | '\u{2029}') {
            c
        } else {
            '\n'
        })
    }

    fn is_document_mark(&self, mark: &str) -> bool {
        self.mark.column == 0 && self.rest().starts_with(mark) && is_blank(self.peek(3))
    }

    fn is_any_document_mark(&self) -> bool {
        self.is_document_mark("---") || self.is_document_mark("...")
    }

    fn starts_plain(&self) -> bool {
        let c = self.peek(0);
        let is_indicator = is_blank(c) || "-?:,[]{}#&*!|>'\"%@`".contains(c);
        !is_indicator
            || !is_blank(self.peek(1)) && (c == '-' || self.flow_level == 0 && matches!(c, '?' | ':'))
    }

    /// Removes the possible keys whose colon can no longer follow.
    fn drop_stale_keys(&mut self) -> Result<(), Error> {
        let mark = self.mark;
        let is_stale =
            |key: &SimpleKey| key.mark.line != mark.line || mark.index - key.mark.index > MAX_SIMPLE_KEY;
        while self.simple_keys.front().is_some_and(is_stale) {
            let key = self.simple_keys.pop_front();
            Self::check_optional(key.as_ref())?;
        }
        Ok(())
    }

    /// Removes the possible key of this flow level.
    fn remove_key(&mut self) -> Result<(), Error> {
        let key = self.take_key();
        Self::check_optional(key.as_ref())
    }

    fn check_optional(key: Option<&SimpleKey>) -> Result<(), Error> {
        match key {
            Some(key) if key.required => Err(Error::syntax(Syntax::KeyWithoutColon, key.mark.at)),
            _ => Ok(()),
        }
    }

    fn take_key(&mut self) -> Option<SimpleKey> {
        let is_here = |key: &SimpleKey| key.flow_level == self.flow_level;
        if self.simple_keys.back().is_some_and(is_here) {
            self.simple_keys.pop_back()
        } else {
            None
        }
    }

    /// Records that the next token may start a key.
    fn save_key(&mut self) -> Result<(), Error> {
        let required = self.flow_level == 0 && self.indent == self.mark.column as isize;
        if self.allow_simple_key {
            self.remove_key()?;
            self.simple_keys.push_back(SimpleKey {
                token: self.taken + self.tokens.len(),
                flow_level: self.flow_level,
                required,
                mark: self.mark,
            });
        }
        Ok(())
    }

    /// Ends the block collections that are further right than a column.
    fn unwind(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.indent = self.indents.pop().unwrap_or(-1);
            self.push(TokenKind::BlockEnd, self.mark);
        }
    }

    /// Begins a block collection unless one at this column or further right is open.
    fn add_indent(&mut self, column: usize) -> bool {
        let column = column as isize;
        let is_new = self.indent < column;
        if is_new {
            self.indents.push(self.indent);
            self.indent = column;
        }
        is_new
    }

    fn stream_end(&mut self) -> Result<(), Error> {
        self.unwind(-1);
        self.remove_key()?;
        self.push(TokenKind::StreamEnd, self.mark);
        self.is_done = true;
        Ok(())
    }

    fn document_mark(&mut self, kind: TokenKind<'t>) -> Result<(), Error> {
        self.unwind(-1);
        self.remove_key()?;
        self.allow_simple_key = false;
        let start = self.mark;
        self.forward_by("---");
        self.push(kind, start);
        Ok(())
    }

    /// Pushes a token of one character.
    fn indicator(&mut self, kind: TokenKind<'t>) {
        let start = self.mark;
        self.forward();
        self.push(kind, start);
    }

    fn open(&mut self, kind: TokenKind<'t>) -> Result<(), Error> {
        self.save_key()?;
        self.flow_level += 1;
        self.allow_simple_key = true;
        self.indicator(kind);
        Ok(())
    }

    fn close(&mut self, kind: TokenKind<'t>) -> Result<(), Error> {
        self.remove_key()?;
        // In PyYAML the level becomes negative, and the parser rejects the bracket.
        let Some(outer) = self.flow_level.checked_sub(1) else {
            return self.error(Syntax::ClosesNothing(kind.name()));
        };
        self.flow_level = outer;
        self.allow_simple_key = false;
        self.indicator(kind);
        Ok(())
    }

    /// Begins a block collection if the indicator here belongs to its first entry.
    fn block_start(&mut self, kind: TokenKind<'t>, part: BlockPart) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.allow_simple_key {
                return self.error(Syntax::NotAllowedHere(part));
            }
            if self.add_indent(self.mark.column) {
                self.push(kind, self.mark);
            }
        }
        Ok(())
    }

    fn block_entry(&mut self) -> Result<(), Error> {
        self.block_start(TokenKind::BlockSequenceStart, BlockPart::Item)?;
        self.allow_simple_key = true;
        self.remove_key()?;
        self.indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Error> {
        self.block_start(TokenKind::BlockMappingStart, BlockPart::Key)?;
        self.allow_simple_key = self.flow_level == 0;
        self.remove_key()?;
        self.indicator(TokenKind::Key { explicit: true });
        Ok(())
    }

    fn value(&mut self) -> Result<(), Error> {
        if let Some(key) = self.take_key() {
            let place = key.token - self.taken;
            let token = |kind| Token {
                kind,
                span: key.mark.at..key.mark.at,
                column: key.mark.column,
                line_indent: key.mark.line_indent,
            };
            self.tokens
                .insert(place, token(TokenKind::Key { explicit: false }));
            if self.flow_level == 0 && self.add_indent(key.mark.column) {
                self.tokens.insert(place, token(TokenKind::BlockMappingStart));
            }
            self.allow_simple_key = false;
        } else {
            self.block_start(TokenKind::BlockMappingStart, BlockPart::SecondColon)?;
            self.allow_simple_key = self.flow_level == 0;
        }
        self.indicator(TokenKind::Value);
        Ok(())
    }

    /// Scans a token that may start a key.
    fn property(&mut self, scan: fn(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.save_key()?;
        self.allow_simple_key = false;
        scan(self)
    }
}
