//! The test kit: a hermetic command context, catalogs, and a smart-HTTP git server with faults.
//!
//! ```
//! use compose_testkit::Context;
//!
//! let context = Context::new("/bin/sh");
//! let run = context.run(["-c", "echo \"at home in $HOME\"; exit 3"]).expect_code(3);
//! assert!(run.stdout.contains(context.root().to_str().unwrap()));
//! // Values that differ from run to run are placeholders in snapshots.
//! assert!(run.to_string().contains("at home in [ROOT]/home"));
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`actions`] | a runner of GitHub Actions for the project's own YAML files |
//! | [`context`] | [`Context`]: a hermetic environment for the program under test |
//! | [`run`], [`process`] | [`Run`]: exit code, stdout, stderr; [`Spawned`]: a run that can be signalled |
//! | [`fuzz`] | randomly damaged inputs |
//! | [`figures`] | figures that tests measure, for the documentation |
//! | [`fingerprint`] | detecting changes of the user's operations repo |
//! | [`oracle`], [`real_files`] | programs that answer the same question; YAML files of real repos |
//! | [`standin`] | a stand-in for BitOps, and what it received |
//! | [`catalog`], [`repo`] | [`Catalog`]: real git repos with fixed ids; [`Repo`]: raw and hostile objects |
//! | [`example`] | the catalogs and configs of the documentation's examples |
//! | [`server`] | [`GitServer`]: `git http-backend` with counted requests, delays and faults; TLS; a proxy |
//! | [`sshd`] | [`Sshd`]: a real ssh daemon with one key |
//! | [`docker`] | the container engine, if there is one |
//! | [`git`] | the stock git, without any configuration |
//!
//! The kit panics if it cannot do something: in a test, a panic is the report. It does not depend
//! on the project's other crates.

pub mod actions;
pub mod catalog;
pub mod context;
pub mod docker;
pub mod example;
pub mod figures;
pub mod fingerprint;
pub mod fuzz;
pub mod git;
pub mod oracle;
pub mod process;
pub mod real_files;
mod redact;
pub mod repo;
pub mod run;
pub mod server;
pub mod sshd;
pub mod standin;

pub use catalog::Catalog;
pub use context::Context;
pub use fingerprint::Fingerprint;
pub use process::{Signal, Spawned};
pub use repo::{RawEntry, Repo};
pub use run::Run;
pub use server::GitServer;
pub use sshd::Sshd;
