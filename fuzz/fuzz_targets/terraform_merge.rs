//! Several layers of Terraform's variables and of its provider lock, merged.

#![no_main]

use bitops_compose_fuzz::merge;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = [
    "dev/terraform/terraform.tfvars",
    "dev/terraform/x.auto.tfvars.json",
    "dev/terraform/.terraform.lock.hcl",
];

fuzz_target!(|bytes: &[u8]| merge(&NAMES, bytes));
