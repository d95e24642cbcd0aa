//! An environment's config: read, and changed in its text.

#![no_main]

use compose_model::Nesting;
use compose_plan::config::{self, NewSource, SourceList};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = "dev/bitops.config.yaml".into();
    let _ = config::parse(&file, &text.into(), Nesting::Nested);
    let Ok(mut list) = SourceList::parse(&file, text) else {
        return;
    };
    let before = list.specs().len();
    if list
        .add(&NewSource::new("https://host/new", "new").version("1.0.0"))
        .is_ok()
    {
        assert_eq!(list.specs().len(), before + 1);
        // A layout that is too unusual may be refused.
        if list.remove(before).is_ok() {
            assert_eq!(list.specs().len(), before);
        }
    }
});
