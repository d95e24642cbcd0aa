//! Fetching from all kinds of repos, servers and networks.
//!
//! `fuzz` and `processes` are separate binaries: the former counts the panics of its process, the
//! latter starts itself.

mod cache;
mod credentials;
mod fetch;
mod http2;
mod network;
mod proxies;
mod ssh;
mod support;
mod trees;
