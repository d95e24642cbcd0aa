//! Decides about the sources of an environment: which there are, at which commits, and whether they may
//! be used.
//!
//! ```
//! use compose_git::Options;
//! use compose_model::{FilterKey, Nesting};
//! use compose_plan::{config, resolve::Allow};
//! use compose_sources::{Gatherer, Pins, Verifier};
//! use compose_testkit::Catalog;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let mut catalog = Catalog::new("kubernetes");
//! catalog.file("eks/main.tf", "# eks\n").file("eks/README.md", "eks").tag("1.2.0");
//! let catalog = catalog.build(dir.path());
//! let entry = "environment: eks, version: ^1, exclude: ['*.md']";
//! let text = format!("default-environments:\n- {{repo: '{}', {entry}}}\n", catalog.path().display());
//! let specs = config::parse(&"dev/bitops.config.yaml".into(), &text.into(), Nesting::Root).unwrap();
//!
//! // No key is trusted for all sources, and any repo may be contacted.
//! let mut options = Options::new(dir.path().join("cache"));
//! options.environment.insert("PATH".into(), std::env::var_os("PATH").unwrap());
//! options.environment.insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
//! let gatherer = Gatherer::new(options, Allow::default(), Verifier::new(dir.path(), None)).unwrap();
//! let pins = Pins::default();
//! let gathering = gatherer.gather(specs, &pins);
//! let gathered = tokio::runtime::Runtime::new()?.block_on(gathering).unwrap();
//!
//! let layer = &gathered.layers.layers[0];
//! assert_eq!(layer.files[0].path.as_str(), "main.tf");
//! assert_eq!(layer.left_out[0].by, FilterKey::Exclude);
//! assert_eq!(gathered.lock().sources[0].commit.to_string(), catalog.commit("1.2.0"));
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `gather` | [`Gatherer`]: resolving and fetching, repo by repo, nested sources included |
//! | `discovery`, `nested` | the state of discovering sources; the config that a source brings along |
//! | `repo` | resolving, fetching and verifying the entries of one repo |
//! | `layers` | the layers of fetched sources, in composition order |
//! | `gathered` | [`Gathered`]: the result, with access to the bytes |
//! | `lock_file`, `pins` | [`LockFile`] on disk; [`Pins`]: the commits that the lock pins |
//! | [`local_file`] | reading files of this machine that a config names, or that stand beside it |
//! | `user_file` | [`ConfigFile`] on disk, and how files of the user are written |
//! | `refs`, `moved` | the current refs of the repos that a lock or a config names; tags that moved |
//! | `verify` | [`Verifier`]: which signatures are required, and whether they are valid |
//! | `wording` | every message of this crate, with its remedy |
//! | `blocking` | work for the blocking pool |
//!
//! Messages and their remedies are in `wording` alone. What it wraps is worded where it is found: refs that do not
//! answer in `compose_plan::resolve`, locks in `compose_plan::lock`, fetching in `compose_git::Error`, and signatures in
//! `compose_signatures`.

mod blocking;
mod discovery;
mod gather;
mod gathered;
mod layers;
pub mod local_file;
mod lock_file;
mod moved;
mod nested;
mod pins;
mod refs;
mod repo;
mod user_file;
mod verify;
mod wording;

pub use blocking::blocking;
pub use gather::Gatherer;
pub use gathered::Gathered;
pub use lock_file::LockFile;
pub use moved::refuse_moved;
pub use pins::{Pins, check_lock, lock_differences};
pub use refs::CurrentRefs;
pub use user_file::ConfigFile;
pub use verify::Verifier;
