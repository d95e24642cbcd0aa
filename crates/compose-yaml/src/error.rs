//! What makes a text unreadable.

use compose_model::text::escape;
use thiserror::Error;

use crate::{
    limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES},
    lines::Lines,
};

/// A text that is not one YAML document to PyYAML, or that exceeds a bound.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// The byte of the text that it is about.
    pub at: usize,
}

impl Error {
    pub(crate) fn syntax(message: impl Into<String>, at: usize) -> Self {
        Self {
            problem: Problem::Syntax(message.into()),
            at,
        }
    }

    /// What is wrong, with its line in the text.
    pub fn with_line(&self, text: &str) -> String {
        format!("line {}: {}", self.line_column(text).0, self.problem)
    }

    /// The line and the column in the text, both from 1; the column counts characters.
    pub fn line_column(&self, text: &str) -> (usize, usize) {
        Lines::new(text).line_column(text, self.at)
    }

    /// Whether the text is rejected as a whole, however its other lines are read.
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
    Syntax(String),
    /// PyYAML refuses a character wherever it occurs.
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
    /// The bytes of a file that may only be UTF-8 are something else.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text has this many bytes.
    #[error("{0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// Collections are nested deeper than PyYAML can follow.
    #[error("not valid YAML: nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// There are too many nodes.
    #[error("more than {MAX_NODES} values")]
    TooManyNodes,
}
