//! The object cache.
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG                    backups leave it out
//!   v1/                             this layout; another one gets another number, and both may stand side by side
//!     prune.lock                    flock: exclusive by the one run that brings the cache under its limit
//!     .trash-<random>/              entries on their way out; leftovers of killed runs go with the next pruning
//!     kubernetes-3f2a…/             one entry per repo: its name, and the start of the hash of its address
//!       url                         the address
//!       in-use                      flock: shared by every run that reads, exclusive by who removes; its mtime is the last use,
//!                                   to the hour
//!       lock                        flock: exclusive by the run that fetches; holds its process id
//!       refs                        the last look at the refs, for offline runs
//!       objects/pack/               pack-*.pack and pack-*.idx, by no pack another one's objects are explained
//!       incoming/<random>/          packs while they are received; leftovers go after an hour
//! ```
//!
//! Files are as readable to other users as the umask says, packs too: a CI job saves a cache that a container wrote as root.
//!
//! **Concurrency.** A pack's name is the hash of its content and it appears by rename, pack before index, so writers cannot
//! hurt each other; `lock` only keeps eight processes from downloading the same thing eight times. Who waits longer than
//! the bound fetches for itself.
//!
//! **Crashes.** A killed fetch leaves a directory in `incoming` and nothing else. Nothing is synced to disk: after a
//! power cut a file may be empty or torn, which is found when it is read (every object is verified against its id), and the entry is then fetched anew. Syncing
//! would cost every cold run more than that costs anyone.
//!
//! **Completeness** is not recorded: whether a commit's directories are all there is found by walking them (`list_tree`).
//!
//! **Size.** Two bounds, and neither costs a warm run anything. A run that fetched looks at the whole cache afterwards, in a
//! thread beside the composition (`owner`): entries unused for the longest go until the cache is under its limit. And a fetch
//! that finds an entry of too many packs drops those that newer ones supersede (`compact`). What any running process reads
//! stays (`in-use`), as does all that the run itself used. An entry goes in one rename and is deleted afterwards, so a killed run
//! leaves no half of one.
//!
//! **Where it cannot be written** it is read; what is missing then is fetched into a private directory that goes with the run.

mod compact;
mod entry;
mod files;
mod owner;

use std::sync::Arc;

pub(crate) use compact::Compacted;
pub(crate) use entry::{Guard, OpenEntry};
pub use owner::{Cache, CacheEntry, Prune, Pruned, Tidying};

/// What keeps an entry from being removed while a snapshot of it lives.
pub(crate) type KeepAlive = Arc<dyn Send + Sync>;
