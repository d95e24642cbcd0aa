//! What people's hooks do, run by the bare pipeline on a repo that was merged by hand, and by the image on the local files and
//! a source. Every difference stands in docs/differences.md, and everything that stands there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use compose_testkit::docker::Engine;
use compose_testkit::{Catalog, GitServer, Run, git};

use crate::real_bitops;
use crate::world::{World, image, in_each_engine};

in_each_engine![hooks_do_what_they_do_with_the_bare_pipeline_but_for_what_is_listed,];

/// Files that the local environment and the source have. Both `settings.json` are mappings, so they are merged.
const LOCAL: &[(&str, &str, u32)] = &[
    (".gitignore", "*.log\n.terraform/\n*.retry\n", 0o644),
    ("README.md", "of the operations repo\n", 0o644),
    ("_scripts/run.sh", "echo mine\n", 0o755),
    ("prod/terraform/p.tf", "# of prod\n", 0o644),
    ("prod/terraform/bitops.config.yaml", "terraform: {}\n", 0o644),
    ("dev/mine.txt", "mine\n", 0o644),
    ("dev/edited.txt", "mine\n", 0o644),
    ("dev/appended.txt", "mine\n", 0o640),
    ("dev/emptied.txt", "mine\n", 0o644),
    ("dev/replaced.txt", "mine\n", 0o600),
    ("dev/touched", "mine\n", 0o644),
    ("dev/to-move/file", "moved\n", 0o644),
    ("dev/to-remove/file", "removed\n", 0o644),
    ("dev/modes/file", "mode\n", 0o644),
    ("dev/owned/file", "owner\n", 0o644),
    (
        "dev/terraform/main.tf",
        "resource \"terraform_data\" \"mine\" {}\n",
        0o644,
    ),
    ("dev/terraform/mine.txt", "mine\n", 0o644),
    ("dev/terraform/both/mine.txt", "mine\n", 0o644),
    ("dev/terraform/tool.sh", "echo mine\n", 0o750),
    ("dev/terraform/secret.json", "{\"key\": \"mine\"}\n", 0o600),
    (
        "dev/terraform/settings.json",
        "{\n  \"size\": 1,\n  \"mine\": true\n}\n",
        0o600,
    ),
    (
        "dev/terraform/overwritten.json",
        "{\n  \"mine\": true\n}\n",
        0o644,
    ),
    (
        "dev/terraform/bitops.config.yaml",
        "terraform:\n  cli:\n    stack-action: apply\n",
        0o644,
    ),
    (
        "dev/terraform/bitops.before-deploy.d/20-before.sh",
        include_str!("differential/before.sh"),
        0o755,
    ),
    (
        "dev/terraform/bitops.after-deploy.d/20-after.sh",
        include_str!("differential/after.sh"),
        0o644,
    ),
];
const SOURCE: &[(&str, &str, u32)] = &[
    (
        "dev/terraform/theirs.tf",
        "resource \"terraform_data\" \"theirs\" {}\n",
        0o644,
    ),
    ("dev/terraform/theirs.txt", "theirs\n", 0o644),
    ("dev/terraform/files/theirs.txt", "theirs\n", 0o644),
    ("dev/terraform/both/theirs.txt", "theirs\n", 0o644),
    ("dev/terraform/theirs.sh", "echo theirs\n", 0o755),
    (
        "dev/terraform/bitops.before-deploy.d/10-theirs.sh",
        "echo theirs\n",
        0o755,
    ),
    (
        "dev/terraform/settings.json",
        "{\n  \"size\": 3,\n  \"theirs\": true\n}\n",
        0o644,
    ),
    (
        "dev/terraform/overwritten.json",
        "{\n  \"theirs\": true\n}\n",
        0o644,
    ),
    ("dev/terraform/mine.txt", "theirs\n", 0o644),
];
/// How a person merges the files that both have. The local file's mode is kept.
const BY_HAND: &[(&str, &str)] = &[
    (
        "dev/terraform/settings.json",
        "{\n  \"size\": 1,\n  \"theirs\": true,\n  \"mine\": true\n}\n",
    ),
    (
        "dev/terraform/overwritten.json",
        "{\n  \"theirs\": true,\n  \"mine\": true\n}\n",
    ),
    ("dev/terraform/mine.txt", "mine\n"),
];
const LINKS: &[(&str, &str)] = &[("dev/terraform-b", "terraform"), ("dev/readme", "../README.md")];

