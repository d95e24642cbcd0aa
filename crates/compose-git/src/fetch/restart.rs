//! What lets a fetch go on after the cache has failed it.
//!
//! Others may remove the cache, or a part of it, at any time, and its disk may be smaller than its
//! limit. Neither is the server's fault, and neither has to end the run: the fetch starts again with
//! a new entry or with more room, and at last with a private directory.

use std::{io, sync::Arc};

use crate::{
    cache::{OpenEntry, Unusable, is_full, make_room},
    error::Error,
    shared::{Shared, Work},
};

/// How often a removed entry is made again before a private one is used. Something removes it
/// repeatedly then.
const MOST_RESTARTS: usize = 3;

/// Removes the cause of a failure of the cache, after this many restarts. Returns whether the fetch
/// should start again.
pub(super) fn prepare(shared: &Arc<Shared>, work: &mut Work, error: &Error, restarts: usize) -> bool {
    let Some(entry) = shared.opened_entry().filter(|entry| entry.is_shared()) else {
        return false;
    };
    let (is_lost, is_disk_full) = match error {
        Error::Cache { source, .. } => (source.kind() == io::ErrorKind::NotFound, is_full(source)),
        Error::Damaged { .. } | Error::Nonsense { .. } => (false, false),
        _ => return false,
    };
    // The state of the conversation is unknown after an error.
    if is_disk_full {
        work.session = None;
        return make_room(&shared.run)
            || (!work.has_readers && entry.drop_packs(&shared.run, &shared.url))
            || use_private(shared, Some(&entry), Unusable::DiskFull);
    }
    if !is_lost && !entry.is_gone() {
        return false;
    }
    work.session = None;
    if restarts < MOST_RESTARTS {
        shared.forget_entry();
        return true;
    }
    use_private(shared, None, Unusable::Removed)
}

fn use_private(shared: &Shared, other: Option<&OpenEntry>, why: Unusable) -> bool {
    let private = OpenEntry::private(&shared.run, &shared.url, other, why);
    private.map(|entry| shared.use_entry(entry)).is_ok()
}
