//! Merges valid files that are damaged at random: nothing panics or hangs, and every result can be merged again.
//!
//! See `compose_testkit::fuzz` for longer runs and other seeds.

use compose_merge::{Class, Contribution, Input, MergeOutcome, Precedence, class, definitions};
use compose_model::TreePath;
use compose_testkit::fuzz;

#[test]
fn damaged_files() {
    let seeds = [
        "a: 1\nb:\n  c: [1, 2]\n  d: &x {e: yes, f: 012}\ng: *x\nh: |\n  text\n  more\ni: \"q\\n\" # note\n",
        "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    Name: !Sub '${A}-b'\n? complex\n: value\n",
        "{\"a\": {\"b\": [1, 2.50, null]}, \"c\": \"\\u00e9\"}\n",
        "r\u{e9}gion = \"\u{e9}\" /* \u{e9} */\n",
        "region = \"eu\" # note\ntags = {\n  a = \"b\"\n}\nlist = [1, 2]\ntext = <<EOF\nx ${y}\nEOF\n",
        "resource \"aws_s3_bucket\" \"b\" {\n  name = var.x\n}\nvariable \"x\" {}\noutput \"y\" { value = 1 }\n",
        "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.0.0\"\n  hashes = [\"h1:x=\"]\n}\n",
    ];
    let paths = [
        "dev/bitops.config.yaml",
        "dev/helm/x/values.yaml",
        "dev/x.json",
        "dev/terraform/terraform.tfvars",
        "dev/terraform/.terraform.lock.hcl",
    ]
    .map(|path| TreePath::new(path).unwrap());
    let places =
        ["dev/terraform/main.tf", "dev/terraform/main.tf.json"].map(|path| TreePath::new(path).unwrap());
    fuzz::feed(1500, &seeds, fuzz::PIECES, |one, two| {
        for path in &paths {
            let Class::Merge(merger) = class(path) else {
                continue;
            };
            let contributions = [one, two].map(|bytes| Contribution { bytes });
            for precedence in [Precedence::HigherWins, Precedence::Conflict] {
                let merged = merger.merge(&Input {
                    path,
                    contributions: &contributions,
                    precedence: &move |_, _| precedence,
                });
                // The result can be read: merging it with itself succeeds.
                let Some(merged) = merged.ok().and_then(MergeOutcome::merged) else {
                    continue;
                };
                let same = [&merged.bytes, &merged.bytes].map(|bytes| Contribution { bytes });
                let again = merger.merge(&Input {
                    path,
                    contributions: &same,
                    precedence: &|_, _| Precedence::HigherWins,
                });
                assert!(
                    again.is_ok(),
                    "{path}: {}: {:?}",
                    String::from_utf8_lossy(&merged.bytes),
                    again.err()
                );
            }
        }
        for path in &places {
            let _ = definitions(path, one);
        }
    });
}
