//! Reports of a composition for machines ([`json`]) and for people: at a glance ([`text`](mod@text)), line by line
//! ([`diff`]), as a picture ([`graph`]), on the page of a CI run ([`markdown`]). All of them lay conflicts out by
//! [`overview`].

mod cells;
mod columns;
mod conflicts;
pub mod diff;
pub mod graph;
pub mod json;
pub(super) mod letters;
pub mod markdown;
pub mod overview;
pub mod remedies;
pub mod text;

pub use columns::COLUMNS;
pub use conflicts::conflicts;
