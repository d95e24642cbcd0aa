//! Two notations of times, which are seconds since 1970.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Parses a time of an allowed-signers file: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with or without a `Z`
/// (ssh-keygen(1), "ALLOWED SIGNERS"). All are UTC: validity must not depend on the machine's time zone.
pub(super) fn parse(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| digits.get(at..at + 2).map_or(Some(0), |pair| pair.parse().ok());
    let date = civil::Date::new(digits[..4].parse().ok()?, two(4)?, two(6)?).ok()?;
    let time = civil::Time::new(two(8)?, two(10)?, two(12)?, 0).ok()?;
    Some(
        date.to_datetime(time)
            .to_zoned(TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_second(),
    )
}

/// Formats a time by RFC 3339; one beyond the calendar as bare seconds.
pub(super) fn display(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("{seconds} s"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_lengths_are_utc_and_nothing_else_is_a_time() {
        assert_eq!(parse("19700102"), Some(86_400));
        assert_eq!(parse("202411302359Z"), Some(1_733_011_140));
        assert_eq!(parse("20241130235959"), Some(1_733_011_199));
        assert_eq!(display(1_733_011_199), "2024-11-30T23:59:59Z");
        for bad in [
            "",
            "Z",
            "2024",
            "20241301",
            "20240230",
            "202411302460",
            "2024-11-30",
            "+0241130",
            "２０２４",
            "20241130ZZ",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_printed_as_numbers() {
        assert_eq!(display(i64::MAX), "9223372036854775807 s");
    }
}
