//! Sums that are hostile although each of their parts is small: memory, reports and time have bounds, and every stage
//! hears SIGTERM and the deadline.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::common::{World, catalog, world};
use compose_testkit::{Catalog, RawEntry, Run, Signal, Spawned, figures, server::Fault};

/// The most memory that a run takes, in MiB.
const MOST: u64 = 300;
/// A time within which a run ends that was asked to. Machines that run many tests are slow.
const SOON: Duration = Duration::from_secs(10);

/// Runs the program and returns its result with its peak memory in MiB.
fn measured(world: &mut World, args: &[&str]) -> (Run, u64) {
    let (words, file) = figures::peak_memory(world.context.root());
    world.context.wrap(words);
    let run = world.context.run(args);
    world.context.wrap(Vec::<String>::new());
    (run, figures::mebibytes(&file))
}

/// Runs a deployment that is refused with 65, within the bounds of memory and of the report.
#[track_caller]
fn refused(world: &mut World, what: &str, lines: usize) -> Run {
    let run = bounded(world, what, 65);
    let found = run.stderr.lines().count();
    assert!(found < lines, "{what}: {found} lines");
    world.assert_nothing_left();
    run
}

/// Runs a deployment that ends with this code, within the bound of memory, and ends another one by SIGTERM.
#[track_caller]
fn bounded(world: &mut World, what: &str, code: u8) -> Run {
    let (run, peak) = measured(world, &["deploy"]);
    let run = run.expect_code(code.into());
    let time = run.duration.as_secs_f64();
    figures::record(
        25,
        format!("{what}: peak memory, time"),
        format!("{peak} MiB, {time:.1} s"),
    );
    assert!(peak < MOST, "{what}: {peak} MiB");

    let ended = world.context.spawn(["deploy"]);
    wait_for_handlers(&ended);
    let sent = Instant::now();
    // What is quick may be done by then.
    _ = ended.try_signal(Signal::TERM);
    let ended = ended.wait(SOON);
    let took = sent.elapsed().as_millis();
    assert!(
        [143, code.into()].contains(&ended.code.unwrap_or(0)),
        "{what}: {ended}"
    );
    figures::record(25, format!("{what}: SIGTERM to exit"), format!("{took} ms"));
    run
}

/// Two sources that give many keys different values.
fn disagreeing(keys: usize) -> World {
    let values = |value: &str| -> String { (0..keys).map(|key| format!("k{key}: {value}\n")).collect() };
    let world = world(&mut [
        catalog("a", "eks", "helm/x/values.yaml", &values("1")),
        catalog("b", "eks", "helm/x/values.yaml", &values("2")),
    ]);
    world.sources(&[
        "{repo: '{repo}/a', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/b', environment: eks, version: 1.0.0}",
    ]);
    world
}

fn keys() -> usize {
    if figures::full_size() { 95_000 } else { 12_000 }
}

/// A config that takes a while to be read: many values, and no sources.
fn long_config(world: &World) {
    let values = "[],".repeat(300_000);
    world.context.file(
        "dev/bitops.config.yaml",
        format!("x: [{values}]\ndefault-environments: [1]\n"),
    );
}

#[test]
fn brackets_in_the_config_are_refused() {
    let mut world = world(&mut []);
    let brackets = "[".repeat(100_000);
    world.context.file(
        "dev/bitops.config.yaml",
        format!("default-environments: {brackets}"),
    );
    let run = refused(&mut world, "100,000 brackets in the config", 20);
    assert!(run.stderr.contains("nested deeper than 480"), "{run}");
    long_config(&world);
    refused(&mut world, "a config of 300,000 values", 20);
}

