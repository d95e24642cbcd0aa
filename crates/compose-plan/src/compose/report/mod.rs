//! The composition told to machines ([`json`]) and to people ([`text`](mod@text)).

pub mod json;
pub mod text;
