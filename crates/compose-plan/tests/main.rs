//! What the pure part promises for any config: damaged texts, and the JSON Schema against the parser.

mod fuzz;
mod schema;
