//! Composes the operations repo on disk and switches the pipeline's path to it.
//!
//! ```
//! use std::{fs, io::Write as _};
//!
//! use compose_model::{FileMode, TreePath};
//! use compose_tree::{Attempt, Error, Links, Located, Places, Staging, image, locate};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Lay out an image, and put an operations repo into it.
//! let root = tempfile::tempdir()?;
//! image::install(root.path())?;
//! let (home, ops_repo) = (root.path().join("opt/bitops-compose"), root.path().join("opt/bitops_deployment"));
//! fs::create_dir(home.join("mount/dev"))?;
//! fs::write(home.join("mount/dev/mine.tf"), "# mine\n")?;
//! let places = Places { ops_repo: &ops_repo, home: &home, environment: None, candidates: &[] };
//! let Located::Repo(mount) = locate(&places)? else { panic!("an operations repo is mounted") };
//!
//! // Compose one new file beside the mount.
//! let path = TreePath::new("dev/theirs.tf")?;
//! let staging = Staging::begin(&mount, &TreePath::new("dev")?)?;
//! let staged = staging.write::<Error>(
//!     &[(&path, FileMode::Regular)],
//!     Links::of(mount.root(), &[]),
//!     |_, put| put(b"# theirs\n"),
//!     |manifest| manifest.write_all(b"{}"),
//! )?;
//!
//! // One rename makes the composition visible to the pipeline, another one hides it again.
//! let Attempt::Locked(lock) = mount.try_lock()? else { panic!("no other run is switching") };
//! let switched = staged.switch(&mount, lock)?;
//! assert_eq!(fs::read_to_string(ops_repo.join("dev/mine.tf"))?, "# mine\n");
//! assert_eq!(fs::read_to_string(ops_repo.join("dev/theirs.tf"))?, "# theirs\n");
//! switched.switch_back()?;
//! assert!(!ops_repo.join("dev/theirs.tf").exists());
//! # Ok(())
//! # }
//! ```
//!
//! In the image, three names lead to the user's operations repo. One rename switches the pipeline
//! to the composed one for as long as it copies it:
//!
//! ```text
//! /opt/bitops_deployment -> bitops-compose/active         the pipeline's path
//! /opt/bitops-compose/
//! ├── active -> mount             names composition.XXXX/tree during the copy, then mount again
//! ├── mount/                      the mount point for the user's -v; a link if a CI's checkout is used
//! └── composition.XXXX/           one run's result, removed with the run
//!     ├── manifest.json           the origin of every path
//!     ├── staged                  the user's repo, and every name in the tree
//!     ├── to, back                links that are renamed over `active`
//!     └── tree/                   a symlink farm: only composed directories are real,
//!         ├── .git -> …/mount/.git                        only composed files are written
//!         └── dev/
//!             ├── helm -> …/mount/dev/helm
//!             ├── terraform-b -> terraform                the user's own link, recreated
//!             └── terraform/main.tf
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`image`] | the layout of an image |
//! | [`mod@locate`], [`mount`] | finding the user's repo, and what the pipeline's path shows |
//! | `link`, `held` | the link that is switched; the locks on it and on compositions |
//! | `restart`, `mountinfo` | restarted containers; mount points |
//! | [`staging`] | a composition being written beside the mount |
//! | `layout`, `links` | which directories are real, and the user's symlinks |
//! | `write` | many new files, by several threads |
//! | `record` | a composition's record of its origin and content |
//! | [`switch`] | the states of a run: switched, switched back |
//! | [`sweep`], `relocate` | moving files that the pipeline wrote into the composition to the user's repo |
//! | `old`, `remove` | removing compositions |
//! | [`error`] | what fails, with every message and hint; [`Sweep::notes`] are those of a sweep |
//! | `names`, `moment` | names in a home and in a composition; times of files |
//!
//! Modules import those that stand before them in what happens to a composition: it is staged,
//! switched in and back, and swept.
//!
//! The messages of this crate are in `error.rs`, with the words for actions in `action.rs`; those about what a
//! sweep found are in `sweep/report.rs`.

mod action;
pub mod error;
mod held;
pub mod image;
mod layout;
mod link;
mod links;
pub mod locate;
mod moment;
pub mod mount;
mod mountinfo;
mod names;
mod old;
mod record;
mod relocate;
mod remove;
mod restart;
#[cfg(test)]
mod shared_home;
pub mod staging;
pub mod sweep;
pub mod switch;
#[cfg(test)]
mod testing;
mod write;

pub use action::Action;
pub use error::Error;
pub use link::{Attempt, Busy, SwitchLock};
pub use links::Links;
pub use locate::{Located, Places, locate, users_path};
pub use moment::Moment;
pub use mount::{Mount, Nothing, Settled};
pub use staging::{Staged, Staging};
pub use sweep::{Sweep, Unmoved};
pub use switch::{Switched, SwitchedBack};
pub use write::{NewFile, Put};
