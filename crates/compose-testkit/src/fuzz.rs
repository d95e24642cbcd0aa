//! Randomly damaged inputs for tests of parsers.
//!
//! The runs are deterministic. `BITOPS_COMPOSE_TEST_ROUNDS=1000000` runs longer, and
//! `BITOPS_COMPOSE_TEST_SEED` selects another sequence.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Longer than reading any input should take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Pieces of text that parsers often mishandle.
pub const PIECES: &[&str] = &[
    "\0",
    "\u{feff}",
    "\r",
    "\t",
    "\n",
    "\n\n",
    "  ",
    ": ",
    "- ",
    "? ",
    "#",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!Ref ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "%",
    "@",
    "`",
    "---\n",
    "...\n",
    "~",
    "null",
    "1_000",
    "0x1",
    "12:30",
    ".inf",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{1f600}",
    "e\u{301}",
    "<<EOF\n",
    "EOF\n",
    "${",
    "}",
    "=",
    "/*",
    "*/",
    "//",
    "://",
    "..",
    "/",
    "^",
    "~1",
    "18446744073709551616",
    "-oProxyCommand=x",
    "ext::",
    "%0a",
    "default-environments:\n",
];

/// A random number generator (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Creates a generator with a seed.
    pub fn new(seed: usize) -> Self {
        Self(seed as u64 | 1)
    }

    /// Creates a generator with the seed in `BITOPS_COMPOSE_TEST_SEED`.
    ///
    /// # Panics
    ///
    /// If the variable is not a number.
    pub fn seeded() -> Self {
        Self(number("BITOPS_COMPOSE_TEST_SEED", 1) | 1)
    }

    /// Returns a number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % end.max(1)
    }

    /// Returns a random item.
    ///
    /// # Panics
    ///
    /// If there are no items.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Returns `bytes` with one to eight damages: inserted or overwriting `pieces` and parts of
    /// `other`, removed or repeated stretches, changed bytes.
    pub fn damaged(&mut self, bytes: &[u8], other: &[u8], pieces: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(8) {
            let start = self.below(bytes.len() + 1);
            let end = (start + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 => drop(bytes.splice(start..start, self.pick(pieces).as_ref().iter().copied())),
                1 => drop(bytes.drain(start..end)),
                2 => {
                    let stretch = bytes[start..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, stretch);
                }
                3 => {
                    let byte = u8::try_from(self.below(256)).expect("below 256");
                    if let Some(place) = bytes.get_mut(start) {
                        *place = byte;
                    }
                }
                4 => {
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(60)).min(other.len());
                    bytes.splice(start..start, other[from..to].iter().copied());
                }
                _ => {
                    let piece = self.pick(pieces).as_ref().repeat(1 + self.below(30));
                    bytes.splice(start..end, piece);
                }
            }
        }
        bytes
    }
}

/// Returns the number of rounds: `BITOPS_COMPOSE_TEST_ROUNDS`, or else `default`.
///
/// # Panics
///
/// If the variable is not a number.
pub fn rounds(default: u64) -> u64 {
    number("BITOPS_COMPOSE_TEST_ROUNDS", default)
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}

/// Calls `read` with two damaged seeds, as often as [`rounds`] returns for `default`.
///
/// # Panics
///
/// If `read` panics or takes a minute; the message contains the inputs.
pub fn feed(
    default: u64,
    seeds: &[impl AsRef<[u8]>],
    pieces: &[impl AsRef<[u8]>],
    read: impl Fn(&[u8], &[u8]),
) {
    let mut random = Random::seeded();
    for _ in 0..rounds(default) {
        let one = random.pick(seeds).as_ref();
        let other = random.pick(seeds).as_ref();
        let text = random.damaged(one, other, pieces);
        let second = random.damaged(other, one, pieces);
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| read(&text, &second)));
        let shown = || format!("{}\n{}", text.escape_ascii(), second.escape_ascii());
        assert!(done.is_ok(), "panicked at\n{}", shown());
        assert!(started.elapsed() < TIME_LIMIT, "hung at\n{}", shown());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn damage_is_deterministic_and_rarely_leaves_a_seed_unchanged() {
        let all = || {
            let seen = RefCell::new(Vec::new());
            feed(200, &["one: 1", "two: 2"], &["\0", "{"], |text, second| {
                seen.borrow_mut().push((text.to_vec(), second.to_vec()));
            });
            seen.into_inner()
        };
        let seen = all();
        assert_eq!(seen, all());
        assert!(seen.iter().any(|(text, _)| text.contains(&b'{')));
        let whole = seen.iter().filter(|(text, _)| text == b"one: 1").count();
        assert!(whole < seen.len() / 5, "{whole} of {}", seen.len());
    }

    #[test]
    #[should_panic(expected = "panicked at\n")]
    fn the_input_of_a_panic_is_shown() {
        feed(50, &["good"], &["\0"], |text, _| assert_eq!(text, b"good"));
    }
}
