//! The values that nodes load to, for comparing texts by meaning: equal values have equal ids.

use std::collections::HashMap;

use super::scalar::{self, Scalar};

/// The id of a loaded value. Two nodes with the same id load to the same value of the same type.
pub(super) type ValueId = u32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Scalar(Scalar),
    Sequence(Option<Box<str>>, Box<[ValueId]>),
    /// The pairs are sorted: the order of keys is not part of a mapping's value.
    Map(Option<Box<str>>, Box<[(ValueId, ValueId)]>),
}

/// All values of a merge, each stored once.
#[derive(Debug, Default)]
pub(super) struct Values {
    ids: HashMap<Value, ValueId>,
    /// The scalars that are a different key in Python than they are a value: `true`, `1.0`.
    keys: HashMap<ValueId, ValueId>,
}

impl Values {
    fn id(&mut self, value: Value) -> ValueId {
        let next = u32::try_from(self.ids.len()).expect("files are bounded");
        *self.ids.entry(value).or_insert(next)
    }

    /// Returns the id of a scalar.
    pub(super) fn scalar(&mut self, scalar: Scalar) -> ValueId {
        let key = scalar::python_key(&scalar);
        let id = self.id(Value::Scalar(scalar));
        if let Some(key) = key {
            let key = self.id(Value::Scalar(key));
            self.keys.insert(id, key);
        }
        id
    }

    /// Returns the id of a sequence.
    pub(super) fn sequence(&mut self, tag: Option<&str>, items: Vec<ValueId>) -> ValueId {
        self.id(Value::Sequence(tag.map(Into::into), items.into()))
    }

    /// Returns the id of a mapping of keys (see [`Values::key`]) to values; each key occurs once.
    pub(super) fn map(&mut self, tag: Option<&str>, mut entries: Vec<(ValueId, ValueId)>) -> ValueId {
        entries.sort_unstable();
        self.id(Value::Map(tag.map(Into::into), entries.into()))
    }

    /// Returns a value as a key of a dict: Python considers `1`, `1.0` and `True` the same key.
    pub(super) fn key(&self, value: ValueId) -> ValueId {
        self.keys.get(&value).copied().unwrap_or(value)
    }
}
