//! What decides about sources, against real catalogs behind a real git server and without the program.

mod discovery;
mod lab;
mod locks;
mod signatures;
