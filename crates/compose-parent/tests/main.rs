//! The parent on its own, over fake pipelines.

mod codes;
mod common;
mod copy;
mod forwarding;
mod stopping;
mod terminal;
