//! The config keys that determine whether a config names sources.

/// The key of the list of sources. A config without this text is only read by BitOps.
pub const LIST: &str = "default-environments";

/// The key that may contain the list.
pub const PARENT: &str = "bitops";
