//! Durations in the notation of variables and flags.

use std::time::Duration;

/// The notation that [`parse`] accepts, for messages.
pub const EXPECTED: &str = "a whole number of seconds, or one with a unit: 90, 500ms, 5m, 1h, 30d, 8w";
/// The longest duration: a larger one is a typing error, and could not be added to a point in time.
const MOST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Parses `90` or `90s` (seconds), `500ms`, `5m`, `1h`, `30d` or `8w`; a day has 24 hours. Returns `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let duration = match text[digits..].trim() {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        "d" => Duration::from_secs(number.checked_mul(24 * 3600)?),
        "w" => Duration::from_secs(number.checked_mul(7 * 24 * 3600)?),
        _ => return None,
    };
    (duration <= MOST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_and_without_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("8", 8_000),
            (" 90 s ", 90_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("30d", 30 * 86_400_000),
            ("8w", 56 * 86_400_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for wrong in [
            "",
            "s",
            "1.5",
            "-1",
            "1y",
            "1 month",
            "99999999999999999999",
            "18446744073709551615",
            "18446744073709551615ms",
            "876001h",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