fn hooks_do_what_they_do_with_the_bare_pipeline_but_for_what_is_listed(engine: Engine) {
    let (composed, bare) = pair(engine, &image(engine));
    compare(composed, bare);
}

#[test]
fn hooks_do_what_they_do_with_bare_bitops_but_for_what_is_listed() {
    let Some(image) = real_bitops::image() else { return };
    let (composed, bare) = pair(Engine::Docker, image.name());
    compare(composed, bare);
}

/// Returns the image with the local files, and the bare pipeline with files that a person has merged.
fn pair(engine: Engine, image: &str) -> (World, World) {
    let mut catalog = Catalog::new("c");
    for (path, text, mode) in SOURCE {
        let path = path.replacen("dev", "eks", 1);
        if mode & 0o100 == 0 {
            catalog.file(&path, text);
        } else {
            catalog.executable(&path, text);
        }
    }
    catalog.tag("1.0.0");
    let composed = World::new(engine, image, &mut [catalog], GitServer::start);
    let mut bare = World::new(engine, image, &mut [], GitServer::start);
    let without = composed.bare();
    without.name().clone_into(&mut bare.image);
    bare.keep(without);

    composed.version("1.0.0");
    let config = fs::read_to_string(composed.checkout().join("dev/bitops.config.yaml")).unwrap();
    bare.file("dev/bitops.config.yaml", &config);
    for world in [&composed, &bare] {
        write(world, LOCAL);
        for (path, target) in LINKS {
            symlink(target, world.checkout().join(path)).unwrap();
        }
    }
    let new: Vec<_> = SOURCE
        .iter()
        .filter(|(path, ..)| BY_HAND.iter().all(|(merged, _)| merged != path))
        .copied()
        .collect();
    write(&bare, &new);
    for (path, text) in BY_HAND {
        bare.file(path, text);
    }
    for world in [&composed, &bare] {
        make_repo(world);
    }
    (composed, bare)
}

fn write(world: &World, files: &[(&str, &str, u32)]) {
    for (path, text, mode) in files {
        world.file(path, text);
        let path = world.checkout().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
    }
}

/// Commits the checkout, tags it, and puts a remote with one commit more beside it. All times are the same.
fn make_repo(world: &World) {
    let (checkout, remote) = (world.checkout(), world.out().join("remote.git"));
    let run = |arguments: &[&str]| git::run(&checkout, arguments);
    run(&["init", "--quiet", "--initial-branch=main"]);
    run(&["add", "--all"]);
    run(&["commit", "--quiet", "--message=the first"]);
    run(&["tag", "v1"]);
    run(&["clone", "--quiet", "--bare", ".", remote.to_str().unwrap()]);
    let other = world.out().join("other");
    run(&[
        "clone",
        "--quiet",
        remote.to_str().unwrap(),
        other.to_str().unwrap(),
    ]);
    fs::write(other.join("README.md"), "of the remote\n").unwrap();
    git::run(&other, ["commit", "--quiet", "--all", "--message=of the remote"]);
    git::run(&other, ["push", "--quiet", "origin", "main"]);
    let touch = Command::new("find")
        .arg(&checkout)
        .args([
            "-exec",
            "touch",
            "--no-dereference",
            "--date=2025-01-01 00:00:00 UTC",
            "{}",
            "+",
        ])
        .status()
        .unwrap();
    assert!(touch.success());
}

/// Runs both, and compares the differences of their output and their files with the list.
fn compare(composed: World, bare: World) {
    let [ours, theirs] = [&composed, &bare].map(|world| {
        let before = State::of(world);
        let run = world
            .run(&[&world.bind("", ""), "--env=PYTHONUNBUFFERED=1"])
            .expect_code(0);
        (before, State::of(world), run)
    });
    let mut differences = Vec::new();
    let (mut said, expected) = (actions(&ours.2), actions(&theirs.2));
    assert!(
        expected.len() > 80 && expected.contains_key("after-write"),
        "{}",
        theirs.2
    );
    for (action, expected) in expected {
        let said = said
            .remove(&action)
            .unwrap_or_else(|| panic!("{action} is missing\n{}", ours.2));
        if said != expected {
            differences.push((action, format!("----- bare\n{expected}----- composed\n{said}")));
        }
    }
    assert!(said.is_empty(), "{said:?}");

    // The image cannot know the files that only the merged repo had before.
    let only_merged = |path: &str| theirs.0.0.contains_key(path) && !ours.0.0.contains_key(path);
    let changes =
        |of: &(State, State, Run), other: &(State, State, Run)| of.0.changes(&of.1, &other.0, only_merged);
    let (ours, theirs) = (changes(&ours, &theirs), changes(&theirs, &ours));
    assert!(theirs.len() > 20, "{theirs:?}");
    if ours != theirs {
        let shown = |label: &str, one: &BTreeSet<String>, other: &BTreeSet<String>| -> String {
            one.difference(other)
                .map(|change| format!("{label}: {change}\n"))
                .collect()
        };
        let all = shown("bare only", &theirs, &ours) + &shown("composed only", &ours, &theirs);
        differences.push(("the checkout afterwards".to_owned(), all));
    }
    assert_listed(&differences);
}

