//! Resolves scalars by YAML 1.1, as PyYAML's FullLoader does (`yaml/resolver.py`, `yaml/constructor.py`).

use std::sync::LazyLock;

use regex_lite::Regex;

/// The value that a scalar is loaded as. Equal values have the same type and value in Python.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// Null: `null`, `~` or an empty scalar.
    Null,
    /// A boolean: `yes`, `off`, `True`.
    Bool(bool),
    /// An integer: `12`, `0x1f`, `012`, `12:30`.
    Int(i128),
    /// The digits of an integer beyond 128 bits, as written.
    BigInt(Box<str>),
    /// The bits of a double. All NaNs have the same bits, and there is no negative zero.
    Float(u64),
    /// A date, in days since 1970.
    Date(i64),
    /// A time in microseconds since 1970; `true` if it has a zone.
    Moment(i64, bool),
    /// The merge key, `<<`.
    Merge,
    /// Text.
    String(Box<str>),
    /// A scalar whose tag is not one of YAML's own, or whose text does not match its tag.
    Tagged(Box<str>, Box<str>),
}

/// The prefix of YAML's own tags.
pub const YAML_TAG: &str = "tag:yaml.org,2002:";

/// The patterns of `yaml/resolver.py` without their white space.
struct Patterns {
    bool: Regex,
    float: Regex,
    int: Regex,
    timestamp: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("a constant that the tests use");
    Patterns {
        bool: regex("^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
        float: regex(concat!(
            r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
            r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        )),
        int: regex(concat!(
            r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
            r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$"
        )),
        timestamp: regex(concat!(
            r"^(?:([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)",
            r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?(?:[ \t]*(?:(Z)|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?)$"
        )),
    }
});

/// Loads a scalar. Its tag, if any, is resolved (`tag:yaml.org,2002:str`, `!Ref`). `plain` says
/// that it has no quotes.
pub fn load(text: &str, tag: Option<&str>, plain: bool) -> Scalar {
    let string = || Scalar::String(text.into());
    let Some(tag) = tag else {
        return if plain { resolve(text) } else { string() };
    };
    // PyYAML resolves `! "12"` as if it were plain.
    if tag == "!" {
        return resolve(text);
    }
    let known = match tag.strip_prefix(YAML_TAG) {
        Some("str") => Some(string()),
        Some("null") => Some(Scalar::Null),
        Some("bool") => bool_of(text),
        Some("int") => int_of(text),
        Some("float") => float_of(text),
        Some("timestamp") => moment_of(text),
        _ => None,
    };
    known.unwrap_or_else(|| Scalar::Tagged(tag.into(), text.into()))
}

/// Loads a plain scalar without a tag.
fn resolve(text: &str) -> Scalar {
    let found = match text.bytes().next() {
        None => Some(Scalar::Null),
        Some(b'~' | b'n' | b'N') if is_null(text) => Some(Scalar::Null),
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') => {
            PATTERNS.bool.is_match(text).then(|| bool_of(text)).flatten()
        }
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => {
            // The order is that of `yaml/resolver.py`, where the first match applies.
            if PATTERNS.float.is_match(text) {
                float_of(text)
            } else if PATTERNS.int.is_match(text) {
                int_of(text)
            } else {
                moment_of(text)
            }
        }
        Some(b'<') if text == "<<" => Some(Scalar::Merge),
        _ => None,
    };
    found.unwrap_or_else(|| Scalar::String(text.into()))
}

/// Returns whether a plain scalar is null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn bool_of(text: &str) -> Option<Scalar> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(Scalar::Bool(true)),
        "no" | "false" | "off" => Some(Scalar::Bool(false)),
        _ => None,
    }
}

fn sign_of(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Converts an integer, like PyYAML's `construct_yaml_int`.
fn int_of(text: &str) -> Option<Scalar> {
    let clean = text.replace('_', "");
    let (negative, digits) = sign_of(&clean);
    let parse = |digits: &str, radix: u32| -> Option<Scalar> {
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        Some(match i128::from_str_radix(digits, radix) {
            Ok(value) => Scalar::Int(if negative { -value } else { value }),
            Err(_) => Scalar::BigInt(clean.to_ascii_lowercase().into()),
        })
    };
    if digits == "0" {
        Some(Scalar::Int(0))
    } else if let Some(digits) = digits.strip_prefix("0b") {
        parse(digits, 2)
    } else if let Some(digits) = digits.strip_prefix("0x") {
        parse(digits, 16)
    } else if digits.starts_with('0') {
        parse(digits, 8)
    } else if digits.contains(':') {
        let sum = digits.split(':').try_fold(0i128, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse::<i128>().ok()?)
        });
        Some(match sum {
            Some(sum) => Scalar::Int(if negative { -sum } else { sum }),
            None => Scalar::BigInt(clean.as_str().into()),
        })
    } else {
        parse(digits, 10)
    }
}

