//! The bounds on texts that are merged.

/// The greatest depth, with aliases followed, at which a file is still merged. Real files stay
/// below 20.
pub(super) const MAX_DEPTH: usize = 128;
