//! Help that is about no single command, and manual pages.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use compose_model::{env, variables::GROUPS};

use super::{json, run};
use crate::common::{World, skipped, world};

/// The columns of a terminal where nothing says otherwise.
const COLUMNS: usize = 80;

#[test]
fn topics_explain_every_variable_and_exit_code() {
    let world = world(&mut []);
    let variables = run(&world, &["help", "environment"], 0).stdout;
    let codes = run(&world, &["help", "exit-codes"], 0).stdout;
    for line in variables.lines().chain(codes.lines()) {
        let is_one_word = line.split_whitespace().count() == 1;
        assert!(line.chars().count() <= COLUMNS || is_one_word, "{line}");
    }
    let named: Vec<&str> = variables
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    for name in env::OWN
        .iter()
        .chain([&env::COMPOSE, &"BITOPS_COMPOSE_TOKEN_<HOST>", &"NO_COLOR"])
    {
        assert!(named.contains(name), "{name} is missing\n{variables}");
    }
    insta::assert_snapshot!("help_exit-codes", codes);
}

#[test]
fn an_unknown_topic_names_those_that_there_are() {
    let world = world(&mut []);
    for (word, near) in [
        ("exit-code", Some("exit-codes")),
        ("enviroment", Some("environment")),
        ("pln", Some("plan")),
        ("zzz", None),
    ] {
        let said = run(&world, &["help", word], 2).stderr;
        assert!(
            said.starts_with(&format!("error: there is no command or topic `{word}`\n")),
            "{said}"
        );
        let nearest = near.map(|near| format!("did you mean `{near}`?"));
        assert_eq!(said.contains("did you mean"), near.is_some(), "{said}");
        assert!(nearest.is_none_or(|nearest| said.contains(&nearest)), "{said}");
        assert!(
            said.contains("the topics are `environment` and `exit-codes`"),
            "{said}"
        );
    }
    // clap refuses a word that `help` does not take.
    assert!(
        run(&world, &["zzz"], 2)
            .stderr
            .contains("unrecognized subcommand")
    );
    // Other flags may stand before.
    run(&world, &["-q", "help", "environment"], 0);
}

/// The pages by the names of their files, as `man --output` writes them.
fn pages(world: &World) -> BTreeMap<String, String> {
    let dir = world.context.root().join("share/man/man1");
    let said = run(world, &["man", "--output", dir.to_str().unwrap()], 0).stdout;
    let entries = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap());
    let pages: BTreeMap<String, String> = entries
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    assert_eq!(said, format!("{} pages in {}\n", pages.len(), dir.display()));
    pages
}

/// The commands below one that its help lists, each as its words.
fn commands(world: &World, above: &[String]) -> Vec<Vec<String>> {
    let words: Vec<&str> = ["help"]
        .into_iter()
        .chain(above.iter().map(String::as_str))
        .collect();
    let help = run(world, &words, 0).stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let mut found = Vec::new();
    for name in names.filter(|name| *name != "help") {
        let words: Vec<String> = above.iter().cloned().chain([name.to_owned()]).collect();
        found.push(words.clone());
        found.extend(commands(world, &words));
    }
    found
}

#[test]
fn every_command_has_a_manual_page() {
    let world = world(&mut []);
    let pages = pages(&world);
    let mut commands = commands(&world, &[]);
    commands.push(Vec::new());
    assert!(commands.len() > 20, "{commands:?}");
    let names: Vec<String> = commands
        .iter()
        .map(|words| {
            format!(
                "{}.1",
                ["bitops-compose"]
                    .into_iter()
                    .chain(words.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join("-")
            )
        })
        .collect();
    assert_eq!(pages.keys().collect::<Vec<_>>(), {
        let mut names: Vec<&String> = names.iter().collect();
        names.sort();
        names
    });
    for (words, name) in commands.iter().zip(&names) {
        let words: Vec<&str> = ["man"]
            .into_iter()
            .chain(words.iter().map(String::as_str))
            .collect();
        assert_eq!(run(&world, &words, 0).stdout, pages[name], "{words:?}");
    }
    let printed = json(&run(&world, &["man", "cache", "prune", "--format", "json"], 0));
    assert_eq!(printed["name"], "bitops-compose-cache-prune.1");
}

#[test]
fn a_manual_page_has_its_sections_and_no_stray_requests() {
    const REQUESTS: [&str; 12] = [
        ".TH", ".SH", ".SS", ".TP", ".PP", ".RS", ".RE", ".IP", ".br", ".ie", ".el", ".ds",
    ];
    let world = world(&mut []);
    for (name, page) in pages(&world) {
        let title = name.trim_end_matches(".1");
        let head = format!(".TH {title} 1 \" \" \"bitops-compose ");
        assert!(page.contains(&head), "{name}: {page}");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "ENVIRONMENT",
            "\"EXIT STATUS\"",
        ] {
            let heading = format!("\n.SH {section}\n");
            assert_eq!(page.matches(&heading).count(), 1, "{name}: {section}\n{page}");
        }
        for said in ["BITOPS_ENVIRONMENT", "a bug of bitops\\-compose", "\\fB143\\fR"] {
            assert!(page.contains(said), "{name} lacks {said}");
        }
        assert!(page.is_ascii() && page.ends_with('\n'), "{name}");
        for line in page.lines() {
            let request = line.split(' ').next().unwrap();
            let is_text = !line.starts_with(['.', '\'']);
            assert!(is_text || REQUESTS.contains(&request), "{name}: {line}");
        }
    }
    let program = &pages(&world)["bitops-compose.1"];
    for variable in GROUPS.iter().flat_map(|group| group.variables) {
        let name = variable.name;
        assert!(program.contains(&format!("\n.TP\n\\fB{name}\\fR\n")), "{name}");
    }
}

/// With groff, as man has it: no page gives a warning.
#[test]
fn groff_accepts_every_page() {
    if Command::new("groff").arg("--version").output().is_err() {
        return skipped("no groff");
    }
    let world = world(&mut []);
    for (name, page) in pages(&world) {
        let mut groff = Command::new("groff")
            .args(["-man", "-ww", "-Tutf8"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let done = groff.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{name}: {said}");
    }
}

#[test]
fn a_page_that_is_not_there_or_cannot_be_written_is_an_error() {
    let world = world(&mut []);
    let said = run(&world, &["man", "pln"], 2).stderr;
    assert!(said.starts_with("error: there is no command `pln`\n"), "{said}");
    assert!(said.contains("hint: did you mean `plan`?"), "{said}");
    let said = run(&world, &["man", "cache", "lst"], 2).stderr;
    assert!(
        said.starts_with("error: `bitops-compose cache` has no command `lst`\n"),
        "{said}"
    );
    assert!(said.contains("hint: did you mean `list`?"), "{said}");
    // What is built into images has no page.
    run(&world, &["man", "image"], 2);
    let file = world.context.root().join("file");
    std::fs::write(&file, "").unwrap();
    let said = run(&world, &["man", "--output", file.to_str().unwrap()], 73).stderr;
    assert!(said.contains("cannot be written"), "{said}");
}
