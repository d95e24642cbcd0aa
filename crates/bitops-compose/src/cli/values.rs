//! Values of options: times and sizes.

use std::time::Duration;

use compose_model::size;
use jiff::{Span, SpanRelativeTo};

/// A time of the command line: `12h`, `30d`, `8w`. A day has 24 hours.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "a time is a number with a unit: 12h, 30d, 8w".to_owned())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| "weeks, days, hours, minutes and seconds are understood".to_owned())
}

/// A size of the command line in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    size::parse(text).ok_or_else(|| format!("a size is {}", size::EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(time("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert_eq!(time("8w"), Ok(Duration::from_secs(56 * 86400)));
        for wrong in ["", "soon", "30", "1 month", "-1d"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert!(size("1.5GB").is_err());
    }
}
