//! The project itself: its documents agree with the code, and no test is forgotten.
//!
//! | module | holds |
//! |---|---|
//! | `sources` | the files of the project, and the tests in them |
//! | `markdown` | the parts of a document that can be checked |
//! | `citations` | every file, test, link and variable that a document names exists |
//! | `tables` | lists in documents that repeat the code |
//! | `crates` | what depends on what, and how each crate begins |
//! | `binaries` | which files are compiled into which test binary |

mod binaries;
mod citations;
mod crates;
mod markdown;
mod sources;
mod tables;
