//! The composition on disk.
//!
//! In the image three names lead to the user's operations repo, and one rename moves the pipeline to the
//! composed one (section 9 of the design):
//!
//! ```text
//! /opt/bitops_deployment -> bitops-compose/active         where the pipeline looks
//! /opt/bitops-compose/
//! ├── active -> mount             switched to composition.XXXX/tree by one rename
//! ├── mount/                      the user's -v lands here, and nothing is ever written into it
//! └── composition.XXXX/           one run's result, removed by the next run
//!     ├── manifest.json           where every path came from
//!     └── tree/                   a symlink farm: only composed directories are real,
//!         ├── .git -> …/mount/.git                        only composed files are written
//!         └── dev/
//!             ├── helm -> …/mount/dev/helm
//!             └── terraform/main.tf
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`mount`] | where the user's repo is, which link is switched, and the layout of an image |
//! | [`staging`] | a composition being written beside the mount |
//! | `write` | many new files, by several threads |

pub mod error;
pub mod image;
mod layout;
mod link;
mod links;
pub mod mount;
mod mountinfo;
mod old;
mod record;
mod relocate;
mod restart;
pub mod staging;
pub mod sweep;
pub mod switch;
#[cfg(test)]
mod testing;
mod write;

pub use error::Error;
pub use link::{Attempt, Busy, SwitchLock};
pub use mount::{Located, Mount, Places, Settled, locate, users_path};
pub use staging::{Staged, Staging};
pub use sweep::Sweep;
pub use switch::{Switched, SwitchedBack};
pub use write::{NewFile, Put};
