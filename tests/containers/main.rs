//! The image in a real container engine: every way to bring an operations repo into it.
//!
//! `scripts/test` makes the two images that these tests run, and names them in `BITOPS_COMPOSE_TEST_IMAGE` and
//! `BITOPS_COMPOSE_TEST_NOGLIBC_IMAGE`. Containers share the network of this machine, where the catalogs are served.

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
mod podman;
mod process;
mod real_bitops;
mod restarts;
mod ways;
mod workspaces;
mod world;
