//! The program seen from outside: its arguments and environment, its output, and what the pipeline then finds.
//!
//! Every file below `tests/` is a module of this one binary. Only `containers` is a binary of its own, because it needs a
//! container engine.

mod arguments;
mod bounds;
mod build_config;
mod bypass;
mod cache;
mod ci;
mod common;
mod composing;
mod deploy;
mod deploy_log;
mod environments;
mod failures;
mod ignored;
mod kills;
mod lock;
mod machine;
mod mistakes;
mod nesting;
mod people;
mod project;
mod refs;
mod secrets;
mod signals;
mod signatures;
mod staying;
mod streams;
mod switching;
mod terraform;
mod terraform_layers;
mod trees;
mod unmergeable;
mod vendor;
mod versions;
mod workspaces;