#[test]
fn many_conflicts_are_counted_in_every_report() {
    let keys = keys();
    let mut world = disagreeing(keys);
    let more = format!("and {} more conflicts", keys - 100);
    let run = refused(&mut world, "conflicts", 1_500);
    assert!(run.stderr.contains(&format!("\n{more}\n")), "{run}");

    let (text, peak) = measured(&mut world, &["plan"]);
    assert!(peak < MOST, "{peak} MiB");
    assert!(text.stdout.ends_with(&format!("{more}\n")), "{text}");
    assert!(text.stdout.lines().count() < 1_500, "{text}");

    let json = world.context.run(["plan", "--format", "json"]).expect_code(65);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["conflicts"].as_array().unwrap().len(), 100);
    assert_eq!(json["more_conflicts"], keys - 100);

    let summary = world.context.root().join("summary");
    fs::write(&summary, "").unwrap();
    world
        .context
        .set("GITHUB_ACTIONS", "true")
        .set("GITHUB_STEP_SUMMARY", &summary);
    let run = world.context.run(["deploy"]).expect_code(65);
    let annotations = run.stderr.lines().filter(|line| line.starts_with("::error "));
    assert_eq!(annotations.count(), 101, "{run}");
    let page = fs::read_to_string(&summary).unwrap();
    assert!(page.len() < 200_000 && page.contains(&more), "{page}");
}

#[test]
fn many_large_files_to_merge_are_bounded_in_all() {
    // Merged files are in memory until they are written: 96 MiB of them, which is not reached in a debug build.
    let (count, lines) = if figures::full_size() {
        (200, 3_900)
    } else {
        (10, 100)
    };
    let source = |name: &str| {
        let mut source = Catalog::new(name);
        for at in 0..count {
            let values: String = (0..lines)
                .map(|line| format!("{name}{line}: {}\n", "x".repeat(1_000)))
                .collect();
            source.file(&format!("eks/helm/c{at}/values.yaml"), values);
        }
        source.tag("1.0.0");
        source
    };
    let mut world = world(&mut [source("a"), source("b")]);
    world.sources(&[
        "{repo: '{repo}/a', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/b', environment: eks, version: 1.0.0}",
    ]);
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.time_limit(Duration::from_secs(300));
    if !figures::full_size() {
        bounded(&mut world, "files to merge", 0);
        return;
    }
    let run = refused(&mut world, "200 files of 3.9 MiB to merge", 100);
    assert!(
        run.stderr
            .contains("the merged files hold more than 96 MiB in all"),
        "{run}"
    );
}

#[test]
fn aliases_of_a_remote_config_take_bounded_memory() {
    let count = if figures::full_size() { 330_000 } else { 60_000 };
    let mut source = catalog("a", "eks", "x.txt", "x");
    let aliases = "*a,".repeat(count);
    source.file(
        "eks/bitops.config.yaml",
        format!("a: &a {{x: 1}}\nb: [{aliases}]\ndefault-environments: []\n"),
    );
    source.tag("2.0.0");
    let mut world = world(&mut [source]);
    world.sources(&["{repo: '{repo}/a', environment: eks, version: 2.0.0}"]);
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    bounded(&mut world, "aliases in a remote config", 0);
}

#[test]
fn globs_and_versions_are_short_and_globs_are_bounded_in_all() {
    let mut world = world(&mut [catalog("a", "eks", "x.txt", "x")]);
    let long = "a*?b".repeat(250_000);
    let many: String = (0..20_000).map(|at| format!("'*a{at}?b', ")).collect();
    let version = ">=1.0,".repeat(150_000);
    let cases = [
        (
            format!("version: 1.0.0, exclude: ['{long}']"),
            "a glob in `exclude` has 1000000 bytes; at most 1000 are read",
        ),
        (
            format!("version: 1.0.0, include: [{many}]"),
            "the globs of the config have more than 65536 bytes in all",
        ),
        (format!("version: '{version}'"), "`version` is not usable"),
    ];
    for (keys, message) in cases {
        world.sources(&[&format!("{{repo: '{{repo}}/a', environment: eks, {keys}}}")]);
        let run = refused(&mut world, message, 40);
        assert!(run.stderr.contains(message), "{run}");
        assert!(run.stderr.len() < 4_000, "{run}");
    }
}

