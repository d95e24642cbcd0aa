//! Merges files in the style of real ones, and compares them with what PyYAML loads.
//!
//! Each directory of `corpus` holds the contributions to one file, lowest first; `unmerged` holds files that
//! fall under rule 5.

use std::{fs, path::Path};

use crate::oracle::{Job, ask, merge_last};

/// Returns the format and the texts of each directory.
fn corpus() -> Vec<(String, &'static str, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let sorted = |dir: &Path| {
        let mut paths: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    let directories = sorted(&root).into_iter().map(|dir| {
        let files = sorted(&dir);
        let json = files
            .iter()
            .all(|file| file.extension().is_some_and(|extension| extension == "json"));
        let texts = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        (
            dir.file_name().unwrap().to_str().unwrap().to_owned(),
            if json { "json" } else { "yaml" },
            texts,
        )
    });
    directories.collect()
}

#[test]
fn merged_files_mean_what_pyyaml_says() {
    let mut jobs = Vec::new();
    for (name, format, texts) in corpus().into_iter().filter(|(name, ..)| name != "unmerged") {
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        // In both orders, and pair by pair.
        let mut orders = vec![refs.clone(), refs.iter().rev().copied().collect()];
        orders.extend(refs.windows(2).map(<[&str]>::to_vec));
        for order in orders {
            let result = merge_last(format, &order).unwrap_or_else(|error| panic!("{name}: {error}"));
            let inputs = order.iter().map(|text| (*text).to_owned()).collect();
            jobs.push(Job {
                format,
                inputs,
                result: Some(result),
            });
        }
    }
    assert!(jobs.len() >= 10);
    for (job, answer) in jobs.iter().zip(ask(&jobs)) {
        assert_eq!(
            answer,
            "",
            "{}\n=====\n{}",
            job.inputs.join("\n-----\n"),
            job.result.as_deref().unwrap_or_default()
        );
    }
}

#[test]
fn merged_files_read_like_one_hand_wrote_them() {
    for (name, format, texts) in corpus().into_iter().filter(|(name, ..)| name != "unmerged") {
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let merged = merge_last(format, &refs).unwrap();
        insta::with_settings!({ description => name.clone(), omit_expression => true }, {
            insta::assert_snapshot!(name, merged);
        });
    }
}

#[test]
fn documents_that_are_not_mappings_are_not_merged() {
    let (_, _, texts) = corpus()
        .into_iter()
        .find(|(name, ..)| name == "unmerged")
        .unwrap();
    for text in texts {
        let error = merge_last("yaml", &["a: 1\n", &text]).unwrap_err();
        assert!(
            error.index == 1 && !error.refusal.to_string().is_empty(),
            "{text}"
        );
    }
}