/// Returns the output under each name, without text that differs from run to run.
fn actions(run: &Run) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    let mut name = "the pipeline";
    for line in run.stdout.lines() {
        if let Some(next) = line.strip_prefix("=== ") {
            name = next;
            sections.entry(name.to_owned()).or_insert_with(String::new);
        } else if name != "the pipeline" {
            let section = sections.get_mut(name).expect("the section was made above");
            section.push_str(&without_commits(line));
            section.push('\n');
        }
    }
    sections.remove("the pipeline");
    sections
}

/// Replaces commit ids, which differ between two repos.
fn without_commits(line: &str) -> String {
    let is_commit =
        |word: &str| (7..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words: Vec<&str> = line
        .split(' ')
        .map(|word| if is_commit(word) { "COMMIT" } else { word })
        .collect();
    words.join(" ")
}

/// The paths of a checkout except git's own, each with its kind, mode, owner and lines.
struct State(BTreeMap<String, (String, Vec<String>)>);

impl State {
    fn of(world: &World) -> Self {
        let mut state = Self(BTreeMap::new());
        state.visit(&world.checkout(), "");
        state
    }

    fn visit(&mut self, directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            let metadata = path.symlink_metadata().unwrap();
            let mut lines = Vec::new();
            if metadata.is_symlink() {
                lines.push(fs::read_link(&path).unwrap().display().to_string());
            } else if metadata.is_file() {
                lines.extend(
                    fs::read_to_string(&path)
                        .unwrap_or_default()
                        .lines()
                        .map(str::to_owned),
                );
            } else if name != ".git" {
                self.visit(&path, &format!("{name}/"));
            }
            let kind = format!("{:o} {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
            self.0.insert(name, (kind, lines));
        }
    }

    /// What has changed on the way to a later state. Of the lines that are gone, only those are
    /// listed that `other` had as well, because a merged file had other lines before.
    fn changes(&self, after: &Self, other: &Self, left_out: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let others =
            |path: &String, line: &String| other.0.get(path).is_some_and(|(_, lines)| lines.contains(line));
        let paths = self.0.keys().chain(after.0.keys()).filter(|path| !left_out(path));
        paths
            .filter_map(|path| {
                let change = match (self.0.get(path), after.0.get(path)) {
                    (Some(before), Some(after)) if before == after => return None,
                    (Some(before), Some(after)) => {
                        let gone: Vec<_> = before
                            .1
                            .iter()
                            .filter(|line| !after.1.contains(line) && others(path, line))
                            .collect();
                        let new: Vec<_> = after.1.iter().filter(|line| !before.1.contains(line)).collect();
                        format!("{} -> {}, -{gone:?} +{new:?}", before.0, after.0)
                    }
                    (None, after) => format!("added {after:?}"),
                    (_, None) => "removed".to_owned(),
                };
                Some(format!("{path}: {change}"))
            })
            .collect()
    }
}

/// Asserts that the differences are those in the first column of the tables in docs/differences.md.
fn assert_listed(differences: &[(String, String)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/differences.md");
    let page = fs::read_to_string(page).unwrap();
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    let found: BTreeSet<&str> = differences.iter().map(|(name, _)| name.as_str()).collect();
    let new: Vec<String> = differences
        .iter()
        .filter(|(name, _)| !listed.contains(name.as_str()))
        .map(|(name, shown)| format!("=== {name}\n{shown}"))
        .collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in docs/differences.md:\n{}\nin docs/differences.md, but no difference: {gone:?}",
        new.join("\n")
    );
}
