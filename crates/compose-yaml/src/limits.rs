//! The limits for texts that are read.

/// The size of the largest text that is read, in bytes. Configurations that people write are much
/// smaller.
pub const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting that is read. PyYAML's recursion ends a little below 500.
pub const MAX_DEPTH: usize = 480;
/// The maximum number of nodes that are read, which bounds the memory that a hostile text can use.
pub const MAX_NODES: usize = 400_000;
