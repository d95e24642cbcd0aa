//! What nodes load to, so that texts can be compared by meaning: equal values have equal ids.

use std::collections::HashMap;

use super::scalar::{self, Scalar};

/// A loaded value. Two nodes with one id load to the same thing, type included.
pub(super) type ValueId = u32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Scalar(Scalar),
    Sequence(Option<Box<str>>, Box<[ValueId]>),
    /// Sorted: the order of keys is no part of a mapping's value.
    Map(Option<Box<str>>, Box<[(ValueId, ValueId)]>),
}

/// All values of a merge, each once.
#[derive(Debug, Default)]
pub(super) struct Values {
    ids: HashMap<Value, ValueId>,
    /// Scalars that are another key for Python than they are a value: `true`, `1.0`.
    keys: HashMap<ValueId, ValueId>,
}

impl Values {
    fn id(&mut self, value: Value) -> ValueId {
        let next = u32::try_from(self.ids.len()).expect("files are bounded");
        *self.ids.entry(value).or_insert(next)
    }

    /// A scalar.
    pub(super) fn scalar(&mut self, scalar: Scalar) -> ValueId {
        let key = scalar::python_key(&scalar);
        let id = self.id(Value::Scalar(scalar));
        if let Some(key) = key {
            let key = self.id(Value::Scalar(key));
            self.keys.insert(id, key);
        }
        id
    }

    /// A sequence.
    pub(super) fn sequence(&mut self, tag: Option<&str>, items: Vec<ValueId>) -> ValueId {
        self.id(Value::Sequence(tag.map(Into::into), items.into()))
    }

    /// A mapping of keys (see [`Values::key`]) to values, each key once.
    pub(super) fn map(&mut self, tag: Option<&str>, mut entries: Vec<(ValueId, ValueId)>) -> ValueId {
        entries.sort_unstable();
        self.id(Value::Map(tag.map(Into::into), entries.into()))
    }

    /// A value as a key of a dict: Python holds `1`, `1.0` and `True` for one key.
    pub(super) fn key(&self, value: ValueId) -> ValueId {
        self.keys.get(&value).copied().unwrap_or(value)
    }
}
