//! Holds the values that nodes load to, for comparing texts by meaning. Equal values have equal
//! ids.

use std::collections::HashMap;

use compose_yaml::{Scalar, python_key};

/// The id of a loaded value. Two nodes with the same id load to the same value of the same type.
pub(super) type ValueId = u32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Scalar(Scalar),
    /// A number of JSON or HCL in its normal form.
    Number(Box<str>),
    Sequence(Option<Box<str>>, Box<[ValueId]>),
    /// The pairs are sorted, because the order of keys is not part of a mapping's value.
    Map(Option<Box<str>>, Box<[(ValueId, ValueId)]>),
}

/// All values of a merge, each stored once.
#[derive(Debug, Default)]
pub(super) struct Values {
    ids: HashMap<Value, ValueId>,
    /// The scalars whose key in Python differs from their value: `true`, `1.0`.
    keys: HashMap<ValueId, ValueId>,
}

impl Values {
    fn id(&mut self, value: Value) -> ValueId {
        let next = u32::try_from(self.ids.len()).expect("files are bounded");
        *self.ids.entry(value).or_insert(next)
    }

    /// Returns the id of a scalar.
    pub(super) fn scalar(&mut self, scalar: Scalar) -> ValueId {
        let key = python_key(&scalar);
        let id = self.id(Value::Scalar(scalar));
        if let Some(key) = key {
            let key = self.id(Value::Scalar(key));
            self.keys.insert(id, key);
        }
        id
    }

    /// Returns the id of a number of JSON or HCL, whose digits are not bounded.
    pub(super) fn number(&mut self, text: &str) -> ValueId {
        self.id(Value::Number(normal_number(text).into()))
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

    /// Returns a value in its form as a key of a dict. Python considers `1`, `1.0` and `True` the
    /// same key.
    pub(super) fn key(&self, value: ValueId) -> ValueId {
        self.keys.get(&value).copied().unwrap_or(value)
    }
}

/// Normalises a number to its digits without the point and trailing zeros, and its exponent.
pub(super) fn normal_number(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Python, which reads the file, distinguishes 1 from 1.0, and so does this program.
    let kind = if digits.contains(['.', 'e', 'E']) {
        "float"
    } else {
        "int"
    };
    let Ok(exponent) = exponent.parse::<i64>() else {
        return format!("{kind} {text}");
    };
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    let shift = exponent - fraction.len() as i64 + (all.len() - significant.len()) as i64;
    match significant.trim_start_matches('0') {
        "" => format!("{kind} 0"),
        significant => format!("{kind} {sign}{significant}e{shift}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        assert_eq!(normal_number("1.50"), normal_number("15e-1"));
        assert_eq!(normal_number("-0"), normal_number("0"));
        assert_ne!(normal_number("1"), normal_number("1.0"));
        assert_ne!(
            normal_number("12345678901234567890123"),
            normal_number("12345678901234567890124")
        );
    }
}
