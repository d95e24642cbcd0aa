//! Lists in documents that repeat the code.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use compose_model::{
    exit::{STATUSES, statuses},
    settings::Settings,
    variables,
};
use regex::Regex;

use super::{
    markdown::{DOCUMENTS, Document},
    sources::{files, read},
};
use crate::common::world;

/// Returns the names in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(ToOwned::to_owned).collect()
}

/// Returns the codes of `compose_model::ExitCode` with the names of their variants.
fn exit_codes() -> Vec<(String, u16)> {
    let text = read("crates/compose-model/src/exit.rs");
    let variant = Regex::new(r"(?m)^    (\w+) = (\d+),$").unwrap();
    let codes = variant
        .captures_iter(&text)
        .map(|found| (found[1].to_owned(), found[2].parse().unwrap()));
    let codes: Vec<_> = codes.collect();
    assert!(codes.len() > 8, "{codes:?}");
    codes
}

/// Every code has its explanation, which `help exit-codes` and the manual pages show as well.
#[test]
fn the_exit_codes_are_the_codes() {
    let codes = exit_codes();
    // 128 and the signal: SIGHUP and SIGQUIT, which a run does not end by itself for.
    let others = [0, 1, 129, 131];
    let expected: BTreeSet<u16> = codes.iter().map(|(_, code)| *code).chain(others).collect();
    let explained: Vec<u16> = STATUSES.iter().map(|status| status.code.into()).collect();
    assert!(explained.is_sorted(), "{explained:?}");
    assert_eq!(BTreeSet::from_iter(explained), expected);

    let list = format!("Exit codes: {}", statuses());
    let readme = Document::read("README.md").text();
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&list), "the README lacks: {list}");
    let help = world(&mut []).context.run(["--help"]).expect_code(0).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(&list), "--help lacks: {list}");
}

/// Returns the names in `compose_model::env` with this prefix.
fn variables(start: &str) -> BTreeSet<String> {
    let text = read("crates/compose-model/src/env.rs");
    let constant = Regex::new(r#"(?m)^pub const \w+: &str = "(\w+)";$"#).unwrap();
    let names = constant.captures_iter(&text).map(|found| found[1].to_owned());
    names.filter(|name| name.starts_with(start)).collect()
}

/// The README's rows: names, default.
fn variable_rows() -> Vec<(Vec<String>, String)> {
    let rows = Document::read("README.md").table("variable");
    let full = |name: &str| name.replace("<HOST>", "");
    rows.iter()
        .map(|row| {
            (
                names(&row[0]).iter().map(|name| full(name)).collect(),
                row[1].clone(),
            )
        })
        .collect()
}

#[test]
fn the_variables_are_the_variables() {
    let mut listed: BTreeSet<String> = variable_rows().into_iter().flat_map(|(names, _)| names).collect();
    // These are set for the pipeline, and not read.
    listed.insert("BITOPS_COMPOSE_MANIFEST".to_owned());
    assert_eq!(listed, variables("BITOPS_COMPOSE"));
    let mut own: BTreeSet<String> = compose_model::env::OWN
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    own.extend(["BITOPS_COMPOSE", "BITOPS_COMPOSE_TOKEN_"].map(ToOwned::to_owned));
    assert_eq!(
        own,
        variables("BITOPS_COMPOSE"),
        "those that are not reported as unknown"
    );
}

/// The README's table is the one of `help environment` and of the manual pages.
#[test]
fn the_readme_explains_the_variables_as_help_does() {
    let row = |variable: &variables::Variable| {
        let page = match variable.page.split('#').next() {
            None | Some("") => String::new(),
            Some(file) => format!(": [{file}]({})", variable.page),
        };
        let row = format!(
            "| `{}` | {} | {}{page} |",
            variable.name, variable.default, variable.meaning
        );
        row.replace("|  |", "| |")
    };
    let rows: Vec<String> = variables::OWN.iter().map(row).collect();
    let rows = rows.join("\n");
    let readme = Document::read("README.md").text();
    assert!(
        readme.contains(&format!("\n{rows}\n\n")),
        "write this to README.md:\n{rows}"
    );
}

#[test]
fn the_defaults_are_the_defaults() {
    let settings = Settings::from_env(&|_| None).unwrap();
    let size = |bytes: u64| match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}GiB", bytes >> 30),
        _ => format!("{}MiB", bytes >> 20),
    };
    let seconds = |time: Duration| time.as_secs().to_string();
    let expected = [
        ("OPS_REPO", settings.ops_repo.display().to_string()),
        ("HOME", settings.home.display().to_string()),
        ("PIPELINE", settings.pipeline.clone()),
        ("PIPELINE_DIR", settings.pipeline_dir.display().to_string()),
        ("CACHE_LIMIT", size(settings.cache_limit.unwrap())),
        ("GRACE", seconds(settings.grace)),
        ("TIMEOUT", seconds(settings.timeout)),
        ("JOBS", settings.jobs.to_string()),
        ("MAX_FILES", settings.budget.files.to_string()),
        ("MAX_FILE_SIZE", size(settings.budget.file_size)),
        ("MAX_TOTAL_SIZE", size(settings.budget.total_size)),
        ("LOCKED", settings.locked.to_string()),
        ("OFFLINE", settings.offline.to_string()),
        (
            "LOG_FORMAT",
            if settings.log_json { "json" } else { "text" }.to_owned(),
        ),
    ];
    let rows = variable_rows();
    for (name, default) in expected {
        let name = format!("BITOPS_COMPOSE_{name}");
        let (_, shown) = rows
            .iter()
            .find(|(names, _)| *names == [name.clone()])
            .expect(&name);
        assert_eq!(*shown, format!("`{default}`"), "{name}");
    }
}

