//! Repos, servers and networks as a run of fetching meets them.
//!
//! `fuzz` and `processes` are binaries of their own: the one counts the panics of its process, the other starts itself.

mod cache;
mod credentials;
mod fetch;
mod http2;
mod network;
mod proxies;
mod ssh;
mod support;
mod trees;
