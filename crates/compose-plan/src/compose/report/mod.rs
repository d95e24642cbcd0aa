//! Reports of a composition for machines ([`json`]) and for people: at a glance ([`text`](mod@text)), line by line
//! ([`diff`]), as a picture ([`graph`]), on the page of a CI run ([`markdown`]).

mod conflicts;
pub mod diff;
pub mod graph;
pub mod json;
pub mod markdown;
pub mod text;

pub use conflicts::conflicts;
