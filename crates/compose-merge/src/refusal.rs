//! Lists the reasons for which a text is not merged, with their places. Every message of this crate
//! is here.

use std::fmt;

use compose_yaml::{Error, MAX_NODES, Problem};
use thiserror::Error;

use crate::{limits::MAX_DEPTH, whole_document::WholeDocument};

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Position {
    /// Returns the place of a line and a column.
    pub(crate) fn new((line, column): (usize, usize)) -> Self {
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A contribution that cannot be merged with the others.
#[derive(Debug, Error)]
#[error("contribution {index} is not merged: {refusal}")]
pub struct Unmergeable {
    /// The contribution.
    pub index: usize,
    /// The reason and the place.
    pub refusal: Refusal,
}

/// The reason for which a text is not merged, with its place if there is one.
#[derive(Debug)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// The place in the text; `None` if the reason concerns the whole text.
    pub position: Option<Position>,
}

impl Refusal {
    /// Creates a refusal for a reason at a line and a column, both from 1.
    pub(crate) fn new(reason: Reason, line_column: (usize, usize)) -> Self {
        Self {
            reason,
            position: Some(Position::new(line_column)),
        }
    }

    /// Returns the same refusal as one of a contribution.
    pub(crate) fn of(self, index: usize) -> Unmergeable {
        Unmergeable { index, refusal: self }
    }

    /// Creates a refusal of a text that the YAML reader does not accept.
    pub(crate) fn unreadable(error: Error, text: &str) -> Self {
        let position = match error.problem {
            Problem::TooLarge(_) | Problem::Encoding | Problem::NotUtf8 => None,
            _ => Some(Position::new(error.line_column(text))),
        };
        let reason = match error.problem {
            Problem::SeveralDocuments => Reason::SeveralDocuments,
            problem => Reason::Unreadable(problem),
        };
        Self { reason, position }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            position: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{position}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

/// The kinds of [`Refusal`]. Each message is a clause about the text ("it has an empty key"), for
/// sentences such as "FILE is not merged: CLAUSE".
#[derive(Debug, Error)]
pub enum Reason {
    /// The text exceeds a limit of the reader, has the wrong encoding, or is not YAML.
    #[error("{}", unreadable(.0))]
    Unreadable(Problem),
    /// The text is not JSON.
    #[error("it is not valid JSON: {}", without_place(.0))]
    Json(#[source] serde_json::Error),
    /// The text is not HCL.
    #[error("it is not valid HCL: {}", .0.message())]
    Hcl(#[source] hcl_edit::parser::Error),
    /// The HCL library does not know the place of a part of the text.
    #[error("its HCL is written in an unusual way")]
    UnknownPlace,
    /// There are several YAML documents.
    #[error("it has several documents")]
    SeveralDocuments,
    /// The content is a list or a scalar.
    #[error("it is not a mapping")]
    NotMapping,
    /// The document is encrypted, or is not the same thing as the one below it.
    #[error("it is {0}, which is taken as a whole")]
    Whole(WholeDocument),
    /// There are too many nodes.
    #[error("it has more than {MAX_NODES} values")]
    TooManyValues,
    /// Collections are nested too deeply.
    #[error("it is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Collections are nested too deeply once aliases are followed.
    #[error("it is nested deeper than {MAX_DEPTH} once aliases are followed")]
    TooDeepAliases,
    /// Aliases or merge keys multiply values beyond a limit.
    #[error(transparent)]
    Expansion(Expansion),
    /// A `%TAG` directive gives tags a different meaning from the one in the other file.
    #[error("it has a %TAG directive")]
    TagDirective,
    /// The text of a key cannot be moved with the same meaning.
    #[error(transparent)]
    Key(KeyProblem),
    /// A merge key has a value that is not a mapping.
    #[error("it has a merge key (<<) whose value is not a mapping")]
    MergeKey,
    /// An alias is inside the node that it refers to.
    #[error("it has an alias inside the value that the alias stands for")]
    RecursiveAlias,
    /// The last line of a block scalar cannot be completed without changing the value.
    #[error("it has a text of several lines that ends with blanks and without a line break")]
    TrailingBlanks,
    /// A text of several lines would have to be in brackets.
    #[error("it has a text of several lines that would have to stand in brackets")]
    LinesInBrackets,
    /// The merged text itself is not accepted.
    #[error("the merged text would not be accepted: {0}")]
    MergedText(#[source] Box<Refusal>),
    /// The merged text loads to other values than the merge.
    #[error("its text cannot be spliced without changing a value")]
    ChangedValue,
    /// The file is not one that Terraform accepts under its name.
    #[error(transparent)]
    Terraform(TerraformProblem),
}

impl Reason {
    /// Returns whether files like this are always taken as a whole. Any other reason is a mistake
    /// in the file, or a limit that it exceeds: the file was meant to be merged.
    pub fn is_by_design(&self) -> bool {
        matches!(self, Self::NotMapping | Self::SeveralDocuments | Self::Whole(_))
    }
}

/// The kind of data that aliases or merge keys multiply beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Expansion {
    /// The values of a merge.
    #[error("its aliases expand to too many values")]
    Values,
    /// The text of a merge.
    #[error("its aliases expand to too much text")]
    Text,
    /// The paths of keys.
    #[error("nested keys whose paths are too long together")]
    Keys,
    /// The entries of mappings.
    #[error("its merge keys (<<) bring more than {MAX_NODES} entries")]
    MergeKeys,
}

/// A key whose text cannot be moved with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyProblem {
    /// The key is a collection.
    #[error("it has a key that is not a scalar")]
    Collection,
    /// The key has no text.
    #[error("it has an empty key")]
    Empty,
    /// The key spans lines.
    #[error("it has a key of several lines")]
    Lines,
    /// Python considers two keys of different types the same.
    #[error("it has one key in two types (`1`, `true`, `1.0`)")]
    TwoTypes,
    /// The value of a key with `?` changes.
    #[error("it has an explicit key (`?`) whose value changes")]
    ExplicitChanges,
    /// A key with `?` would be added to another mapping.
    #[error("it has an explicit key (`?`) that would have to move")]
    ExplicitMoves,
    /// The key is an alias, and its anchor is not in the result.
    #[error("it has a key whose anchor another contribution replaces")]
    LostAnchor,
}

/// A part of a file that Terraform does not expect there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TerraformProblem {
    /// A block has the wrong number of labels.
    #[error("it has a `{block}` block with {count} labels")]
    Labels {
        /// The block's type.
        block: String,
        /// The number of labels.
        count: usize,
    },
    /// A JSON file has something else in place of an object.
    #[error("it has something else where Terraform expects an object")]
    NotObject,
    /// A file of variables has a block.
    #[error("it is a file of variables and has a block")]
    BlockAmongVariables,
    /// A file of variables sets one of them twice.
    #[error("it sets the variable `{0}` twice")]
    VariableTwice(String),
    /// The lock file has an attribute outside any block.
    #[error("it has an attribute outside of providers")]
    AttributeOutside,
    /// The lock file has a block that does not have exactly one label.
    #[error("it has a provider without an address")]
    NoAddress,
    /// The lock file has a block that is not a provider.
    #[error("it has a block `{0}`, which is not a provider")]
    UnknownBlock(String),
    /// A provider has an unknown attribute.
    #[error("it sets a provider's `{0}`, which is not known")]
    UnknownAttribute(String),
    /// A provider is in the lock file twice.
    #[error("it has the provider {0} twice")]
    ProviderTwice(String),
    /// A value is not a string.
    #[error("it has a value that is not a string")]
    NotString,
    /// A provider's hashes are not a list.
    #[error("it has hashes that are not a list")]
    NotList,
}

impl From<Expansion> for Reason {
    fn from(expansion: Expansion) -> Self {
        Self::Expansion(expansion)
    }
}

impl From<KeyProblem> for Reason {
    fn from(problem: KeyProblem) -> Self {
        Self::Key(problem)
    }
}

impl From<TerraformProblem> for Reason {
    fn from(problem: TerraformProblem) -> Self {
        Self::Terraform(problem)
    }
}

/// Returns the problem of a text that the YAML reader does not accept, as a clause.
fn unreadable(problem: &Problem) -> String {
    match problem {
        Problem::Syntax(_)
        | Problem::Character(_)
        | Problem::UnknownAlias(_)
        | Problem::TooDeep
        | Problem::Encoding
        | Problem::NotUtf8 => format!("it is {problem}"),
        Problem::TooLarge(_) | Problem::TooManyNodes => format!("it has {problem}"),
        Problem::DuplicateAnchor(_) | Problem::SeveralDocuments => problem.to_string(),
    }
}

/// Returns the message of a serde_json error without the place, with which it otherwise ends.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}
