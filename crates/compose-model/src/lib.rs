//! The nouns of bitops-compose. Nothing here reads a file, a clock or the network.
//!
//! ```
//! use compose_model::{RepoUrl, TreePath, VersionRequest};
//!
//! let repo = RepoUrl::parse("https://git.example.com/org/kubernetes").unwrap();
//! assert_eq!(repo.name(), "kubernetes");
//! // A password has no place in a config, and none in a message.
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
//! | [`env`] | every environment variable the program reads, by name |
//! | [`settings`] | their values, checked |
//! | [`duration`] | durations as people write them |
//! | [`size`] | sizes as people write them |
//! | [`source`] | one entry of `default-environments` |
//! | [`version`] | what `version:` asks for |
//! | [`url`] | where a repo is, never printing a credential |
//! | [`path`] | a path inside a tree, safe by construction |
//! | [`id`] | object ids |
//! | [`refs`] | a repo's advertised refs |
//! | [`filter`] | which files of a source take part |
//! | [`file`](mod@file), [`file_name`] | what a layer contributes; the names of the config and the lock |
//! | [`fold`] | names that are one on some file systems |
//! | [`diagnostic`] | what is wrong: cause, exit code, place, remedies |
//! | [`report`] | progress, injected |
//! | [`cancel`] | the one way to stop |
//! | [`exit`] | exit codes |
//! | [`text`] | remote text made printable, and "did you mean" |

pub mod cancel;
pub mod diagnostic;
pub mod duration;
pub mod env;
pub mod exit;
pub mod file;
pub mod file_name;
pub mod filter;
pub mod fold;
pub mod id;
pub mod path;
pub mod refs;
pub mod report;
pub mod settings;
pub mod size;
pub mod source;
pub mod text;
pub mod url;
pub mod version;

pub use cancel::Cancel;
pub use diagnostic::{Background, Cause, Diagnostic, Failure, Place, ReadError, Severity, Span};
pub use exit::ExitCode;
pub use file::{FileMode, TreeFile};
pub use filter::{Filter, FilterKey, Globs, LeftOut};
pub use id::{BlobId, CommitId, ObjectId, TreeId};
pub use path::TreePath;
pub use refs::{RefEntry, Refs};
pub use report::{Reporter, Stage};
pub use settings::Settings;
pub use source::{Nesting, OnConflict, Requested, SourceSpec, ValueSpans, Verify, VerifyMode};
pub use url::RepoUrl;
pub use version::VersionRequest;
