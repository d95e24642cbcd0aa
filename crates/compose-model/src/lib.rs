//! The types that all crates share. Nothing here reads files, the clock or the network.
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
//! | [`path`] | a path inside a tree, safe by construction |
//! | [`id`] | object ids |
//! | [`refs`] | a repo's advertised refs |
//! | [`file`](mod@file), [`file_name`] | the files that layers contribute; the names of the config and the lock |
//! | [`fold`] | folding of names that are the same on some file systems |
//! | [`diagnostic`] | an error or warning with its place and its hints |
//! | [`report`] | the interface for progress |
//! | [`cancel`] | the flag that cancels a run |
//! | [`exit`] | exit codes |
//! | [`text`] | escaping of untrusted text, and "did you mean" |

pub mod cancel;
pub mod diagnostic;
pub mod duration;
pub mod env;
pub mod exit;
pub mod file;
pub mod file_name;
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
pub use diagnostic::{Diagnostic, Place, Severity, Span};
pub use exit::ExitCode;
pub use file::{FileMode, TreeFile};
pub use id::{BlobId, CommitId, ObjectId, TreeId};
pub use path::TreePath;
pub use refs::{RefEntry, Refs};
pub use report::{Reporter, Stage};
pub use settings::Settings;
pub use source::{Nesting, OnConflict, Requested, SourceSpec, ValueSpans, Verify, VerifyMode};
pub use url::RepoUrl;
pub use version::VersionRequest;
