//! Merges as a user sees them, judged by PyYAML, which BitOps reads with.

mod cases;
mod corpus;
mod damaged;
mod odd;
mod oracle;
mod properties;
mod random_files;
