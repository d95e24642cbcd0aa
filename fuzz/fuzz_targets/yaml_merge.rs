//! Several layers of a YAML or JSON file, merged.

#![no_main]

use bitops_compose_fuzz::merge;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 2] = ["dev/helm/web/values.yaml", "dev/helm/web/values.json"];

fuzz_target!(|bytes: &[u8]| merge(&NAMES, bytes));
