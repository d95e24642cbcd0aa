//! Compares the meaning of merges with PyYAML.

use compose_merge::{Contribution, Input, Json, MergeOutcome, Merger, Precedence, Unmergeable, Yaml};
use compose_model::TreePath;
use compose_testkit::oracle;
use serde_json::{Value, json};

/// Merges texts, lowest first.
pub(crate) fn merge(
    merger: &dyn Merger,
    texts: &[&str],
    precedence: &dyn Fn(usize, usize) -> Precedence,
) -> Result<MergeOutcome, Unmergeable> {
    let contributions: Vec<_> = texts
        .iter()
        .map(|text| Contribution {
            bytes: text.as_bytes(),
        })
        .collect();
    let path = TreePath::new("dev/values.yaml").unwrap();
    merger.merge(&Input {
        path: &path,
        contributions: &contributions,
        precedence,
    })
}

/// Merges texts; each overrides those before it.
pub(crate) fn merge_last(format: &str, texts: &[&str]) -> Result<String, Unmergeable> {
    let merger: &dyn Merger = if format == "json" { &Json } else { &Yaml };
    let outcome = merge(merger, texts, &|_, _| Precedence::HigherWins)?;
    let merged = outcome.merged().expect("the higher one wins");
    Ok(String::from_utf8(merged.bytes).unwrap())
}

/// One question: does `result` load to the deep merge of `inputs`?
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// `yaml` or `json`.
    pub(crate) format: &'static str,
    /// Lowest first.
    pub(crate) inputs: Vec<String>,
    /// `None` asks only whether the inputs load.
    pub(crate) result: Option<String>,
}

/// Returns the answers in order. An empty answer is a yes.
pub(crate) fn ask(jobs: &[Job]) -> Vec<String> {
    ask_with(jobs, false)
}

/// Returns the answers in order. `fast`: libyaml answers if it agrees.
pub(crate) fn ask_with(jobs: &[Job], fast: bool) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.py");
    let jobs: Vec<Value> = jobs
        .iter()
        .map(|job| json!({"format": job.format, "inputs": job.inputs, "result": job.result, "fast": fast}))
        .collect();
    let answers = oracle::ask(oracle::python(script), &Value::from(jobs));
    serde_json::from_value(answers).unwrap()
}
