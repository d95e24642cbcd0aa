//! The reasons why a text is unreadable, with all messages of the reader.

use compose_model::text::escape;
use thiserror::Error;

use crate::{
    limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES},
    lines::Lines,
};

/// Why a text cannot be read: it is not a single YAML document for PyYAML, or it exceeds a limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct Error {
    /// The kind of the error.
    pub problem: Problem,
    /// The byte of the text where the error is.
    pub at: usize,
}

impl Error {
    pub(crate) fn syntax(syntax: Syntax, at: usize) -> Self {
        Self {
            problem: Problem::Syntax(syntax),
            at,
        }
    }

    /// Returns the message with the line of the error in the text.
    pub fn with_line(&self, text: &str) -> String {
        format!("line {}: {}", self.line_column(text).0, self.problem)
    }

    /// Returns the line and the column in the text, both from 1. The column counts characters.
    pub fn line_column(&self, text: &str) -> (usize, usize) {
        Lines::new(text).line_column(text, self.at)
    }

    /// Returns whether the whole text is rejected, independent of its other lines.
    pub fn is_final(&self) -> bool {
        matches!(
            self.problem,
            Problem::TooLarge(_) | Problem::Encoding | Problem::NotUtf8 | Problem::SeveralDocuments
        )
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The text breaks a rule of the language.
    #[error("not valid YAML: {0}")]
    Syntax(Syntax),
    /// The text contains a character that PyYAML rejects everywhere.
    #[error("not valid YAML: the character U+{:04X} is not allowed", u32::from(*.0))]
    Character(char),
    /// An alias has no anchor before it.
    #[error("not valid YAML: the alias `*{}` has no anchor before it", escape(.0, 60))]
    UnknownAlias(String),
    /// Two nodes have the same anchor.
    #[error("the anchor `{}` is defined twice", escape(.0, 60))]
    DuplicateAnchor(String),
    /// There is more than one document.
    #[error("the file holds several YAML documents, which BitOps does not read")]
    SeveralDocuments,
    /// The bytes are neither UTF-8 nor UTF-16 with a byte-order mark.
    #[error("neither UTF-8 nor UTF-16")]
    Encoding,
    /// The bytes of a file that must be UTF-8 are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text is too large. The value is its number of bytes.
    #[error("{0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// Collections are nested too deep for PyYAML.
    #[error("not valid YAML: nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// There are too many nodes.
    #[error("more than {MAX_NODES} values")]
    TooManyNodes,
}

/// The rules of the language that a text can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Syntax {
    /// The grammar requires another token here.
    #[error("expected {expected}, but found {found}")]
    Expected {
        /// The required token.
        expected: Expected,
        /// The token that was found.
        found: TokenName,
    },
    /// A document has two `%YAML` directives.
    #[error("a second %YAML directive")]
    SecondVersion,
    /// The document is in another version of the language.
    #[error("a version of YAML other than 1")]
    Version,
    /// A handle is defined twice.
    #[error("a second %TAG directive for one handle")]
    SecondHandle,
    /// A tag uses a handle that is not defined.
    #[error("the handle `{0}` of a tag is not defined")]
    UnknownHandle(String),
    /// A tab indents a line.
    #[error("a tab where only spaces may be")]
    Tab,
    /// A scalar begins with an indicator.
    #[error("a plain scalar cannot begin with `{0}`")]
    PlainStart(char),
    /// A line of a mapping has no value.
    #[error("a key without `:`")]
    KeyWithoutColon,
    /// A closing bracket has no opening one.
    #[error("{0} that closes nothing")]
    ClosesNothing(TokenName),
    /// A block collection cannot begin or continue here.
    #[error("{0} is not allowed here")]
    NotAllowedHere(BlockPart),
    /// A `%` has no name after it.
    #[error("a directive without a name")]
    DirectiveName,
    /// A version is not of the form `1.1`.
    #[error("a version without `.`")]
    VersionPoint,
    /// A version is not of the form `1.1`.
    #[error("a version without a number")]
    VersionNumber,
    /// A %TAG directive lacks its prefix.
    #[error("a tag's handle without a space behind it")]
    HandleSpace,
    /// Something follows the value of a directive.
    #[error("a directive with something behind its value")]
    DirectiveEnd,
    /// A line has more text where it must end.
    #[error("{0} has more text than it may have")]
    MoreText(Header),
    /// An anchor or an alias has a name that PyYAML rejects.
    #[error("{0} whose name is not of letters, digits, `-` and `_`")]
    Name(Property),
    /// A verbatim tag is not closed.
    #[error("a tag without its `>`")]
    TagBracket,
    /// Something follows a tag directly.
    #[error("a tag without a space behind it")]
    TagSpace,
    /// A handle is not of the form `!name!`.
    #[error("a tag's handle that does not begin with `!`")]
    HandleStart,
    /// A handle is not of the form `!name!`.
    #[error("a tag's handle that does not end with `!`")]
    HandleEnd,
    /// A tag has no name.
    #[error("a tag without a name")]
    TagName,
    /// An escape in a tag is incomplete.
    #[error("a `%` without two hexadecimal digits")]
    TagEscape,
    /// The escapes in a tag are not valid UTF-8.
    #[error("escapes that are not UTF-8")]
    TagEncoding,
    /// A block scalar cannot have this indentation.
    #[error("an indentation of 0")]
    ZeroIndentation,
    /// Text follows `|` or `>` directly.
    #[error("a block scalar whose text begins on its first line")]
    BlockFirstLine,
    /// A quoted scalar has an escape that does not exist.
    #[error("the unknown escape `\\{}`", .0.escape_debug())]
    UnknownEscape(char),
    /// An escape does not stand for a character.
    #[error("an escape beyond U+10FFFF")]
    EscapeRange,
    /// An escape is incomplete.
    #[error("an escape needs {0} hexadecimal digits")]
    EscapeDigits(usize),
    /// A quoted scalar has no closing quote.
    #[error("a quoted scalar that is never closed")]
    NeverClosed,
    /// `---` or `...` begins a line of a quoted scalar.
    #[error("a document mark in a quoted scalar")]
    DocumentMark,
}

