//! The parent without the rest of the program, with fake pipelines as its child.

mod codes;
mod common;
mod copy;
mod forwarding;
mod stopping;
mod terminal;
