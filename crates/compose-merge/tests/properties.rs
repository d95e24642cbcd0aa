//! Merges random files, and compares with a reference merge of what PyYAML loads.

use crate::oracle::{Job, ask, merge, merge_last};
use crate::random_files::{json_value, random, write_json};
use compose_merge::{MergeOutcome, Precedence, Yaml};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Panics with the shortest wrong case, if there is one.
fn report(jobs: &[Job], answers: &[String]) {
    let wrong = jobs
        .iter()
        .zip(answers)
        .filter(|(_, answer)| !answer.is_empty() && !answer.starts_with("unloadable"));
    let count = wrong.clone().count();
    let shortest = wrong.min_by_key(|(job, _)| job.inputs.iter().map(String::len).sum::<usize>());
    if let Some((job, answer)) = shortest {
        let inputs = job.inputs.join("\n=====\n");
        panic!(
            "{count} wrong; {answer}\n{inputs}\n=====> {}",
            job.result.as_deref().unwrap_or_default()
        );
    }
}

#[test]
fn a_merge_means_the_merge_of_what_was_loaded() {
    let (mut jobs, mut refused) = (Vec::new(), Vec::new());
    for texts in random(1, 600) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let inputs: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let result = merge_last("yaml", &texts);
        if result.is_err() {
            refused.push(jobs.len());
        }
        jobs.push(Job {
            format: "yaml",
            inputs,
            result: result.ok(),
        });
    }
    let cases = jobs.len();
    let answers = ask(&jobs);
    report(&jobs, &answers);
    let loadable = answers.iter().filter(|answer| answer.is_empty()).count();
    let refused: Vec<_> = refused.iter().filter(|at| answers[**at].is_empty()).collect();
    assert!(loadable * 10 > cases * 8, "only {loadable} of {cases} cases load");
    assert!(
        refused.len() * 50 < loadable,
        "{} of {loadable} refused",
        refused.len()
    );
}

