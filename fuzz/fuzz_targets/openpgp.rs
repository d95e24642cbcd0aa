//! OpenPGP keys, and a commit with a signature.

#![no_main]

use compose_signatures::{Keys, verify_commit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0xff);
    let (keys, commit) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(keys) = Keys::parse("keys.asc", keys) {
        let _ = verify_commit(commit, &keys);
    }
});
