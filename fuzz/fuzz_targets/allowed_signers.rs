//! A file of trusted keys.

#![no_main]

use compose_signatures::Keys;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Keys::parse("allowed_signers", bytes);
});