#[test]
fn a_lock_that_is_too_long_is_refused() {
    let mut world = world(&mut [catalog("a", "eks", "x.txt", "x")]);
    world.sources(&["{repo: '{repo}/a', environment: eks, version: 1.0.0}"]);
    let entry = |at: usize| format!("- repo: https://host/r{at}\n  environment: eks\n  version: \"1.0.0\"\n");
    let entries: String = (0..20_000).map(entry).collect();
    world.context.file(
        "dev/bitops.lock.yaml",
        format!("format: 1\nsources:\n{entries}...\n"),
    );
    refused(&mut world, "a lock of 20,000 sources", 1_500);
}

#[test]
fn what_a_run_takes_of_memory_has_a_bound_that_can_be_set() {
    // Three files that are not merged, but compared with the user's own.
    let text = "x".repeat(24 << 20);
    let mut source = Catalog::new("a");
    source.file("eks/large.txt", &text).tag("1.0.0");
    let mut world = world(&mut [source]);
    world.context.file("dev/large.txt", format!("{text}y"));
    world.sources(&["{repo: '{repo}/a', environment: eks, version: 1.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_MAX_MEMORY", (8 << 20).to_string());
    let run = world.context.run(["deploy"]).expect_code(65);
    assert!(
        run.stderr
            .contains("the run needs more than 8388608 bytes of memory")
            && run.stderr.contains("BITOPS_COMPOSE_MAX_MEMORY"),
        "{run}"
    );
    world.assert_nothing_left();
    world.context.unset("BITOPS_COMPOSE_MAX_MEMORY");
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.run(["deploy"]).expect_code(0);
}

/// An environment that names no sources, with configs below it that take a while to be read. They are looked at
/// before a pipeline starts, because their lists have no effect.
fn many_configs_below(world: &World) {
    long_config(world);
    let config = "dev/bitops.config.yaml";
    let text = fs::read(world.context.ops_repo().join(config)).unwrap();
    for at in 0..60 {
        world
            .context
            .file(&format!("dev/d{at}/bitops.config.yaml"), &text);
    }
    world.context.file(config, "bitops: {}\n");
}

#[test]
fn the_deadline_and_the_memory_hold_with_nothing_to_compose() {
    let mut world = world(&mut []);
    many_configs_below(&world);
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
    let run = world.context.run(["deploy"]);
    // A machine that is fast enough may be done in time.
    if run.code != Some(0) {
        let run = run.expect_code(75);
        assert!(run.duration < SOON, "{run}");
        assert!(run.stderr.contains("while the config was read"), "{run}");
    }
    world.context.unset("BITOPS_COMPOSE_TIMEOUT");
    world.context.set("BITOPS_COMPOSE_MAX_MEMORY", "8M");
    let run = world.context.run(["deploy"]).expect_code(65);
    assert!(
        run.stderr
            .contains("bytes of memory; they were used up while the config was read"),
        "{run}"
    );
}

/// Waits until the program has handlers, which it has before it reads anything long, or until it has ended.
fn wait_for_handlers(run: &Spawned) {
    let started = Instant::now();
    let handled = || {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        if status.is_empty() || status.contains("State:\tZ") {
            return true;
        }
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::TERM.as_raw() - 1)) != 0)
    };
    while !handled() {
        assert!(started.elapsed() < SOON, "it never watches signals");
        std::thread::yield_now();
    }
}

