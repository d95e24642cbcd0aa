//! The memory that a composition holds until it is written.
//!
//! Files of sources stay in the object store. What is merged exists nowhere else, so its sum has a
//! bound, besides the bound of each text.

use std::cell::Cell;

use compose_merge::Merged;
use compose_model::TreePath;

use super::ComposeError;

/// The bytes that all merged files may hold together.
const MERGED: usize = 96 << 20;
/// The bytes that the contributions to one file may have together. Each is in memory, with its tree.
const TEXTS: usize = 16 << 20;
/// What the origin of a key takes besides its text.
const KEY: usize = 96;

/// The bytes that merged files may still hold.
#[derive(Debug)]
pub(super) struct Held(Cell<usize>);

impl Default for Held {
    fn default() -> Self {
        Self(Cell::new(MERGED))
    }
}

impl Held {
    /// Holds a merged file.
    pub(super) fn hold(&self, merged: &Merged) -> Result<(), ComposeError> {
        let key = |text: &str, overridden: &[usize]| KEY + text.len() + size_of_val(overridden);
        let keys = merged.keys.iter().map(|one| key(&one.key, &one.overridden));
        let bytes = merged.bytes.len() + keys.sum::<usize>();
        let left = self.0.get().checked_sub(bytes);
        self.0
            .set(left.ok_or(ComposeError::TooMuchMerged { limit: MERGED >> 20 })?);
        Ok(())
    }
}

/// Adds the bytes of a contribution to `sum`. A text that is too large to be merged does not count,
/// because it is not.
pub(super) fn add_text(sum: &mut usize, path: &TreePath, bytes: usize) -> Result<(), ComposeError> {
    if bytes <= compose_yaml::MAX_BYTES {
        *sum += bytes;
    }
    if *sum > TEXTS {
        return Err(ComposeError::TooMuchText {
            path: path.to_string(),
            limit: TEXTS >> 20,
        });
    }
    Ok(())
}