/// Converts a floating-point number, like PyYAML's `construct_yaml_float`.
fn float_of(text: &str) -> Option<Scalar> {
    let clean = text.replace('_', "").to_ascii_lowercase();
    let (negative, digits) = sign_of(&clean);
    let value = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => return Some(Scalar::Float(f64::NAN.to_bits())),
        _ if digits.contains(':') => {
            let mut base = 1.0;
            let mut sum = 0.0;
            for part in digits.rsplit(':') {
                sum += part.parse::<f64>().ok()? * base;
                base *= 60.0;
            }
            sum
        }
        _ => digits.parse().ok()?,
    };
    let value = if negative { -value } else { value };
    Some(float(value))
}

fn float(value: f64) -> Scalar {
    Scalar::Float(if value == 0.0 { 0 } else { value.to_bits() })
}

/// Converts a date or a time, like PyYAML's `construct_yaml_timestamp`.
fn moment_of(text: &str) -> Option<Scalar> {
    let found = PATTERNS.timestamp.captures(text)?;
    let number = |group: usize| {
        found
            .get(group)
            .map_or(Some(0), |digits| digits.as_str().parse::<i64>().ok())
    };
    if found.get(1).is_some() {
        return Some(Scalar::Date(days(number(1)?, number(2)?, number(3)?)?));
    }
    let (hour, minute, second) = (number(7)?, number(8)?, number(9)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction: String = found
        .get(10)
        .map_or("", |it| it.as_str())
        .chars()
        .take(6)
        .collect();
    let micros = format!("{fraction:0<6}").parse::<i64>().ok()?;
    let zone = (number(13)? * 60 + number(14)?)
        * 60
        * if found.get(12).is_some_and(|it| it.as_str() == "-") {
            -1
        } else {
            1
        };
    let seconds =
        days(number(4)?, number(5)?, number(6)?)? * 86_400 + hour * 3600 + minute * 60 + second - zone;
    Some(Scalar::Moment(
        seconds * 1_000_000 + micros,
        found.get(11).is_some() || found.get(12).is_some(),
    ))
}

/// Returns the days since 1970-01-01 in the Gregorian calendar, or `None` for a date that does not
/// exist.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let index = usize::try_from(month - 1).ok()?;
    if year < 1 || day < 1 || day > *lengths.get(index)? {
        return None;
    }
    let before: i64 = lengths[..index].iter().sum();
    let past = year - 1;
    Some(past * 365 + past / 4 - past / 100 + past / 400 + before + day - 1 - 719_162)
}

/// Returns the scalar that a Python dict considers the same key, if it is a different one: `True`
/// and `1.0` are the key `1`.
pub fn python_key(scalar: &Scalar) -> Option<Scalar> {
    match scalar {
        Scalar::Bool(value) => Some(Scalar::Int(i128::from(*value))),
        Scalar::Float(bits) => {
            let value = f64::from_bits(*bits);
            // Below 2^100, an i128 represents an integral double exactly.
            (value.fract() == 0.0 && value.abs() < 1e30).then_some(Scalar::Int(value as i128))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_1_1_lookalikes_are_what_pyyaml_loads() {
        let same = |texts: &[&str]| {
            let all: Vec<Scalar> = texts.iter().map(|text| resolve(text)).collect();
            assert!(
                all.windows(2).all(|pair| pair[0] == pair[1]),
                "{texts:?}: {all:?}"
            );
        };
        same(&["yes", "on", "True", "ON"]);
        same(&["10", "012", "0b1010", "0xA", "+10", "1_0"]);
        same(&["45045", "12:30:45"]);
        same(&["~", "", "null", "NULL"]);
        same(&["1.5", "1.50", "+1.5", "1_0.5e-0".replace("1_0.5", "1.5").as_str()]);
        same(&[
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-15 2:59:43.1Z",
            "2001-12-15T02:59:43.1 +0",
        ]);
        for string in [
            "y",
            "n",
            "0o10",
            "1e3",
            "08",
            "1.2.3",
            "2001-13-01",
            "nulL",
            "0777_9",
            "yES",
            "1:60",
            "",
            "+",
        ] {
            let loaded = resolve(string);
            assert_eq!(
                matches!(loaded, Scalar::String(_)),
                !string.is_empty(),
                "{string}: {loaded:?}"
            );
        }
        assert_eq!(resolve("1970-01-02"), Scalar::Date(1));
        assert_eq!(resolve("0644"), Scalar::Int(0o644));
        assert_ne!(resolve("1"), resolve("1.0"));
    }

    #[test]
    fn a_tag_decides_over_the_text() {
        let tagged = |tag: &str, text| load(text, Some(&format!("{YAML_TAG}{tag}")), false);
        assert_eq!(tagged("str", "12"), Scalar::String("12".into()));
        assert_eq!(tagged("int", "0b11"), Scalar::Int(3));
        assert_eq!(tagged("float", "1"), float(1.0));
        assert_eq!(load("12", Some("!"), false), Scalar::Int(12));
        assert_ne!(load("x", Some("!Ref"), true), load("x", Some("!Sub"), true));
    }

    #[test]
    fn keys_are_compared_as_python_does() {
        let key = |text: &str| python_key(&resolve(text)).unwrap_or_else(|| resolve(text));
        assert_eq!(key("yes"), key("1"));
        assert_eq!(key("1.0"), key("1"));
        assert_ne!(key("1"), load("1", None, false));
    }
}
