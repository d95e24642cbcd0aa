//! The crate's public interface with real catalogs behind a real git server.

mod discovery;
mod lab;
mod locks;
mod signatures;