/// The tokens that the grammar expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Expected {
    /// The start of the document, after its directives.
    #[error("`---`")]
    DocumentStart,
    /// The end of the document.
    #[error("the end of the document")]
    DocumentEnd,
    /// A value.
    #[error("a value")]
    Value,
    /// An item of a list.
    #[error("another `-`")]
    Item,
    /// A comma or the end of a list in brackets.
    #[error("`,` or `]`")]
    ItemSeparator,
    /// A comma or the end of a mapping in braces.
    #[error("`,` or `}}`")]
    EntrySeparator,
    /// A key of a mapping.
    #[error("another key")]
    Key,
}

/// The names of tokens in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenName {
    /// The end of the text.
    #[error("the end of the text")]
    StreamEnd,
    /// A line that begins with `%`.
    #[error("a directive")]
    Directive,
    /// `---`
    #[error("`---`")]
    DocumentStart,
    /// `...`
    #[error("`...`")]
    DocumentEnd,
    /// `-`
    #[error("`-`")]
    Dash,
    /// The start of a block mapping.
    #[error("a mapping")]
    Mapping,
    /// The end of a block collection.
    #[error("a line further left")]
    BlockEnd,
    /// `[`
    #[error("`[`")]
    SequenceOpen,
    /// `]`
    #[error("`]`")]
    SequenceClose,
    /// `{`
    #[error("`{{`")]
    MappingOpen,
    /// `}`
    #[error("`}}`")]
    MappingClose,
    /// `,`
    #[error("`,`")]
    Comma,
    /// `?`
    #[error("`?`")]
    QuestionMark,
    /// A key without `?`.
    #[error("a key")]
    Key,
    /// `:`
    #[error("`:`")]
    Colon,
    /// `*name`
    #[error("an alias")]
    Alias,
    /// `&name`
    #[error("an anchor")]
    Anchor,
    /// `!name`
    #[error("a tag")]
    Tag,
    /// A scalar.
    #[error("a scalar")]
    Scalar,
}

/// The parts of block collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockPart {
    /// `- `
    #[error("an item of a list")]
    Item,
    /// A key.
    #[error("a key")]
    Key,
    /// A `:` after a value.
    #[error("a second `:`")]
    SecondColon,
}

/// The lines that contain only a directive or the header of a block scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Header {
    /// A line that begins with `%`.
    #[error("a directive")]
    Directive,
    /// A line with `|` or `>`.
    #[error("the first line of a block scalar")]
    BlockScalar,
}

/// The properties of nodes that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Property {
    /// `*name`
    #[error("an alias")]
    Alias,
    /// `&name`
    #[error("an anchor")]
    Anchor,
}
