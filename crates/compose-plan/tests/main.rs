//! Promises of the pure part for any config: damaged texts, and the JSON Schema against the parser.

mod fuzz;
mod schema;
