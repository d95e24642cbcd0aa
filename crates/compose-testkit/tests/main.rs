//! The test kit's guarantees to the tests that use it.

mod catalog;
mod catalog_server;
mod context;
mod docker;
mod faults;
mod server;
mod standin;
mod tls_proxy;
mod world;
