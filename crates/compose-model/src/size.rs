//! Sizes in the notation of variables and flags.

/// The notation that [`parse`] accepts, for messages.
pub const EXPECTED: &str = "a whole number of bytes, or one with a unit: 500MB, 2GiB";

/// Parses a number of bytes: `500MB` or `500M` (powers of 1,000), `2GiB` (powers of 1,024), or a
/// plain number.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024_u64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000),
    };
    let power = ["", "k", "m", "g", "t"]
        .iter()
        .position(|known| *known == letter)?;
    let power = u32::try_from(power)
        .ok()
        .filter(|power| *power > 0 || base == 1000)?;
    base.checked_pow(power)?.checked_mul(number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_parsed_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("500MB", 500_000_000),
            ("500M", 500_000_000),
            ("2G", 2_000_000_000),
            ("2GiB", 2 << 30),
            (" 1 kib ", 1024),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for wrong in ["", "MB", "1.5GB", "-1", "1 parsec", "1ib", "99999999999TiB"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