/// The visible commands, as `--help` lists them.
fn commands() -> BTreeSet<String> {
    let help = world(&mut []).context.run(["--help"]).expect_code(0).stdout;
    let (_, list) = help.split_once("\nCommands:\n").expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .map(ToOwned::to_owned)
        .collect()
}

/// Every command that a hint of a snapshot names is one that the program takes.
#[test]
fn commands_in_hints_can_be_pasted() {
    let hint = Regex::new(r"(?:hint:|next:)[^\n]*").unwrap();
    let command = Regex::new(r"`bitops-compose ([^`]+)`").unwrap();
    let world = world(&mut []);
    let mut seen = BTreeSet::new();
    for file in files("tests").iter().filter(|path| path.ends_with(".snap")) {
        let text = read(file);
        for line in hint.find_iter(&text) {
            for found in command.captures_iter(line.as_str()) {
                if !seen.insert(found[1].to_owned()) {
                    continue;
                }
                let words: Vec<&str> = found[1].split(' ').collect();
                let run = world.context.run([&words[..], &["--help"]].concat());
                assert!(run.success(), "{file}: {}: {run}", &found[1]);
                let needs_environment = ["lock", "plan", "update", "outdated"].contains(&words[0]);
                let has_one = words
                    .get(1)
                    .is_some_and(|word| !word.starts_with('-') || *word == "--all");
                assert!(!needs_environment || has_one, "{file}: {}", &found[1]);
            }
        }
    }
    assert!(seen.len() > 3, "{seen:?}");
}

