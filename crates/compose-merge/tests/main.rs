//! Merges files as users see them, and compares the results with PyYAML, which BitOps uses.

mod cases;
mod corpus;
mod damaged;
mod encodings;
mod folds;
mod odd;
mod oracle;
mod properties;
mod random_files;
mod real_files;
