//! The object cache.
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG                    tells backup programs to skip the directory
//!   v1/                             this layout; another layout gets another number beside it
//!     prune.lock                    flock: exclusive for the one run that enforces the size limit
//!     .trash-<random>/              entries being deleted; the next pruning removes leftovers
//!     kubernetes-3f2a…/             one entry per repo: its name and the start of its address' hash
//!       url                         the repo's address
//!       in-use                      flock: shared for every reader, exclusive for a removal; its
//!                                   mtime is the last use, to the hour
//!       lock                        flock: exclusive for the run that fetches; holds its process id
//!       refs                        the last look at the refs, for offline runs; ends with a hash
//!       objects/pack/               pack-*.pack and pack-*.idx; no delta refers to another pack
//!       incoming/<random>/          packs being received; leftovers are removed after an hour
//! ```
//!
//! File permissions depend on the umask alone, those of packs too: a CI job saves a cache that a
//! container wrote as root.
//!
//! **Concurrency.** The name of a pack is the hash of its content, and a pack appears by rename,
//! before its index, so concurrent writers cannot harm each other. `lock` only keeps several
//! processes from downloading the same objects. A process that waits longer than the bound fetches
//! for itself.
//!
//! **Crashes.** A killed fetch leaves a directory in `incoming`, and perhaps a file `.tmp-<random>`. Nothing is synced
//! to disk: a power cut may leave a file empty or truncated. This is detected when the file is
//! read, because every object is verified against its id, and the entry is then fetched again.
//! Syncing would cost every cold run more than such a repair costs.
//!
//! **Completeness** is not recorded. Whether all files of a commit's directories are there is found
//! by walking them (`list_tree`).
//!
//! **Size.** Two bounds apply, and neither costs a warm run anything. A run that fetched checks the
//! size of the whole cache afterwards, in a thread beside the composition (`owner`), and removes
//! the entries unused for the longest until the cache is under its limit. A fetch that finds an
//! entry with too many packs drops those that newer ones supersede (`compact`). Entries that a
//! running process reads (`in-use`) or that this run used are kept. An entry is removed by one
//! rename and deleted afterwards, so a killed run never leaves a partial entry.
//!
//! **Other users.** Nothing that another user wrote is trusted, followed or waited for (`trust`): an
//! entry with such files is not used, and the run gets a private one.
//!
//! **Removal.** Others may remove the cache at any time, and its disk may be full. The fetch then
//! starts again (`fetch/restart.rs`), at last in a private directory (`private`).
//!
//! **Read-only caches** are read. Objects that are missing from them are fetched into a private
//! directory that is removed with the run.

mod compact;
mod entry;
mod files;
mod owner;
mod private;
mod trust;

use std::sync::Arc;

pub(crate) use compact::Compacted;
pub(crate) use entry::{FetchLock, OpenEntry, Unusable, make_room};
pub(crate) use files::{check_present, is_full};
pub use owner::{Cache, CacheEntry, Prune, Pruned, Tidying};
pub(crate) use private::PrivateDir;
pub(crate) use trust::Pinned;

/// Keeps an entry from being removed while one of its snapshots is alive.
pub(crate) type KeepAlive = Arc<dyn Send + Sync>;
