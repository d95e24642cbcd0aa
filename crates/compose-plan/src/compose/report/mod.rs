//! The composition told to machines ([`json`]) and to people ([`text`](mod@text)).

mod described;
pub mod json;
pub mod markdown;
pub mod text;

pub use described::{Described, conflicts};
