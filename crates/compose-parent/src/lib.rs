//! The parent that stays while the pipeline runs.
//!
//! It starts the pipeline as its child, ends with the child's code, and is nearly nothing in between: one thread that
//! waits for a signal or for the end of the pipeline's copy. It knows nothing of mounts and compositions; the caller's
//! [`Host`] is called when the copy is done, and when there is something to say.
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
//! | `parent` | the loop |
//! | `child` | how the pipeline is started, and what its end means |
//! | `signals` | every signal as something to read |
//! | `stop` | what SIGTERM, SIGINT, SIGHUP and SIGQUIT do |
//! | `freeze` | one interrupt for every tool at one moment, and the brake on the pipeline's main process |
//! | `processes` | who descends from whom, from `/proc` |
//! | `terminal` | who has the terminal, and Ctrl-Z |
//! | `copy` | the end of the pipeline's copy, by inotify |
//! | `hold` | nothing that the pipeline starts runs before the copy's end was looked for |

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
