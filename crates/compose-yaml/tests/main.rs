//! Tests of the reader as other crates see it, in one binary.

mod pyyaml;
