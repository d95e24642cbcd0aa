//! A pack of a server: it is indexed as by a fetch, then its commits are listed and their files read.
//!
//! An input that starts like a pack is one, with and without a right checksum. Any other input describes
//! the objects of a pack, see `build`.

#![no_main]

use bitops_compose_fuzz::packs::build;
use compose_git::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PACK") {
        fuzzing::pack(bytes);
        let end = bytes.len().saturating_sub(20);
        fuzzing::pack(&fuzzing::sealed(bytes[..end].to_vec()));
    } else {
        fuzzing::pack(&build(bytes));
    }
});
