//! The keys of a config that decide whether it names sources.

/// The key of the list of sources. A config without this text is BitOps' alone.
pub const LIST: &str = "default-environments";

/// The key under which the list may also stand.
pub const PARENT: &str = "bitops";
