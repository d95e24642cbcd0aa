//! The values of options: times and sizes, in the notation of the variables.

use std::time::Duration;

use compose_model::{duration, size};

/// Why the value of an option is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidValue {
    /// The text is not a time.
    #[error("a time is {}", duration::EXPECTED)]
    Time,
    /// The time has no unit.
    #[error("a time needs a unit: 12h, 30d, 8w")]
    Unit,
    /// The text is not a size.
    #[error("a size is {}", size::EXPECTED)]
    Size,
}

/// Parses a time of the command line: `12h`, `30d`, `8w`. A day has 24 hours. The unit is required: what was not used
/// for 30 seconds is removed by `prune --unused-for 30s`, and 30 may be meant as days.
pub(super) fn time(text: &str) -> Result<Duration, InvalidValue> {
    if text.trim().bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidValue::Unit);
    }
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
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "30", " 30 "] {
            assert_eq!(time(wrong), Err(InvalidValue::Unit), "{wrong}");
        }
        for wrong in ["soon", "1 month", "-1d"] {
            assert_eq!(time(wrong), Err(InvalidValue::Time), "{wrong}");
        }
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("1.5GB"), Err(InvalidValue::Size));
    }
}
