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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_merged_is_bounded_in_all() {
        let merged = |bytes: usize| Merged {
            bytes: vec![0; bytes],
            keys: Vec::new(),
            lost: Vec::new(),
        };
        let held = Held::default();
        for _ in 0..MERGED >> 20 {
            held.hold(&merged(1 << 20)).unwrap();
        }
        let error = held.hold(&merged(1)).unwrap_err();
        assert_eq!(error.to_string(), "the merged files hold more than 96 MiB in all");
    }

    #[test]
    fn the_texts_of_one_file_are_bounded_in_all_unless_they_are_not_merged_anyway() {
        let path = TreePath::new("dev/values.yaml").unwrap();
        let mut sum = 0;
        for _ in 0..TEXTS / compose_yaml::MAX_BYTES {
            add_text(&mut sum, &path, compose_yaml::MAX_BYTES).unwrap();
            add_text(&mut sum, &path, compose_yaml::MAX_BYTES + 1).unwrap();
        }
        let error = add_text(&mut sum, &path, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dev/values.yaml: the files to be merged hold more than 16 MiB in all"
        );
    }
}
