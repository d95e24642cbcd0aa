//! A lock: what is read is the same when it is written and read again.

#![no_main]

use compose_plan::lock::Lock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = "dev/bitops.lock.yaml".into();
    if let Ok(lock) = Lock::parse(&file, &text.into()) {
        assert_eq!(Lock::parse(&file, &lock.to_text().into()), Ok(lock));
    }
});
