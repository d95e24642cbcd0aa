//! What decides about the sources of an environment: which there are, at which commits, and whether they may be used.
//!
//! ```
//! use compose_git::Options;
//! use compose_model::Nesting;
//! use compose_plan::{config, resolve::Allow};
//! use compose_sources::{Gatherer, Pins, Verifier};
//! use compose_testkit::Catalog;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let mut catalog = Catalog::new("kubernetes");
//! catalog.file("eks/main.tf", "# eks\n").tag("1.0.0").tag("1.2.0");
//! let catalog = catalog.build(dir.path());
//! let text = format!(
//!     "default-environments:\n- {{repo: {}, environment: eks, version: ^1}}\n",
//!     catalog.path().display()
//! );
//! let sources = config::parse(&"dev/bitops.config.yaml".into(), &text.into(), Nesting::Root).unwrap();
//!
//! let mut options = Options::new(dir.path().join("cache"));
//! options.environment.insert("PATH".into(), std::env::var_os("PATH").unwrap());
//! options.environment.insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
//! let gatherer = Gatherer::new(options, Allow::new(["*"]), Verifier::new(dir.path(), None)).unwrap();
//! let pins = Pins::default();
//! let gathered = tokio::runtime::Runtime::new()?.block_on(gatherer.gather(sources, &pins)).unwrap();
//! assert_eq!(gathered.layers.sources[0].resolved, "1.2.0");
//! assert_eq!(gathered.layers.layers[0].files[0].path.as_str(), "main.tf");
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `gather` | [`Gatherer`]: resolve and fetch, repo by repo, sources of sources included |
//! | `repo` | one repo's part: refs, commits, signatures |
//! | `layers` | what the sources of a composition contribute, in its order |
//! | `gathered` | [`Gathered`]: all of that, with access to the bytes |
//! | `lock_file`, `pins` | [`LockFile`] on disk; [`Pins`]: what the lock answers |
//! | `refs`, `moved` | what the repos of a lock have now; tags that were moved |
//! | `verify` | [`Verifier`]: which signatures a source needs, and whether it has them |
//! | `blocking` | work that never waits for the network |

mod blocking;
mod gather;
mod gathered;
mod layers;
mod lock_file;
mod moved;
mod pins;
mod refs;
mod repo;
mod verify;

pub use blocking::blocking;
pub use gather::Gatherer;
pub use gathered::Gathered;
pub use lock_file::LockFile;
pub use moved::refuse_moved;
pub use pins::{Pins, check_lock};
pub use refs::LockedRefs;
pub use verify::Verifier;
