//! The types that all crates share. Nothing here reads files, the clock or the network.
//!
//! ```
//! use compose_model::{RepoUrl, TreePath, VersionRequest};
//!
//! let repo = RepoUrl::parse("https://git.example.com/org/kubernetes").unwrap();
//! assert_eq!(repo.name(), "kubernetes");
//! // A password is refused in an address, and never printed in a message.
//! let error = RepoUrl::parse("https://me:secret@git.example.com/org/kubernetes").unwrap_err();
//! assert!(!error.to_string().contains("secret"));
//!
//! assert!(TreePath::new("stacks/eks").is_ok());
//! assert!(TreePath::new("../etc").is_err());
//! assert!(VersionRequest::parse("^1.2").is_ok());
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`env`] | the names of all environment variables that are read |
//! | [`settings`] | the values of these variables, checked |
//! | [`duration`] | parsing of durations |
//! | [`size`] | parsing of sizes |
//! | [`source`] | one entry of `default-environments` |
//! | [`version`] | a `version:` request |
//! | [`url`] | a repo's address, which never prints a credential |
//! | [`pasted`] | addresses as people paste them |
//! | [`path`] | a path inside a tree, safe by construction |
//! | [`id`] | object ids |
//! | [`refs`] | a repo's advertised refs |
//! | [`filter`] | the filter for a source's files |
//! | [`file`](mod@file), [`file_name`] | the files that layers contribute; the names of the config and the lock |
//! | [`config_key`] | the config keys for lists of sources |
//! | [`flock`] | the process that holds a lock, from the system's own texts |
//! | [`fold`] | folding of names that are the same on some file systems |
//! | [`diagnostic`] | an error or warning: its cause, exit code, place and hints |
//! | [`styled`] | text with styles |
//! | [`report`] | the interface for progress |
//! | [`cancel`] | the flag that cancels a run |
//! | [`exit`] | exit codes |
//! | [`text`] | escaping of untrusted text, and "did you mean" |
//! | [`mod@redact`] | hiding the credentials in a text |

pub mod cancel;
pub mod config_key;
pub mod diagnostic;
pub mod duration;
pub mod env;
pub mod exit;
pub mod file;
pub mod file_name;
pub mod filter;
pub mod flock;
pub mod fold;
pub mod id;
pub mod pasted;
pub mod path;
pub mod redact;
pub mod refs;
pub mod report;
pub mod settings;
pub mod size;
pub mod source;
pub mod styled;
pub mod text;
pub mod url;
pub mod variables;
pub mod version;

pub use cancel::Cancel;
pub use diagnostic::{
    Background, Cause, Diagnostic, Failure, Overview, Place, ReadError, Severity, Span,
    without_temporary_path,
};
pub use exit::ExitCode;
pub use file::{FileMode, OutlineEntry, OutlineKind, TreeFile};
pub use filter::{Filter, FilterKey, Globs, LeftOut};
pub use id::{BlobId, CommitId, ObjectId, TreeId};
pub use pasted::PastedAddress;
pub use path::TreePath;
pub use redact::redact;
pub use refs::{RefEntry, Refs};
pub use report::{Reporter, Stage};
pub use settings::Settings;
pub use source::{Nesting, OnConflict, Requested, SourceSpec, ValueSpans, Verify, VerifyMode};
pub use styled::StyledText;
pub use url::{InvalidUrl, RepoUrl, is_loopback};
pub use version::VersionRequest;
