//! The test kit does what its users rely on.

mod catalog;
mod catalog_server;
mod context;
mod docker;
mod faults;
mod server;
mod standin;
mod tls_proxy;
