//! Completions, in the real shells.

use std::{os::unix::fs::symlink, process::Command};

use compose_testkit::Catalog;

use super::{layered, run};
use crate::common::{World, catalog, skipped, world};

/// What each shell runs, with the program and the typed lines as arguments. Prints the candidates of a line between
/// `<` and `>`.
const SHELLS: [(&str, &[&str]); 2] = [
    (
        "bash",
        &[
            "--norc",
            "--noprofile",
            "-c",
            r#"
            . <("$0" completions bash)
            for line in "$@"; do
                COMP_LINE=$line COMP_POINT=${#line}
                _bitops_compose "$0"
                [ ${#COMPREPLY[@]} = 0 ] || printf '<%s>' "${COMPREPLY[@]}"
                echo
            done
            "#,
        ],
    ),
    (
        "fish",
        &[
            "--no-config",
            "-c",
            r#"
            set PATH (dirname $argv[1]) $PATH
            bitops-compose completions fish | source
            for line in $argv[2..]
                for candidate in (complete -C $line)
                    printf '<%s>' (string split -f 1 \t -- $candidate)
                end
                echo
            end
            "#,
        ],
    ),
];

/// The same for zsh, whose candidates are on a terminal alone: prints the line after a tab.
const ZSH: &str = r#"
    path=(${1:h} $path)
    mkdir -p $HOME/functions
    $1 completions zsh > $HOME/functions/_bitops-compose
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z 'unset zle_bracketed_paste; PS1= PS2= RPS1=; fpath=($HOME/functions $fpath)'
    zpty -w z 'autoload -Uz compinit && compinit -u -D; bindkey "^I" complete-word; setopt no_beep'
    zpty -w z 'show() { print -r -- "<$BUFFER>"; zle kill-buffer; }; zle -N show; bindkey "^X" show; print -r -- REA""DY'
    zpty -r z line '*READY*'
    shift
    for typed in "$@"; do
        zpty -w -n z "$typed"$'\t\x18'
        zpty -r z line $'*<bitops*>*' && print -r -- "<${${line##*<}%%>*}>"
    done
    zpty -d z
"#;

fn is_installed(shell: &str) -> bool {
    Command::new(shell).args(["-c", "true"]).output().is_ok()
}

/// Returns a shell's answers to the lines, one each. The shell says nothing else. `None` where it is not installed.
#[track_caller]
fn completed(world: &mut World, shell: &str, options: &[&str], lines: &[&str]) -> Option<Vec<String>> {
    if !is_installed(shell) {
        skipped(&format!("no {shell}"));
        return None;
    }
    let mut words = vec![shell];
    words.extend(options);
    world.context.wrap(words);
    let run = world.context.run(lines).expect_code(0);
    world.context.wrap::<&str>([]);
    assert_eq!(run.stderr, "", "{shell}");
    let answers: Vec<String> = run.stdout.lines().map(ToOwned::to_owned).collect();
    assert_eq!(answers.len(), lines.len(), "{shell}: {run}");
    Some(answers)
}

/// A world with several environments, one of which has a space in its name.
fn environments() -> World {
    let mut world = layered();
    world.context.unset("BITOPS_ENVIRONMENT");
    for name in ["my env", "stacks/eks"] {
        let config = "default-environments:\n\
                      - {repo: 'https://git.example.com/org/kubernetes', environment: eks, version: 1.0.0}\n\
                      - {repo: 'https://git.example.com/org/tools', environment: grafana, version: 1.0.0, as: mon}\n";
        world.context.file(&format!("{name}/bitops.config.yaml"), config);
    }
    world.context.file("no-environment/readme.md", "");
    world
}

/// Runs a completion as zsh does, and returns the candidates without what they are about.
fn offered(world: &World, words: &[&str]) -> Vec<String> {
    let args = [&["__complete", "zsh", "bitops-compose"], words].concat();
    let run = run(world, &args, 0);
    assert_eq!(run.stderr, "", "{words:?}");
    let values = run
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap().to_owned());
    values.collect()
}

#[test]
fn bash_and_fish_know_commands_environments_and_sources() {
    let mut world = environments();
    for (shell, options) in SHELLS {
        let space = if shell == "bash" { "my\\ env" } else { "my env" };
        // bash keeps what stands before the colon.
        let scheme = if shell == "bash" { "" } else { "https:" };
        let cases = [
            ("bitops-compose pl", "<plan>".to_owned()),
            ("bitops-compose plan --dif", "<--diff>".to_owned()),
            ("bitops-compose plan --format j", "<json>".to_owned()),
            ("bitops-compose cache prune --unu", "<--unused-for>".to_owned()),
            ("bitops-compose help pl", "<plan>".to_owned()),
            ("bitops-compose help env", "<environment>".to_owned()),
            ("bitops-compose plan ", format!("<dev><{space}><stacks/eks>")),
            ("bitops-compose -q check my", format!("<{space}>")),
            ("bitops-compose check --format=json d", "<dev>".to_owned()),
            ("bitops-compose add x y --to s", "<stacks/eks>".to_owned()),
            (
                "bitops-compose remove --from stacks/eks ",
                "<eks><mon>".to_owned(),
            ),
            ("bitops-compose update stacks/eks g", "<grafana>".to_owned()),
            ("bitops-compose upgrade 'my env' ku", "<kubernetes>".to_owned()),
            (
                "bitops-compose search https://git.example.com/org/t",
                format!("<{scheme}//git.example.com/org/tools>"),
            ),
            ("bitops-compose plan zzz", String::new()),
            ("bitops-compose zzz", String::new()),
        ];
        let lines: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
        let Some(answers) = completed(&mut world, shell, options, &lines) else {
            continue;
        };
        for ((line, expected), answer) in cases.iter().zip(&answers) {
            assert_eq!(answer, expected, "{shell}: {line}");
        }
    }
}

#[test]
fn zsh_knows_commands_environments_and_sources() {
    let mut world = environments();
    let cases = [
        ("bitops-compose pl", "<bitops-compose plan >"),
        ("bitops-compose plan --dif", "<bitops-compose plan --diff >"),
        ("bitops-compose plan my", "<bitops-compose plan my\\ env >"),
        ("bitops-compose plan 'my", "<bitops-compose plan 'my env' >"),
        ("bitops-compose help exi", "<bitops-compose help exit-codes >"),
        (
            "bitops-compose remove --from stacks/eks m",
            "<bitops-compose remove --from stacks/eks mon >",
        ),
        (
            "bitops-compose search https://git.example.com/org/t",
            "<bitops-compose search https://git.example.com/org/tools >",
        ),
        ("bitops-compose plan zzz", "<bitops-compose plan zzz>"),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    let Some(answers) = completed(&mut world, "zsh", &["-f", "-c", ZSH, "zsh"], &lines) else {
        return;
    };
    for ((line, expected), answer) in cases.iter().zip(&answers) {
        assert_eq!(answer, expected, "{line}");
    }
}

/// The directories that the line itself names, before the command or after it.
#[test]
fn completions_follow_the_line_to_other_directories() {
    let mut world = environments();
    let repo = world.context.ops_repo();
    let root = world.context.root().to_owned();
    world
        .context
        .set("BITOPS_COMPOSE_OPS_REPO", root.join("absent"))
        .set("BITOPS_COMPOSE_HOME", root.join("absent"))
        .current_dir(&root);
    let dir = repo.to_str().unwrap();
    let all = ["dev", "my env", "stacks/eks"];
    assert_eq!(offered(&world, &["plan", "--ops-repo", dir, ""]), all);
    assert_eq!(offered(&world, &["plan", &format!("--ops-repo={dir}"), ""]), all);
    assert_eq!(offered(&world, &["-C", dir, "plan", ""]), all);
    assert_eq!(
        offered(&world, &["-C", dir, "remove", "--from", "my env", ""]),
        ["eks", "mon"]
    );
    assert_eq!(offered(&world, &["-C", "absent", "plan", ""]), [""; 0]);
    world.context.current_dir(&repo);
    std::fs::create_dir(repo.join(".git")).unwrap();
    assert_eq!(offered(&world, &["plan", ""]), all);
    // Inside of an environment it is the one that is meant.
    world.context.current_dir(repo.join("stacks/eks"));
    assert_eq!(offered(&world, &["remove", ""]), ["eks", "mon"]);
    assert_eq!(offered(&world, &["check", ""]), all);
}

/// The environments of a catalog that was looked at before; nothing is asked of its server.
#[test]
fn environments_of_cached_catalogs_are_known_without_network() {
    let mut kubernetes = catalog("kubernetes", "eks", "terraform/main.tf", "# x\n");
    kubernetes
        .file("stacks/gke/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("1.1.0");
    let other = Catalog::new("other")
        .file("x/terraform/x.tf", "# z\n")
        .tag("1.0.0")
        .clone();
    let world = world(&mut [kubernetes, other]);
    let address = format!("{}/kubernetes", world.server.address());
    assert_eq!(
        offered(&world, &["add", &address, ""])
            .first()
            .map(String::as_str),
        Some("--to")
    );
    run(&world, &["search", &address], 0);
    let asked = world.server.requests().len();
    for command in ["add", "adopt"] {
        assert_eq!(offered(&world, &[command, &address, ""]), ["eks", "stacks/gke"]);
        assert_eq!(offered(&world, &[command, &address, "st"]), ["stacks/gke"]);
    }
    for command in ["add", "adopt", "search"] {
        assert_eq!(offered(&world, &[command, "http"]), [address.as_str()]);
    }
    let uncached = format!("{}/other", world.server.address());
    assert_eq!(offered(&world, &["add", &uncached, "x"]), [""; 0]);
    assert_eq!(world.server.requests().len(), asked);
}

/// Names that would need more than a line or could deceive are left out; others are quoted, and run nothing.
#[test]
fn odd_names_do_no_harm() {
    let mut world = environments();
    for name in [
        "two\nlines",
        "\u{1b}[31mred",
        "tab\tbed",
        "hid\u{200b}den",
        "$(touch harm)",
        "a*",
        "it's",
    ] {
        world.context.file(&format!("{name}/bitops.config.yaml"), "");
    }
    let all = ["$(touch harm)", "a*", "dev", "it's", "my env", "stacks/eks"];
    assert_eq!(offered(&world, &["plan", ""]), all);
    let (_, options) = SHELLS[0];
    let lines = [
        "bitops-compose plan $",
        "bitops-compose plan a",
        "bitops-compose plan i",
        "bitops-compose plan \"i",
    ];
    if let Some(answers) = completed(&mut world, "bash", options, &lines) {
        assert_eq!(
            answers,
            ["<\\$\\(touch\\ harm\\)>", "<a\\*>", "<it\\'s>", "<it's>"]
        );
    }
    let repo = world.context.ops_repo();
    assert!(!repo.join("harm").exists());
}

/// Whatever stands in the place of a config, of the cache or of the variables: no candidates, no message, no waiting.
#[test]
fn what_cannot_be_read_is_silent() {
    let mut world = environments();
    run(&world, &["plan", "dev"], 0);
    let root = world.context.root().to_owned();
    let repo = world.context.ops_repo();
    let fifo = |path: &std::path::Path| {
        let _ = std::fs::remove_file(path);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    std::fs::create_dir(repo.join("piped")).unwrap();
    fifo(&repo.join("piped/bitops.config.yaml"));
    std::fs::create_dir(repo.join("looped")).unwrap();
    symlink("bitops.config.yaml", repo.join("looped/bitops.config.yaml")).unwrap();
    world
        .context
        .file("broken/bitops.config.yaml", "default-environments: [\n");
    let known = ["broken", "dev", "my env", "stacks/eks"];
    assert_eq!(offered(&world, &["plan", ""]), known);
    assert_eq!(offered(&world, &["remove", "--from", "broken", "e"]), [""; 0]);
    assert_eq!(offered(&world, &["remove", "--from", "piped", "e"]), [""; 0]);
    // The cache: a fifo in the place of an address, then no directory at all.
    let cached = || offered(&world, &["search", "http"]).len();
    assert_eq!(cached(), 4);
    for entry in std::fs::read_dir(world.context.cache().join("v1")).unwrap() {
        let url = entry.unwrap().path().join("url");
        if url.exists() {
            fifo(&url);
        }
    }
    let url = format!("{}/platform", world.server.address());
    assert_eq!(offered(&world, &["add", &url, "e"]), [""; 0]);
    assert_eq!(cached(), 4, "those of the configs");
    world.context.set("BITOPS_COMPOSE_CACHE", root.join("absent"));
    assert_eq!(offered(&world, &["add", &url, "e"]), [""; 0]);
    assert!(!root.join("absent").exists());
    for (name, value) in [
        ("BITOPS_COMPOSE_TIMEOUT", "soon"),
        ("BITOPS_COMPOSE_OFFLINE", "maybe"),
        ("BITOPS_COMPOSE_LOKED", "true"),
    ] {
        world.context.set(name, value);
        assert_eq!(offered(&world, &["plan", ""]), known, "{name}");
        world.context.unset(name);
    }
    // Words that no shell gives.
    for args in [
        &["__complete"][..],
        &["__complete", "bash"],
        &["__complete", "bash", "x", "y", "z"],
        &["__complete", "fish"],
        &["__complete", "ksh", "x"],
    ] {
        assert_eq!(run(&world, args, 0).stdout, "", "{args:?}");
    }
}
