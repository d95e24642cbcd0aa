//! The reader as other crates see it.

mod pyyaml;