/// Ends a run by SIGTERM, in the stage that was waited for.
#[track_caller]
fn terminated(world: &World, what: &str, wait: impl FnOnce(&Spawned)) {
    let run = world.context.spawn(["deploy"]);
    wait(&run);
    let sent = Instant::now();
    run.signal(Signal::TERM);
    let run = run.wait(SOON).expect_code(143);
    assert!(run.stderr.contains("stopped by SIGTERM"), "{run}");
    let took = sent.elapsed();
    figures::record(
        25,
        format!("SIGTERM to exit, {what}"),
        format!("{} ms", took.as_millis()),
    );
    world.assert_nothing_left();
}

#[test]
fn sigterm_is_heard_while_a_config_is_read_and_while_files_are_composed() {
    let plain = world(&mut []);
    long_config(&plain);
    terminated(&plain, "while a config is read", wait_for_handlers);
    many_configs_below(&plain);
    terminated(&plain, "while ignored configs are looked for", wait_for_handlers);
    let mut disagreeing = disagreeing(60_000);
    // Stages are groups of the log there.
    disagreeing.context.set("GITHUB_ACTIONS", "true");
    terminated(&disagreeing, "while files are composed", |run| {
        run.wait_for_output("bitops-compose: compose", SOON);
    });
}

#[test]
fn the_deadline_holds_while_a_config_is_read_and_while_files_are_composed() {
    let mut config = world(&mut []);
    // The same work many times: each directory of the environment is looked into.
    long_config(&config);
    let text = fs::read(config.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
    for at in 0..60 {
        config
            .context
            .file(&format!("dev/d{at}/bitops.config.yaml"), &text);
    }
    let mut composed = disagreeing(95_000);
    for (world, command, stage) in [
        (&mut config, "check", "while the config was read"),
        (&mut composed, "plan", "while files were composed"),
    ] {
        world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
        let run = world.context.run([command]);
        // A machine that is fast enough may be done in time.
        if run.code == Some(65) {
            assert!(run.duration < Duration::from_millis(1500), "{run}");
            continue;
        }
        let run = run.expect_code(75);
        assert!(run.duration < SOON, "{run}");
        assert!(run.stderr.contains("not finished after 1 s"), "{run}");
        assert!(
            [stage, "resolved and fetched", "the time limit for all fetching"]
                .iter()
                .any(|stage| run.stderr.contains(stage)),
            "{run}"
        );
        figures::record(
            25,
            format!("limit of 1 s to exit, {stage}"),
            format!("{} ms", run.duration.as_millis()),
        );
        world.assert_nothing_left();
    }
}

#[test]
fn files_that_are_read_by_name_are_regular_and_bounded() {
    let mut world = world(&mut [catalog("a", "eks", "x.txt", "x")]);
    world.sources(&["{repo: '{repo}/a', environment: eks, version: 1.0.0}"]);
    world.context.set("BITOPS_COMPOSE_MAX_FILE_SIZE", "1000");
    let large = fs::File::create(world.context.ops_repo().join("dev/x.txt")).unwrap();
    large.set_len(1 << 40).unwrap();
    let run = refused(&mut world, "an own file of 1 TiB", 20);
    assert!(run.stderr.contains("it is larger than 1000 bytes"), "{run}");
    fs::remove_file(world.context.ops_repo().join("dev/x.txt")).unwrap();

    // The image's own config: its deployments are not known, and nothing is waited for.
    world.context.set("BITOPS_BUILD_CONFIG_YAML", "/dev/zero");
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    let (run, peak) = measured(&mut world, &["deploy"]);
    let run = run.expect_code(0);
    assert!(run.stderr.contains("it is not a regular file"), "{run}");
    assert!(peak < MOST, "{peak} MiB");

    // `~/.netrc` and git's configuration.
    let fifo = world.context.root().join("home/.netrc");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let config = fs::File::create(world.context.root().join("home/.gitconfig")).unwrap();
    config.set_len(1 << 40).unwrap();
    world.context.unset("GIT_CONFIG_GLOBAL");
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "20");
    let refusal = Fault::Status {
        code: 401,
        retry_after: None,
    };
    world.server.inject("a", refusal);
    world.context.run(["plan"]).expect_code(77);
}

