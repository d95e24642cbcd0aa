//! Hostile trees, seen from outside: each is refused with its path, and nothing of it reaches the machine.

use std::fs;

use crate::common::{World, catalog, world};
use compose_testkit::{RawEntry, Repo, figures};

/// The state that no case may change: the user's repo, the home, and the rest of the program's world.
#[track_caller]
fn refused(world: &World, tag: &str) -> String {
    world.sources(&[&format!("{{repo: '{{repo}}/c', environment: env, ref: {tag}}}")]);
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]);
    // The server's git detects an empty name and sends nothing.
    let code = if tag == "empty" { 69 } else { 65 };
    let run = run.expect_code(code);
    assert!(
        world.context.pipeline().is_none(),
        "{tag}: the pipeline was started\n{run}"
    );
    world.assert_nothing_left();
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    let mut names: Vec<String> = fs::read_dir(world.context.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "peak-memory")
        .collect();
    names.sort();
    assert_eq!(names, ["cache", "home", "opt", "tmp"], "{tag}: something escaped");
    for empty in ["home", "tmp"] {
        let left = fs::read_dir(world.context.root().join(empty)).unwrap().count();
        assert_eq!(left, 0, "{tag}: something was left in {empty}");
    }
    assert!(
        !run.stderr
            .contains(['\u{1b}', '\u{7f}', '\u{202e}', '\u{9b}', '\u{200b}', '\u{e0041}']),
        "{tag}: {:?}",
        run.stderr
    );
    run.stderr
}

fn hostile() -> World {
    world(&mut [catalog("c", "eks", "x.txt", "x")])
}

/// Mode, name and id.
type Entry<'a> = (&'a str, &'a [u8], &'a str);

