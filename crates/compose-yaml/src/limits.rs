//! How much of a text is read.

/// The largest text that is read, in bytes. No configuration that people write is nearly so large.
pub const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting that is read. PyYAML's recursion ends a little below 500.
pub const MAX_DEPTH: usize = 480;
/// The most nodes that are read, which bounds the memory of a hostile text.
pub const MAX_NODES: usize = 400_000;