/// Writes a pack into the repo that is its argument: a chain of objects, each the base of the next and of another one,
/// so that all bases are needed at once. Prints the entries of a tree of these objects.
const DELTAS: &str = r#"
import hashlib, struct, subprocess, sys, zlib
repo, depth, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def header(kind, n):
    out, byte = bytearray(), (kind << 4) | (n & 15)
    n >>= 4
    while n:
        out.append(byte | 128)
        byte, n = n & 127, n >> 7
    return bytes(out) + bytes([byte])
def number(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])
def name(data):
    return hashlib.sha1(b'blob %d\0' % len(data) + data).digest()
base = bytes(size)
names, entries = [name(base)], [header(3, size) + zlib.compress(base)]
for level in range(depth):
    below = names[-1]
    for other in (1, 0):
        new = b'%04d%d' % (level, other)
        rest = size - len(new)
        delta = number(size) * 2 + bytes([len(new)]) + new + b'\xff' + struct.pack('<I', 0) + struct.pack('<I', rest)[:3]
        object = new + base[:rest]
        names.append(name(object))
        entries.append(header(7, len(delta)) + below + zlib.compress(delta))
    base = object
pack = b'PACK' + struct.pack('>II', 2, len(entries)) + b''.join(entries)
pack += hashlib.sha1(pack).digest()
subprocess.run(['git', '-C', repo, 'index-pack', '--stdin'], input=pack, check=True, stdout=subprocess.DEVNULL)
for at, one in enumerate(names):
    print('100644 blob %s\tf%03d' % (one.hex(), at))
"#;

#[test]
fn small_packs_that_inflate_a_lot_take_bounded_memory() {
    let (depth, size, most) = if figures::full_size() {
        ("45", 16 << 20, 272)
    } else {
        ("40", 512 << 10, 20)
    };
    let mut world = world(&mut [catalog("a", "eks", "x.txt", "x")]);
    let repo = world.repo("a").clone();
    let made = std::process::Command::new(compose_testkit::standin::python())
        .args(["-c", DELTAS])
        .arg(repo.path())
        .args([depth, &size.to_string()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    let entries: Vec<RawEntry> = text
        .lines()
        .map(|line| {
            let (blob, name) = line.split_once('\t').unwrap();
            RawEntry::new("100644", name, blob.rsplit(' ').next().unwrap())
        })
        .collect();
    repo.tag_environment("deltas", "env", &repo.write_tree(&entries));
    world.sources(&["{repo: '{repo}/a', environment: env, ref: deltas}"]);
    let bytes: u64 = most << 20;
    world.context.set("BITOPS_COMPOSE_MAX_MEMORY", bytes.to_string());
    let run = bounded(&mut world, "deltas that inflate", 65);
    let message = format!("needs more than {bytes} bytes of memory; they were used up while sources were");
    assert!(run.stderr.contains(&message), "{run}");
    world.assert_nothing_left();
}

#[test]
fn many_files_and_deployments_take_bounded_memory() {
    let count = if figures::full_size() { 90_000 } else { 4_000 };
    let mut source = Catalog::new("a");
    for at in 0..count {
        source.file(&format!("eks/d{}/f{at}.txt", at % 100), format!("{at}\n"));
    }
    let deployments: String = (0..count)
        .map(|at| format!("    d{at}: {{plugin: terraform}}\n"))
        .collect();
    source.file(
        "eks/bitops.config.yaml",
        format!("bitops:\n  deployments:\n{deployments}"),
    );
    source.tag("1.0.0");
    let mut world = world(&mut [source]);
    world.sources(&["{repo: '{repo}/a', environment: eks, version: 1.0.0}"]);
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.time_limit(Duration::from_secs(300));
    let run = bounded(&mut world, "90,000 files and deployments", 0);
    assert!(run.stderr.lines().count() < 1_500, "{run}");
}
