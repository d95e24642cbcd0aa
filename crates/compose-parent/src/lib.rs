//! A small parent process that stays while the pipeline runs.
//!
//! It starts the pipeline as its child and exits with the child's code. In between it is a single
//! thread that waits for signals and for the end of the pipeline's copy. It knows nothing of mounts
//! and compositions: it calls the caller's [`Host`] when the copy is complete and when there is
//! something to report.
//!
//! ```standalone_crate
//! use std::time::Duration;
//!
//! use compose_parent::{Host, Note, Program, run};
//!
//! struct Quiet;
//!
//! impl Host for Quiet {
//!     fn copied(&mut self) {}
//!     fn say(&mut self, _: &Note) {}
//! }
//!
//! let program = Program {
//!     path: "/bin/sh".into(),
//!     words: ["sh", "-c", "exit 3"].map(Into::into).to_vec(),
//!     dir: std::env::current_dir().unwrap(),
//! };
//! let ended = run(&program, None, Duration::from_secs(8), &mut Quiet).unwrap();
//! assert_eq!(ended.code, 3);
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `parent` | the main loop |
//! | `child` | starting the pipeline, and its exit code |
//! | `signals` | signals as readable events |
//! | `stop` | ending a run by SIGTERM, SIGINT, SIGHUP or SIGQUIT |
//! | `freeze` | interrupting all tools at the same moment, and restraining the pipeline's main process |
//! | `processes` | the tree of processes, from `/proc` |
//! | `terminal` | control of the terminal, and Ctrl-Z |
//! | `copy` | detecting the end of the pipeline's copy, by inotify |
//! | `hold` | holding each process that the pipeline starts until the end of the copy was checked |

mod child;
mod copy;
mod error;
mod freeze;
mod hold;
mod parent;
mod processes;
mod signals;
mod stop;
mod terminal;

pub use child::{Program, exec_tied};
pub use copy::{Watch, temporary_directories};
pub use error::Error;
pub use parent::{Ended, Host, run};
pub use rustix::process::Signal;
pub use signals::{hold_signals, release_signals};
pub use stop::Note;
