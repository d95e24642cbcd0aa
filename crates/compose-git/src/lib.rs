//! Access to git repositories: refs, fetch, cache, credentials, retry. This is the only crate that
//! uses gix, and it exposes no gix types.
//!
//! ```
//! use compose_git::{Git, Options, Root, Want};
//! use compose_model::{RepoUrl, TreePath};
//! use compose_testkit::Catalog;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let mut catalog = Catalog::new("kubernetes");
//! catalog.file("eks/main.tf", "# eks\n").file("other/x", "is not fetched").tag("1.0.0");
//! let catalog = catalog.build(dir.path());
//!
//! // The run has its own environment; git needs a `PATH`.
//! let mut options = Options::new(dir.path().join("cache"));
//! options.environment.insert("PATH".into(), std::env::var_os("PATH").unwrap());
//! options.environment.insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
//!
//! let eks = Root::whole(TreePath::new("eks")?);
//! let want = Want {
//!     commit: catalog.commit("1.0.0").parse()?,
//!     refname: Some("refs/tags/1.0.0".to_owned()),
//!     roots: vec![eks.clone()],
//! };
//! let repo = Git::new(options)?.repo(&RepoUrl::parse(catalog.path().to_str().unwrap())?);
//! let snapshots = tokio::runtime::Runtime::new()?.block_on(repo.fetch(&[want]))?;
//! let files = snapshots[0].files(&eks)?;
//! assert_eq!(files[0].path.as_str(), "main.tf");
//! assert_eq!(snapshots[0].read(&files[0].blob)?, b"# eks\n");
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `git`, `run` | [`Git`]: a run of fetching; the state that its repos share |
//! | `repo`, `shared` | [`Repo`]: refs and fetch, with retries, on the blocking pool; the state of one repo |
//! | `want` | [`Want`]: the commits and directories to fetch |
//! | `fetch`, `strategy` | which objects are requested, in which order; the fallbacks when a server refuses |
//! | `tag` | signed tags |
//! | `outline` | [`Outline`]: the names and ids below a directory of a commit, without its files |
//! | `approach` | [`Approach`]: what would be used to reach a repo, and whether it answers, for `doctor` |
//! | `session` | one connection: handshake, refs, packs |
//! | `wire` | bounded transfer: HTTP over one shared client, `ssh` and `git upload-pack` as programs |
//! | `credentials`, `gitconfig` | which host gets which secret; the parts of git's configuration that apply |
//! | `cache` | [`Cache`]: the object cache on disk, its locks, its limit and its pruning |
//! | `store`, `object_cache` | verified reading of objects; the objects kept in memory |
//! | `tree_object`, `names`, `list_tree` | one tree and its names; the files of a commit, with symlinks followed |
//! | `snapshot` | [`Snapshot`]: a commit and its fetched files |
//! | `ids`, `sync`, `bounded` | conversion of object ids; mutexes; files of this machine, read within a bound |
//! | `options`, `retry` | a run's options; when failures are retried |
//! | `error` | the errors: their messages, exit codes and hints; the words for what the network or `ssh` reported are in `wire/net_error.rs` and `wire/process.rs` |

// Errors are rare and end a repo's work, so their size does not matter, and boxing would burden
// every match.
#![allow(clippy::result_large_err)]

mod approach;
mod bounded;
mod cache;
mod credentials;
mod error;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod git;
mod gitconfig;
mod ids;
mod list_tree;
mod names;
mod object_cache;
mod options;
mod outline;
mod refs;
mod repo;
mod retry;
mod run;
mod session;
mod shared;
mod snapshot;
mod store;
mod strategy;
mod sync;
mod tag;
mod tree_object;
mod want;
mod wire;

pub use approach::{Answer, Approach, Certificates, ProxySetting};
pub use bounded::read_bounded;
pub use cache::{Cache, CacheEntry, Prune, Pruned, Tidying};
pub use error::{
    Access, Detour, Distrust, Error, Excess, FailedAt, NotFollowed, RefusedEntry, SettingProblem, TreeProblem,
};
pub use git::{Git, Traces};
pub use ids::blob_id;
pub use options::{Options, Stall, Tuning};
pub use outline::{Glance, Outline};
pub use repo::{ObservedRefs, Repo};
pub use retry::{RetryPolicy, Sleep};
pub use snapshot::Snapshot;
pub use want::{Root, Want};
