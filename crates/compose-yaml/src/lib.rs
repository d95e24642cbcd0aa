//! The only reader of YAML in this project.
//!
//! A text means the same here as in BitOps, which reads it with PyYAML's `FullLoader`: the language
//! (YAML 1.1 with PyYAML's liberties and limits), the values of scalars and the merge keys are the
//! same. Every node has its range of bytes, so that a mistake can be shown in its place and an edit
//! keeps all other text.
//!
//! ```
//! use compose_yaml::{Scalar, Tree};
//!
//! let text = "enabled: yes # a boolean in YAML 1.1\n";
//! let tree = Tree::parse(text).unwrap();
//! let map = tree.map(tree.root().unwrap()).unwrap();
//! let value = map.entries[0].value;
//! assert_eq!(tree.scalar(value), Some(Scalar::Bool(true)));
//! assert_eq!(&text[tree.node(value).span()], "yes");
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `parse` | the entry point, which parses a text into a tree |
//! | `scanner`, `build` | the tokens of a text, and the nodes of these tokens |
//! | `tree` | the nodes with their places |
//! | `limits`, `characters` | the largest texts and the characters that are accepted |
//! | `merge_keys` | mappings as they are loaded |
//! | `same` | whether two nodes load as the same value |
//! | `scalar` | scalars as PyYAML loads them |
//! | `decode` | the decoding of bytes as text |
//! | `lines` | lines, indentation, and replacements of text |
//! | `quote` | the writing of text as a scalar |
//! | `edit` | edits that keep all other text |
//! | `error` | why a text is unreadable, with all messages except those of edits (`edit::path`) |

mod build;
mod characters;
mod decode;
mod edit;
mod error;
mod limits;
mod lines;
mod merge_keys;
mod parse;
mod quote;
mod same;
mod scalar;
mod scanner;
mod tree;

pub use decode::{Decoded, Utf8, decode, decode_lossy, decode_utf8, is_utf16, read_text, without_bom};
pub use edit::{Cut, EditError, Editor, NewValue, Step, original_line};
pub use error::{BlockPart, Error, Expected, Header, Problem, Property, Syntax, TokenName};
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
pub use lines::{Edit, Lines, apply, leading, line_break};
pub use quote::{double_quote, quote};
pub use scalar::{Scalar, YAML_TAG, load, python_key};
pub use tree::{Kind, Loaded, Map, MapEntry, Node, NodeId, Style, Tree};