/// Tags a tree with these entries below `env`.
fn tagged(repo: &Repo, tag: &str, entries: &[Entry<'_>]) {
    let entries: Vec<RawEntry> = entries
        .iter()
        .map(|(mode, name, id)| RawEntry::new(mode, name, id))
        .collect();
    repo.tag_environment(tag, "env", &repo.write_tree(&entries));
}

#[test]
fn every_hostile_entry_is_refused_and_nothing_escapes() {
    let world = hostile();
    let repo = world.repo("c");
    let blob = repo.write_blob("x");
    let dir = repo.write_tree(&[RawEntry::new("100644", "x", &blob)]);
    let [up, absolute, git, loops] = ["../../../../../../tmp/x", "/etc/passwd", ".git/config", "self"]
        .map(|target| repo.write_blob(target));
    let long = vec![b'x'; 256];
    let ignorable = ".g\u{200c}it".as_bytes();
    let cases: Vec<(&str, Vec<Entry<'_>>)> = vec![
        ("dot", vec![("100644", b".", &blob)]),
        ("dotdot", vec![("100644", b"..", &blob)]),
        ("dotdot-dir", vec![("40000", b"..", &dir)]),
        ("empty", vec![("100644", b"", &blob)]),
        ("slash", vec![("100644", b"../../x", &blob)]),
        ("absolute-name", vec![("100644", b"/tmp/x", &blob)]),
        ("backslash", vec![("100644", b"..\\x", &blob)]),
        ("git", vec![("40000", b".git", &dir)]),
        ("git-case", vec![("40000", b".GIT", &dir)]),
        ("git-dot", vec![("40000", b".git.", &dir)]),
        ("git-space", vec![("40000", b".git ", &dir)]),
        ("git-stream", vec![("40000", b".git::$INDEX_ALLOCATION", &dir)]),
        ("git-short", vec![("40000", b"GIT~1", &dir)]),
        ("git-hfs", vec![("40000", ignorable, &dir)]),
        ("twice", vec![("100644", b"a", &blob), ("100644", b"a", &blob)]),
        ("link-and-dir", vec![("120000", b"a", &up), ("40000", b"a", &dir)]),
        ("unsorted", vec![("100644", b"b", &blob), ("100644", b"a", &blob)]),
        (
            "case",
            vec![("100644", b"README", &blob), ("100644", b"readme", &blob)],
        ),
        (
            "unicode",
            vec![
                ("100644", "e\u{301}".as_bytes(), &blob),
                ("100644", "\u{e9}".as_bytes(), &blob),
            ],
        ),
        ("newline", vec![("100644", b"a\nb", &blob)]),
        ("escape", vec![("100644", b"a\x1b[2Jb", &blob)]),
        ("delete", vec![("100644", b"a\x7fb", &blob)]),
        ("c1", vec![("100644", "a\u{9b}b".as_bytes(), &blob)]),
        ("bidi", vec![("100644", "a\u{202e}b".as_bytes(), &blob)]),
        ("zero-width", vec![("100644", "a\u{200b}b".as_bytes(), &blob)]),
        ("tag-character", vec![("100644", "a\u{e0041}b".as_bytes(), &blob)]),
        ("long", vec![("100644", &long, &blob)]),
        ("not-utf8", vec![("100644", b"\xff\xfe", &blob)]),
        ("device", vec![("20000", b"sda", &blob)]),
        ("fifo", vec![("10644", b"pipe", &blob)]),
        ("up", vec![("120000", b"link", &up)]),
        ("absolute", vec![("120000", b"link", &absolute)]),
        ("into-git", vec![("120000", b"link", &git)]),
        ("loop", vec![("120000", b"self", &loops)]),
        ("through", vec![("100644", b"a/../../x", &blob)]),
    ];
    for (tag, entries) in &cases {
        tagged(repo, tag, entries);
        let said = refused(&world, tag);
        assert!(
            *tag == "empty" || said.contains(&format!("/c @ {tag}: env")),
            "{tag}: repo, ref and path\n{said}"
        );
    }
    figures::record(
        1,
        "hostile entries of trees refused (rows 1 to 5, 7, 8)",
        format!("{0}/{0}", cases.len()),
    );
    figures::record(1, "escapes: files outside of cache and home after each", 0);
}

/// Deploys a tag that is refused with at most this many MiB of memory, and returns the output.
#[track_caller]
fn refused_within(world: &mut World, tag: &str, most: u64) -> String {
    let (words, file) = figures::peak_memory(world.context.root());
    world.context.wrap(words);
    let said = refused(world, tag);
    within(&file, tag, most);
    said
}

#[track_caller]
fn within(file: &std::path::Path, what: &str, most: u64) {
    let peak = figures::mebibytes(file);
    figures::record(6, format!("peak memory, {what}"), format!("{peak} MiB"));
    assert!(peak < most, "{what}: {peak} MiB");
}

#[test]
fn trees_that_explode_and_blobs_that_inflate_take_little_memory() {
    let mut world = hostile();
    // A debug build takes long to count to 100,000, so the default here is a smaller bound.
    let (files, megabytes) = if figures::full_size() {
        (100_000, 300)
    } else {
        (2_000, 6)
    };
    if !figures::full_size() {
        world
            .context
            .set("BITOPS_COMPOSE_MAX_FILES", files.to_string())
            .set("BITOPS_COMPOSE_MAX_FILE_SIZE", (4 << 20).to_string())
            .set("BITOPS_COMPOSE_MAX_TOTAL_SIZE", (10 << 20).to_string());
    }
    world.context.time_limit(std::time::Duration::from_secs(300));
    let repo = world.repo("c").clone();
    let blob = repo.write_blob("x");

    let ten = |mode: &str, id: &str| -> Vec<RawEntry> {
        (0..10)
            .map(|at| RawEntry::new(mode, format!("n{at}"), id))
            .collect()
    };
    let mut id = repo.write_tree(&ten("100644", &blob));
    for _ in 0..19 {
        id = repo.write_tree(&ten("40000", &id));
    }
    repo.tag_environment("of-10-to-the-20-files", "env", &id);
    let said = refused_within(&mut world, "of-10-to-the-20-files", 300);
    assert!(said.contains("BITOPS_COMPOSE_MAX_FILES"), "{said}");

    let mut id = repo.write_tree(&[RawEntry::new("100644", "x", &blob)]);
    for _ in 0..600 {
        id = repo.write_tree(&[RawEntry::new("40000", "d", &id)]);
    }
    repo.tag_environment("of-depth-600", "env", &id);
    let said = refused_within(&mut world, "of-depth-600", 300);
    assert!(said.contains("too deep"), "{said}");

    let wide: Vec<RawEntry> = (0..files * 3)
        .map(|at| RawEntry::new("100644", format!("f{at:07}"), &blob))
        .collect();
    repo.tag_environment("of-one-wide-directory", "env", &repo.write_tree(&wide));
    let said = refused_within(&mut world, "of-one-wide-directory", 300);
    assert!(said.contains("BITOPS_COMPOSE_MAX_FILES"), "{said}");

    let zeros = repo.write_blob(vec![0; megabytes << 20]);
    repo.tag_environment(
        "of-zeros",
        "env",
        &repo.write_tree(&[RawEntry::new("100644", "z", &zeros)]),
    );
    // The blob is refused while it is received, so it is never in memory as a whole.
    let said = refused_within(&mut world, "of-zeros", 64);
    assert!(said.contains("BITOPS_COMPOSE_MAX_FILE_SIZE"), "{said}");

    let part = repo.write_blob(vec![0; (megabytes / 2) << 20]);
    let parts: Vec<RawEntry> = (0..8)
        .map(|at| RawEntry::new("100644", format!("z{at}"), &part))
        .collect();
    repo.tag_environment("of-the-same-zeros-often", "env", &repo.write_tree(&parts));
    let said = refused_within(&mut world, "of-the-same-zeros-often", 300);
    assert!(said.contains("BITOPS_COMPOSE_MAX_TOTAL_SIZE"), "{said}");
}

#[test]
fn a_large_file_is_in_memory_once() {
    let mut world = hostile();
    // glibc keeps what was freed, for the thread that had it, unless it was over 32 MiB; that would count as a second copy.
    let megabytes: u64 = if figures::full_size() { 250 } else { 34 };
    world.context.time_limit(std::time::Duration::from_secs(300));
    let repo = world.repo("c").clone();
    let large = repo.write_blob(vec![0; usize::try_from(megabytes << 20).unwrap()]);
    repo.tag_environment(
        "large",
        "env",
        &repo.write_tree(&[RawEntry::new("100644", "large", &large)]),
    );
    world.sources(&["{repo: '{repo}/c', environment: env, ref: large}"]);
    let (words, file) = figures::peak_memory(world.context.root());
    // The memory of the pipeline, which reads it too, does not count.
    world.context.wrap(words).set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.run(["deploy"]).expect_code(0);
    within(
        &file,
        &format!("a file of {megabytes} MiB that is deployed"),
        megabytes + 45,
    );
}

#[test]
fn all_bad_symlinks_are_reported_and_their_remedies_work() {
    let mut bad = catalog("c", "env", "x.txt", "x");
    bad.symlink("env/terraform/main.tf", "/etc/passwd")
        .symlink("env/odd [name]!", "nowhere")
        .symlink("env/out", "../../x");
    bad.tag("2.0.0");
    let world = world(&mut [bad]);
    let entry =
        |excluded: &str| format!("{{repo: '{{repo}}/c', environment: env, version: 2.0.0, {excluded}}}");
    world.sources(&[&entry("exclude: []")]);
    let run = world.context.run(["plan"]).expect_code(65);
    insta::assert_snapshot!(run.to_string());
    let globs: Vec<&str> = run
        .stderr
        .lines()
        .filter_map(|line| {
            line.split_once("exclude: [")?
                .1
                .split_once("] in the source's entry")
        })
        .map(|(glob, _)| glob)
        .collect();
    assert_eq!(globs.len(), 3);
    world.sources(&[&entry(&format!("exclude: [{}]", globs.join(", ")))]);
    world.context.run(["plan"]).expect_code(0);
}

/// The linked config is not fetched then, which is the tree's fault and not the cache's.
#[test]
fn a_hostile_entry_beside_a_linked_config_is_refused_as_any_other() {
    let world = hostile();
    let repo = world.repo("c");
    let blob = repo.write_blob("x");
    let config = repo.write_blob("bitops:\n  deployments: {}\n");
    let link = repo.write_blob("../shared/config.yaml");
    let shared = repo.write_tree(&[RawEntry::new("100644", "config.yaml", &config)]);
    let environment = repo.write_tree(&[
        RawEntry::new("100644", "a\x1bb", &blob),
        RawEntry::new("120000", "bitops.config.yaml", &link),
    ]);
    let root = repo.write_tree(&[
        RawEntry::new("40000", "env", &environment),
        RawEntry::new("40000", "shared", &shared),
    ]);
    repo.tag_tree("linked", &root);
    let said = refused(&world, "linked");
    assert!(said.contains("/c @ linked: env/a\\u{1b}b"), "{said}");
    assert!(!said.contains("run again"), "{said}");
}
