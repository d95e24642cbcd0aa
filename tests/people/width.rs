//! Reports and messages fit the terminal.

use compose_testkit::Catalog;
use unicode_width::UnicodeWidthStr;

use super::{run, terminal::at_columns};
use crate::common::{World, world};

const WIDTHS: [usize; 3] = [40, 80, 120];

/// A world with long names, wide ones, and a conflict.
fn wide() -> World {
    let mut catalogs = ["platform-of-the-whole-company", "another"].map(|name| {
        let mut catalog = Catalog::new(name);
        catalog
            .file("eks/README.md", "# \u{65e5}\u{672c}\u{8a9e}\u{306e}\u{74b0}\u{5883}, and what else there is to say about it in one line\n")
            .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
            .file("eks/terraform/notes.txt", format!("of {name}\n"))
            .file(&format!("eks/helm/\u{65e5}\u{672c}-{name}/templates/a-long-name-of-a-file.yaml"), "a: 1\n")
            .file("eks/terraform/bitops.before-deploy.d/a-long-name-of-a-hook-script.sh", format!("echo {name}\n"))
            .tag("1.0.0")
            .tag("1.1.0");
        catalog
    });
    let world = world(&mut catalogs);
    world.sources(&[
        "{repo: '{repo}/platform-of-the-whole-company', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/another', environment: eks, version: ^1.0, exclude: [notes.txt, '*.sh']}",
    ]);
    world
}

/// Returns the lines that are too long although they could be broken at a space.
fn too_long(text: &str, columns: usize) -> Vec<String> {
    let breakable = |line: &str| {
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let text = outside.trim_start_matches(['-', '>', '|', '=', ' ']);
        // A label stands before a first word that stays whole.
        let text = ["error: ", "hint: ", "caused by: "]
            .iter()
            .fold(text, |text, label| text.strip_prefix(label).unwrap_or(text));
        text.trim().contains(' ')
    };
    // A diff shows the lines of another text as they are.
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("--- "))
        .filter(|line| line.width() > columns && breakable(line));
    lines.map(ToOwned::to_owned).collect()
}

#[test]
fn reports_fit_the_terminal() {
    let mut world = wide();
    world.context.run(["lock"]).expect_code(0);
    let repo = format!("{}/platform-of-the-whole-company", world.server.address());
    for columns in WIDTHS {
        for words in [
            &["plan"][..],
            &["plan", "--files"],
            &["explain", "terraform/notes.txt"],
            &["check"],
            &["outdated"],
            &["update", "--dry-run"],
            &["upgrade", "--dry-run"],
            &["search", &repo],
            &["cache", "list"],
            &["lock"],
            &["help", "environment"],
            &["help", "exit-codes"],
            &["add", &repo, "eks@1.1.0", "--dry-run"],
            &["doctor"],
        ] {
            let run = at_columns(
                &mut world,
                columns,
                &[words, &["--color", "never", "--no-progress"]].concat(),
            );
            assert!(run.stdout.lines().count() > 1, "{words:?}: {run}");
            assert_eq!(
                too_long(&run.stdout, columns),
                [""; 0],
                "{words:?} at {columns}: {run}"
            );
        }
    }
}

#[test]
fn messages_fit_the_terminal_and_are_whole_in_logs() {
    let mut world = wide();
    world.sources(&["{repo: '{repo}/platform-of-the-whole-company', environment: eks, version: 9.9.9}"]);
    for (words, code) in [
        (&["plan"][..], 65),
        (&["plan", "absent-environment"], 65),
        (&["remove", "nothing-of-the-kind"], 2),
    ] {
        let words = [words, &["--color", "never", "--no-progress"]].concat();
        let log = run(&world, &words, code).stderr;
        for columns in WIDTHS {
            let run = at_columns(&mut world, columns, &words);
            assert!(run.stdout.starts_with("error: "), "{run}");
            assert_eq!(
                too_long(&run.stdout, columns),
                [""; 0],
                "{words:?} at {columns}: {run}"
            );
            // A marked line of a config is cut to the terminal, all that is said is there.
            let joined = |text: &str| {
                text.split_whitespace()
                    .filter(|word| *word != "|")
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            for said in log
                .lines()
                .filter(|line| line.starts_with("error: ") || line.contains(" = "))
            {
                let shown = joined(&run.stdout);
                assert!(
                    shown.contains(&joined(said)),
                    "{words:?} at {columns}: {said}\n{run}"
                );
            }
        }
        assert!(log.lines().any(|line| line.width() > 60), "{words:?}: {log}");
    }
}

/// What would be another text with other lines stays as it is.
#[test]
fn diffs_graphs_and_pages_stay_as_they_are() {
    let mut world = wide();
    world.context.run(["lock"]).expect_code(0);
    for words in [
        &["plan", "--diff"][..],
        &["plan", "--graph", "mermaid"],
        &["update", "--dry-run", "--format", "markdown"],
    ] {
        let words = [words, &["--color", "never", "--no-progress"]].concat();
        let piped = world.context.run(&words);
        let shown = at_columns(&mut world, 40, &words);
        for line in piped.stdout.lines() {
            assert!(
                shown.stdout.lines().any(|one| one.trim_end() == line.trim_end()),
                "{words:?}: {line}\n{shown}"
            );
        }
    }
}
