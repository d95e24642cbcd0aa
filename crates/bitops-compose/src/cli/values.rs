//! The values of options: times and sizes, in the notation of the variables.

use std::time::Duration;

use compose_model::{duration, size};

/// Why the value of an option is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidValue {
    /// The text is not a time.
    #[error("a time is {}", duration::EXPECTED)]
    Time,
    /// The text is not a size.
    #[error("a size is {}", size::EXPECTED)]
    Size,
}

/// Parses a time of the command line: `12h`, `30d`, `8w`. A day has 24 hours.
pub(super) fn time(text: &str) -> Result<Duration, InvalidValue> {
    duration::parse(text).ok_or(InvalidValue::Time)
}

/// Parses a size of the command line. Returns bytes.
pub(super) fn size(text: &str) -> Result<u64, InvalidValue> {
    size::parse(text).ok_or(InvalidValue::Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(time("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert_eq!(time("8w"), Ok(Duration::from_secs(56 * 86400)));
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        for wrong in ["", "soon", "1 month", "-1d"] {
            assert_eq!(time(wrong), Err(InvalidValue::Time), "{wrong}");
        }
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("1.5GB"), Err(InvalidValue::Size));
    }
}
