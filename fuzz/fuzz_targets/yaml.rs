//! The reader of YAML, and its quoting.

#![no_main]

use compose_yaml::{Tree, quote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Tree::parse(text);
    let quoted = format!("{}\n", quote(text));
    let tree = Tree::parse(quoted.as_str()).expect("a quoted text is YAML");
    let root = tree.root().expect("a quoted text is a scalar");
    assert_eq!(tree.value(root), Some(text));
});
