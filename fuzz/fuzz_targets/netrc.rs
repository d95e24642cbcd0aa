//! A `.netrc`.

#![no_main]

use compose_git::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::netrc(bytes));
