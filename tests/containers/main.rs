//! The image in a real container engine, Docker and podman: every way to bring an operations repo into it.
//!
//! `scripts/test` makes the two images that these tests run, and names them in `BITOPS_COMPOSE_TEST_IMAGE` and
//! `BITOPS_COMPOSE_TEST_NOGLIBC_IMAGE`. Containers share the network of this machine, where the catalogs are served.
//!
//! Rows that the engine has a part in run in both: how it mounts, copies, builds, signals, starts again, executes. podman resolves a
//! mount's destination in its own way: where the links of the image lead to nothing, crun does not start. What only the program or
//! the pipeline does runs in Docker alone, which is quicker; so do the files for CI that call `docker` themselves, BitOps itself,
//! and the image without libraries.

mod actions;
mod arguments;
mod cache;
mod derived;
mod differential;
mod homes;
mod interrupts;
mod link;
mod mounts;
mod no_libraries;
mod parent;
mod process;
mod real_bitops;
mod restarts;
mod ways;
mod workspaces;
mod world;