#[test]
fn the_commands_are_the_commands() {
    let rows = Document::read("README.md").table("command");
    let listed = rows.iter().flat_map(|row| {
        names(&row[0])
            .into_iter()
            .map(|name| name.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    });
    let mut listed: BTreeSet<String> = listed.collect();
    // The image's own entrypoint, and what clap brings.
    listed.extend(["deploy".to_owned(), "help".to_owned()]);
    assert_eq!(listed, commands());
}

/// The options of a command and of the commands below it.
fn options(context: &compose_testkit::Context, command: &[&str]) -> BTreeSet<String> {
    static OPTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"--[a-z][a-z-]+").unwrap());
    let help = context.run(["help"].iter().chain(command)).expect_code(0).stdout;
    let mut found = sorted(OPTION.find_iter(&help).map(|found| found.as_str()));
    if let Some((_, list)) = help.split_once("\nCommands:\n") {
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let below = line.split_whitespace().next().unwrap();
            if below != "help" {
                found.extend(options(context, &[command, &[below]].concat()));
            }
        }
    }
    found.extend(["--help", "--version"].map(ToOwned::to_owned));
    found
}

/// Every option that a document shows with a command is one of that command.
#[test]
fn every_option_that_a_document_shows_is_one() {
    let world = world(&mut []);
    let commands: Vec<String> = commands()
        .into_iter()
        .filter(|name| !["help", "deploy"].contains(&name.as_str()))
        .collect();
    let option = Regex::new(r"(?:^|[\s\[])(--[a-z][a-z-]+)").unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for name in &commands {
        // Every command takes these, for scripts that give all of them the same: `Unused` of the command line hides them.
        let known = &options(&world.context, &[name]) | &sorted(["--ops-repo", "--format"]);
        for code in DOCUMENTS.iter().flat_map(Document::code) {
            let text = code.text.strip_prefix("bitops-compose ").unwrap_or(&code.text);
            if text.split(' ').next() != Some(name) {
                continue;
            }
            for found in option.captures_iter(text) {
                seen += 1;
                if !known.contains(&found[1]) {
                    wrong.push(format!("{}: `{}` has no {}", code.place, code.text, &found[1]));
                }
            }
        }
    }
    // The README's table names a command's options beside it.
    for row in Document::read("README.md").table("command") {
        let of: BTreeSet<String> = names(&row[0])
            .iter()
            .flat_map(|name| options(&world.context, &[name.split(' ').next().unwrap()]))
            .collect();
        for word in names(&row[1])
            .iter()
            .filter_map(|text| text.split(' ').next())
            .filter(|word| word.starts_with("--"))
        {
            seen += 1;
            if !of.contains(word) {
                wrong.push(format!("README.md: {} has no {word}", row[0]));
            }
        }
    }
    assert!(seen > 8, "only {seen} options are shown");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The README's example of a mistake is what the program says.
#[test]
fn the_message_is_the_message() {
    let world = world(&mut []);
    let source = "- repo: https://git.example.com/org/kubernetes\n  enviroment: eks\n  version: 1.0.0\n";
    world.context.file(
        "dev/bitops.config.yaml",
        format!("default-environments:\n{source}"),
    );
    let run = world.context.run(["check"]).expect_code(65);
    let readme = Document::read("README.md").text();
    let (_, block) = readme
        .split_once("```text\nerror: ")
        .expect("a message in the README");
    let (message, _) = block.split_once("\n```").unwrap();
    assert!(run.stderr.contains(&format!("error: {message}\n")), "{run}");
}

/// The keys of an entry, as the JSON Schema has them.
#[test]
fn the_keys_are_the_keys() {
    let schema = world(&mut []).context.run(["schema"]).expect_code(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let mut entries = Vec::new();
    let mut visit = vec![&schema];
    while let Some(value) = visit.pop() {
        if let Some(properties) = value["properties"].as_object()
            && properties.contains_key("on-conflict")
        {
            entries.push(sorted(properties.keys().map(String::as_str)));
        }
        match value {
            serde_json::Value::Object(map) => visit.extend(map.values()),
            serde_json::Value::Array(list) => visit.extend(list),
            _ => {}
        }
    }
    let rows = Document::read("README.md").table("key");
    let listed = sorted(rows.iter().flat_map(|row| names(&row[0])));
    assert!(!entries.is_empty());
    for entry in entries {
        assert_eq!(listed, entry);
    }
}
