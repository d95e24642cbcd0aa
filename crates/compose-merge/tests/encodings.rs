//! Files in UTF-16, which PyYAML reads by their byte-order mark.

use compose_merge::{Contribution, Input, Merger, Precedence, Yaml};
use compose_model::TreePath;

use crate::oracle::{Job, ask};

const LOWER: &str = "# Grüße\nname: Zoë # ü\nlist:\n- 😀\nnested: {a: 1}\n";
const HIGHER: &str = "name: Ada\nnested:\n  b: '日本'\n";

/// The encodings that PyYAML knows, each with its byte-order mark.
fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let marked = format!("\u{feff}{text}");
    let units: Vec<u16> = marked.encode_utf16().collect();
    vec![
        ("UTF-8", text.as_bytes().to_vec()),
        ("UTF-8 with a mark", marked.into_bytes()),
        (
            "UTF-16LE",
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        ),
        (
            "UTF-16BE",
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        ),
    ]
}

fn merge(texts: [&[u8]; 2]) -> Vec<u8> {
    let outcome = Yaml.merge(&Input {
        path: &TreePath::new("dev/values.yaml").unwrap(),
        contributions: &texts.map(|bytes| Contribution { bytes }),
        precedence: &|_, _| Precedence::HigherWins,
    });
    outcome.unwrap().merged().unwrap().bytes
}

#[test]
fn files_of_any_encoding_are_merged_to_what_pyyaml_loads_from_them() {
    let mut jobs = Vec::new();
    for (lower_name, lower) in encodings(LOWER) {
        for (higher_name, higher) in encodings(HIGHER) {
            let merged = String::from_utf8(merge([&lower, &higher])).unwrap();
            assert_eq!(
                merged.starts_with('\u{feff}'),
                lower_name == "UTF-8 with a mark",
                "{lower_name}, {higher_name}"
            );
            jobs.push(Job {
                format: "yaml",
                inputs: vec![LOWER.to_owned(), HIGHER.to_owned()],
                result: Some(merged),
            });
        }
        // A file to which nothing is added stays as it is, in its encoding.
        assert_eq!(merge([&lower, b"nested: {a: 1}\n"]), lower, "{lower_name}");
    }
    assert_eq!(jobs.len(), 16);
    assert!(ask(&jobs).iter().all(String::is_empty), "{:?}", ask(&jobs));
}

#[test]
fn json_and_hcl_may_only_be_utf_8() {
    let mergers: [(&dyn Merger, &str); 2] = [
        (&compose_merge::Json, "{\"a\": 1}"),
        (&compose_merge::Tfvars, "a = 1\n"),
    ];
    for (merger, text) in mergers {
        for (name, bytes) in encodings(text) {
            let outcome = merger.merge(&Input {
                path: &TreePath::new("dev/file").unwrap(),
                contributions: &[text.as_bytes(), &bytes].map(|bytes| Contribution { bytes }),
                precedence: &|_, _| Precedence::HigherWins,
            });
            match outcome {
                Ok(_) => assert!(name.starts_with("UTF-8"), "{name}"),
                Err(error) => {
                    assert!(name.starts_with("UTF-16"), "{name}: {error}");
                    assert_eq!(
                        (error.index, error.refusal.to_string().as_str()),
                        (1, "it is not UTF-8")
                    );
                }
            }
        }
    }
}
