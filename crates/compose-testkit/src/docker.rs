//! The container engine, where there is one.
