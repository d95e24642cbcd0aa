//! Real files of many repos, merged with themselves and with a small change.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Mutex};

use compose_merge::Yaml;
use compose_testkit::real_files;
use compose_yaml::{Kind, Tree};

use crate::oracle::{Job, ask_with, merge, merge_last};

/// Files that go to one Python process.
const BATCH: usize = 100;

/// A higher layer that sets the first key of a mapping to another value and adds one; `None` if the text is not a mapping.
fn change(text: &str) -> Option<String> {
    let tree = Tree::parse(text).ok()?;
    let map = tree.map(tree.root()?)?;
    let key = map.entries.first().map(|entry| &tree.nodes[entry.key])?;
    let is_plain = matches!(key.kind, Kind::Scalar { .. }) && key.anchor.is_none();
    let first = &text[key.span()];
    let changed = if is_plain && !first.contains('\n') {
        format!("{first}: changed\n")
    } else {
        String::new()
    };
    Some(format!("{changed}an added key:\n  of: [1, two]\n"))
}

#[derive(Default)]
struct Tally {
    merged: usize,
    unloadable: usize,
    by_design: usize,
    refused: BTreeMap<String, Vec<PathBuf>>,
    wrong: Vec<(PathBuf, String)>,
}

#[test]
#[ignore = "needs a directory with many YAML files, which BITOPS_COMPOSE_TEST_YAML names: see docs/testing.md"]
#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn real_files_are_merged_to_what_pyyaml_loads() {
    let tally = Mutex::new(Tally::default());
    real_files::in_batches(&real_files::all(), BATCH, |batch| merge_batch(batch, &tally));
    let tally = tally.into_inner().unwrap();
    println!(
        "{} merged, {} taken whole by design, {} not loadable",
        tally.merged, tally.by_design, tally.unloadable
    );
    for (reason, files) in &tally.refused {
        println!(
            "{} refused: {reason}, such as {}",
            files.len(),
            files[0].display()
        );
    }
    assert!(
        tally.wrong.is_empty(),
        "{}: {:#?}",
        tally.wrong.len(),
        tally.wrong
    );
    assert!(tally.merged > 0);
}

fn merge_batch(files: &[PathBuf], tally: &Mutex<Tally>) {
    let mut jobs = Vec::new();
    for path in files {
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        let higher = change(&text).unwrap_or_else(|| "an added key: 1\n".to_owned());
        let result = merge_last("yaml", &[&text, &higher]);
        let result = result.map_err(|error| error.refusal.reason);
        if result.is_ok() {
            let itself = merge(&Yaml, &[&text, &text], &|_, _| {
                compose_merge::Precedence::Conflict
            });
            let itself = itself.unwrap().merged().expect("a text agrees with itself");
            if itself.bytes != text.as_bytes() {
                let what = "merged with itself it changed".to_owned();
                tally.lock().unwrap().wrong.push((path.clone(), what));
            }
        }
        let inputs = vec![text, higher];
        jobs.push((path, inputs, result));
    }
    let questions: Vec<Job> = jobs
        .iter()
        .map(|(_, inputs, result)| Job {
            format: "yaml",
            inputs: inputs.clone(),
            result: result.as_ref().ok().cloned(),
        })
        .collect();
    let answers = ask_with(&questions, true);
    let mut tally = tally.lock().unwrap();
    for ((path, _, result), answer) in jobs.into_iter().zip(answers) {
        match (result, answer.as_str()) {
            (_, answer) if answer.starts_with("unloadable") => tally.unloadable += 1,
            (Ok(_), "") => tally.merged += 1,
            (Err(reason), "") if reason.is_by_design() => tally.by_design += 1,
            (Err(reason), "") => tally
                .refused
                .entry(reason.to_string())
                .or_default()
                .push(path.clone()),
            (_, answer) => tally
                .wrong
                .push((path.clone(), answer.chars().take(300).collect())),
        }
    }
}
