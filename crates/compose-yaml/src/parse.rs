//! The entry point of the reader, which parses a text into a tree.

use std::borrow::Cow;

use crate::{
    build,
    characters::is_readable,
    error::{Error, Problem},
    limits::MAX_BYTES,
    lines::Lines,
    tree::Tree,
};

impl<'t> Tree<'t> {
    /// Parses a text as PyYAML does. Takes time and memory in proportion to its length.
    pub fn parse(text: impl Into<Cow<'t, str>>) -> Result<Self, Error> {
        let text = text.into();
        if text.len() > MAX_BYTES {
            return Err(Error {
                problem: Problem::TooLarge(text.len()),
                at: 0,
            });
        }
        check_characters(&text)?;
        let found = build::document(&text)?;
        let lines = Lines::new(&text);
        let mut tree = Self::new(text, found.nodes, lines);
        tree.body = found.body;
        tree.body_end = found.body_end;
        tree.comments = found.comments;
        tree.has_tag_directive = found.has_tag_directive;
        Ok(tree)
    }
}

fn check_characters(text: &str) -> Result<(), Error> {
    match text.char_indices().find(|(_, c)| !is_readable(*c)) {
        None => Ok(()),
        Some((at, c)) => Err(Error {
            problem: Problem::Character(c),
            at,
        }),
    }
}
