//! The reader from outside.

mod pyyaml;
