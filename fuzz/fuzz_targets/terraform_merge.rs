//! Several layers of Terraform's variables and of its provider lock, merged.

#![no_main]

use compose_merge::{Class, Contribution, Input, Precedence, class};
use compose_model::TreePath;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = [
    "dev/terraform/terraform.tfvars",
    "dev/terraform/x.auto.tfvars.json",
    "dev/terraform/.terraform.lock.hcl",
];

// The layers are separated by bytes that no text has.
fuzz_target!(|bytes: &[u8]| {
    let layers: Vec<&[u8]> = bytes.split(|byte| *byte == 0xff).take(4).collect();
    let contributions: Vec<Contribution<'_>> = layers.iter().map(|bytes| Contribution { bytes }).collect();
    for name in NAMES {
        let path = TreePath::new(name).expect("a path");
        let Class::Merge(merger) = class(&path) else {
            panic!("{name} is merged");
        };
        let precedences: [&dyn Fn(usize, usize) -> Precedence; 2] =
            [&|_, _| Precedence::HigherWins, &|_, _| Precedence::Conflict];
        for precedence in precedences {
            let input = Input {
                path: &path,
                contributions: &contributions,
                precedence,
            };
            // The merger itself reads its result again, and compares what it means.
            let _ = merger.merge(&input);
        }
    }
});
