//! Writes new values as text.

use crate::quote::quote;

/// A value that is written into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// A scalar that is read as this text.
    Text(String),
    /// A mapping.
    Map(Vec<(String, NewValue)>),
    /// A sequence.
    List(Vec<NewValue>),
}

impl NewValue {
    /// Returns the value as text on one line, with collections in brackets or braces.
    pub(super) fn flow(&self) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Map(_) => format!("{{{}}}", self.inside_braces()),
            Self::List(items) => format!(
                "[{}]",
                items.iter().map(Self::flow).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    pub(super) fn inside_braces(&self) -> String {
        match self {
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{}: {}", quote(key), value.flow());
                entries.iter().map(entry).collect::<Vec<_>>().join(", ")
            }
            _ => self.flow(),
        }
    }

    /// Returns the value as lines, each with its line break.
    pub(super) fn block(&self, column: usize, newline: &str) -> String {
        let indent = " ".repeat(column);
        let mut out = String::new();
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let value = match value {
                        Self::Map(inner) if !inner.is_empty() => {
                            format!("{newline}{}", value.block(column + 2, newline))
                        }
                        Self::List(inner) if !inner.is_empty() => {
                            format!("{newline}{}", value.block(column, newline))
                        }
                        _ => format!(" {}{newline}", value.flow()),
                    };
                    out.push_str(&format!("{indent}{}:{value}", quote(key)));
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let lines = item.block(column + 2, newline);
                    out.push_str(&format!("{indent}- {}", &lines[column + 2..]));
                }
            }
            _ => out.push_str(&format!("{indent}{}{newline}", self.flow())),
        }
        out
    }
}