/// Dropped comments are reported: every comment is in the result or in the list of lost ones.
#[test]
fn no_comment_is_lost_silently() {
    // Not `# far` and `# below`, which may be lines of the text above them.
    let words = [
        "# above", "# two", "# behind", "# other", "# start", "# head", "# end", "# why",
    ];
    let (mut kept, mut reported) = (0, 0);
    for mut texts in random(5, 300) {
        let mut comments = Vec::new();
        for text in &mut texts {
            let numbered = text.split_inclusive('\n').map(|line| {
                let said = line.trim_end_matches(['\r', '\n']);
                if !words.iter().any(|word| said.ends_with(word)) {
                    return line.to_owned();
                }
                let (before, comment) = said.rsplit_once('#').unwrap();
                comments.push(format!("#{comment} {}", comments.len()));
                format!("{before}{}{}", comments[comments.len() - 1], &line[said.len()..])
            });
            *text = numbered.collect();
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Ok(MergeOutcome::Merged(merged)) = merge(&Yaml, &texts, &|_, _| Precedence::HigherWins) else {
            continue;
        };
        let result = String::from_utf8(merged.bytes).unwrap();
        let lines: Vec<&str> = result.lines().map(str::trim_end).collect();
        for comment in &comments {
            let is_kept = lines.iter().any(|line| line.ends_with(comment.as_str()));
            let is_reported = merged.lost.iter().any(|lost| lost.text == *comment);
            assert!(
                is_kept || is_reported,
                "{comment}\n{}\n=====> {result}",
                texts.join("\n=====\n")
            );
            kept += usize::from(is_kept);
            reported += usize::from(is_reported);
        }
    }
    assert!(kept > 1000 && reported > 50, "{kept} kept, {reported} reported");
}

/// A text that YAML 1.2 (which gives the places) and PyYAML (which gives the values) read differently must be refused.
#[test]
fn a_damaged_file_is_refused_or_merged_as_pyyaml_reads_it() {
    let mut jobs = Vec::new();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let signs = select(
        &[
            "", " ", "\n", "\t", ":", "- ", "#", "'", "\"", "{", "}", "[", "]", ",", "&a ", "*n0", "!x ",
            "|", ">", "? ", "%", "@", "\\", "  ", ": ", " #", "---\n", "...\n", "<<: ", "=", "`", "\u{85}",
            "\r", "x",
        ][..],
    );
    let damage = vec((0.0..1.0f64, 0..3usize, signs), 1..3);
    for mut texts in random(2, 600) {
        texts.truncate(2);
        let text = texts.pop().unwrap();
        let mut damaged = text.clone();
        for (at, cut, sign) in damage.new_tree(&mut runner).unwrap().current() {
            let chars: Vec<char> = damaged.chars().collect();
            let at = (at * chars.len() as f64) as usize;
            damaged = chars[..at]
                .iter()
                .copied()
                .chain(sign.chars())
                .chain(chars[(at + cut).min(chars.len())..].iter().copied())
                .collect();
        }
        for inputs in [[texts[0].clone(), damaged.clone()], [damaged, texts[0].clone()]] {
            let both: Vec<&str> = inputs.iter().map(String::as_str).collect();
            if let Ok(result) = merge_last("yaml", &both) {
                jobs.push(Job {
                    format: "yaml",
                    inputs: inputs.to_vec(),
                    result: Some(result),
                });
            }
        }
    }
    let answers = ask(&jobs);
    report(&jobs, &answers);
    let loadable = answers.iter().filter(|answer| answer.is_empty()).count();
    assert!(loadable > 200, "only {loadable} cases load");
}

#[test]
fn merging_is_idempotent_and_associative() {
    let mut jobs = Vec::new();
    for texts in random(3, 150) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        // A file merged with itself stays the same, whatever it holds.
        if let Ok(twice) = merge_last("yaml", &[texts[0], texts[0]]) {
            assert_eq!(twice, texts[0]);
        }
        let Ok(all) = merge_last("yaml", &texts) else {
            continue;
        };
        let Ok(two) = merge_last("yaml", &texts[..2]) else {
            continue;
        };
        let steps: Vec<&str> = std::iter::once(two.as_str())
            .chain(texts[2..].iter().copied())
            .collect();
        // Merging step by step gives the same as merging all at once.
        let by_steps = if steps.len() == 1 {
            Ok(two.clone())
        } else {
            merge_last("yaml", &steps)
        };
        let Ok(by_steps) = by_steps else { continue };
        let inputs = texts.iter().map(|text| (*text).to_owned()).collect();
        jobs.push(Job {
            format: "yaml",
            inputs,
            result: Some(by_steps.clone()),
        });
        jobs.push(Job {
            format: "yaml",
            inputs: vec![all.clone()],
            result: Some(by_steps),
        });
        // Merging a layer again changes nothing.
        if let Ok(again) = merge_last("yaml", &[&all, texts[texts.len() - 1]]) {
            jobs.push(Job {
                format: "yaml",
                inputs: vec![all],
                result: Some(again),
            });
        }
    }
    report(&jobs, &ask(&jobs));
    assert!(jobs.len() > 300, "only {} cases", jobs.len());
}

#[test]
fn json_is_merged_as_python_reads_it() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let object = json_value().prop_filter("an object", serde_json::Value::is_object);
    let step = select(&["", "  ", "    ", "\t"][..]);
    let files = vec((object, step), 2..4);
    let mut jobs = Vec::new();
    for _ in 0..300 {
        let files = files.new_tree(&mut runner).unwrap().current();
        let texts: Vec<String> = files
            .iter()
            .map(|(value, step)| write_json(value, step, "") + "\n")
            .collect();
        let result = merge_last("json", &texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        if files.iter().all(|(_, step)| *step == "  ") {
            // If all files have one indentation, the result has it as well.
            let tabs = result
                .lines()
                .any(|line| (line.len() - line.trim_start_matches(' ').len()) % 2 == 1);
            assert!(!tabs, "{result}");
        }
        jobs.push(Job {
            format: "json",
            inputs: texts,
            result: Some(result),
        });
    }
    report(&jobs, &ask(&jobs));
}
