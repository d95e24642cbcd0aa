//! `ref`: every kind of name that it takes, over every transport, from the plan to an update.

use compose_testkit::{Catalog, Repo, Sshd, server::Protocol};

use crate::common::{World, world};

const FILE: &str = "eks/terraform/main.txt";

/// A catalog `c` on `main`, with a tag and a second branch. The other refs of hosting services point to a commit
/// of `work`, which is no longer a branch.
fn hosted(configure: impl FnOnce(&mut Catalog)) -> World {
    let mut c = Catalog::new("c");
    c.file(FILE, "main\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n");
    c.annotated_tag("1.0.0").branch("work").file(FILE, "pull\n");
    c.commit("pull").file(FILE, "later\n").commit("later");
    configure(&mut c);
    let world = world(&mut [c]);
    let repo = world.repo("c");
    for name in OTHERS {
        repo.set_ref(name, &repo.id("refs/heads/work~1"));
    }
    repo.set_ref("refs/hidden/later", &repo.id("refs/heads/work"));
    repo.git(["update-ref", "-d", "refs/heads/work"]);
    world
}

const OTHERS: [&str; 4] = [
    "refs/pull/7/head",
    "refs/pull/7/merge",
    "refs/merge-requests/3/head",
    "refs/changes/34/1234/1",
];

/// The id of the annotated tag itself.
fn tag_object(repo: &Repo) -> String {
    repo.id("refs/tags/1.0.0")
}

fn entry(address: &str, name: &str) -> String {
    format!("{{repo: '{address}', environment: eks, ref: {name}}}")
}

fn json(world: &World, arguments: &[&str]) -> serde_json::Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    let run = world.context.run(arguments).expect_code(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

fn deployed(world: &World) -> String {
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    seen.text("dev/terraform/main.txt").unwrap().trim_end().to_owned()
}

fn lock(world: &World) -> String {
    let path = world.context.ops_repo().join("dev/bitops.lock.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// Plans, deploys, locks and deploys again without a network.
fn works(world: &mut World, address: &str, name: &str, resolved: &str, content: &str) {
    _ = std::fs::remove_dir_all(world.context.cache());
    _ = std::fs::remove_file(world.context.ops_repo().join("dev/bitops.lock.yaml"));
    world.sources(&[&entry(address, name)]);
    let source = &json(world, &["plan"])["sources"][0];
    assert_eq!(source["resolved"], resolved, "{address} {name}");
    assert_eq!(deployed(world), content, "{address} {name}");
    world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
    assert_eq!(deployed(world), content, "{address} {name}");
    world.context.unset("BITOPS_COMPOSE_OFFLINE");
    let locked = json(world, &["lock"]);
    assert_eq!(locked["sources"][0]["resolved"], resolved);
    let text = lock(world);
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    world.context.run(["check"]).expect_code(0);
    world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
    assert_eq!(deployed(world), content, "{address} {name}");
    world.context.unset("BITOPS_COMPOSE_OFFLINE");
    // The lock alone leads to the same files.
    _ = std::fs::remove_dir_all(world.context.cache());
    assert_eq!(deployed(world), content, "{address} {name}");
    world.context.unset("BITOPS_COMPOSE_LOCKED");
    let outdated = json(world, &["outdated"]);
    assert_eq!(outdated["sources"][0]["outdated"], false, "{outdated}");
    world.context.run(["lock"]).expect_code(0);
    assert_eq!(lock(world), text, "{address} {name}");
}

fn all_work(world: &mut World, address: &str) {
    let repo = world.repo("c");
    let (tag, commit) = (tag_object(repo), repo.commit("1.0.0"));
    for name in OTHERS {
        works(world, address, name, name, "pull");
    }
    works(world, address, "HEAD", "main", "main");
    works(world, address, "main", "main", "main");
    works(world, address, "refs/heads/main", "main", "main");
    works(world, address, "refs/tags/1.0.0", "1.0.0", "main");
    works(world, address, &tag, &commit, "main");
    works(world, address, &commit, &commit, "main");
}

/// As [`all_work`], for transports that differ in how refs are listed and objects requested, but not in names.
fn one_of_each_kind_works(world: &mut World, address: &str) {
    let repo = world.repo("c");
    let (tag, commit) = (tag_object(repo), repo.commit("1.0.0"));
    works(world, address, OTHERS[0], OTHERS[0], "pull");
    works(world, address, "HEAD", "main", "main");
    works(world, address, "refs/tags/1.0.0", "1.0.0", "main");
    works(world, address, &tag, &commit, "main");
}

#[test]
fn every_kind_of_ref_works_over_http() {
    let mut world = hosted(|_| {});
    let address = world.server.url("c");
    all_work(&mut world, &address);
}

#[test]
fn every_kind_of_ref_works_with_the_first_protocol() {
    // Commits that are no tip of a ref are not served.
    let mut world = hosted(|c| {
        c.config("uploadpack.allowAnySHA1InWant", "false")
            .config("uploadpack.allowFilter", "false");
    });
    world.server.set_protocol("c", Protocol::V0);
    let address = world.server.url("c");
    one_of_each_kind_works(&mut world, &address);
}

#[test]
fn every_kind_of_ref_works_from_the_disk() {
    let mut world = hosted(|_| {});
    let address = format!("file://{}", world.path("c").display());
    one_of_each_kind_works(&mut world, &address);
}

#[test]
fn every_kind_of_ref_works_over_ssh() {
    let mut world = hosted(|_| {});
    let dir = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&dir.path().join("ssh"));
    let bin = sshd.client(&format!("{}{}", sshd.known(), sshd.identity()));
    let path = std::env::var("PATH").unwrap();
    world.context.set("PATH", format!("{}:{path}", bin.display()));
    let address = sshd.url(&world.path("c"));
    one_of_each_kind_works(&mut world, &address);
}

#[test]
fn the_lock_names_what_the_ref_does_not() {
    let mut world = hosted(|_| {});
    let address = world.server.url("c");
    let repo = world.repo("c");
    let (tag, commit) = (tag_object(repo), repo.commit("1.0.0"));
    let pull = repo.id("refs/pull/7/head");
    for (name, lines) in [
        (
            "HEAD",
            format!("  ref: \"HEAD\"\n  branch: \"main\"\n  commit: \"{commit}\"\n"),
        ),
        (
            "refs/pull/7/head",
            format!("  ref: \"refs/pull/7/head\"\n  commit: \"{pull}\"\n"),
        ),
        (
            tag.as_str(),
            format!("  ref: \"{tag}\"\n  commit: \"{commit}\"\n"),
        ),
    ] {
        world.sources(&[&entry(&address, name)]);
        world.context.run(["lock"]).expect_code(0);
        assert!(lock(&world).contains(&lines), "{}", lock(&world));
        assert_eq!(
            lock(&world).contains(&format!("  tag-object: \"{tag}\"\n")),
            name == tag
        );
    }
    // A lock that claims another commit for the id of a tag object is not believed without that object.
    let edited = lock(&world).replace(&format!("  tag-object: \"{tag}\"\n"), "");
    world.context.file("dev/bitops.lock.yaml", edited);
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let run = world.context.run(["deploy"]).expect_code(65);
    assert!(run.stderr.contains("the lock is not usable"), "{run}");
    world.assert_nothing_left();
}

#[test]
fn a_pull_request_that_was_pushed_to_is_outdated_until_an_update() {
    let world = hosted(|_| {});
    world.sources(&[&entry(&world.server.url("c"), "refs/pull/7/head")]);
    world.context.run(["lock"]).expect_code(0);
    let repo = world.repo("c");
    repo.set_ref("refs/pull/7/head", &repo.id("refs/hidden/later"));
    assert_eq!(deployed(&world), "pull", "the lock keeps to the commit");
    let run = world.context.run(["outdated", "--check"]).expect_code(1);
    assert!(run.stdout.contains("ref went from"), "{run}");
    world.context.run(["update"]).expect_code(0);
    assert_eq!(deployed(&world), "later");
    world.context.run(["outdated", "--check"]).expect_code(0);
    // A request that was closed: what is locked still deploys, a plan without the lock says why not.
    repo.git(["update-ref", "-d", "refs/pull/7/head"]);
    let run = world.context.run(["outdated", "--check"]).expect_code(1);
    assert!(run.stdout.contains("deleted"), "{run}");
    assert_eq!(deployed(&world), "later");
    let run = world.context.run(["update"]).expect_code(65);
    let expected = "there is no ref `refs/pull/7/head`";
    assert!(run.stderr.contains(expected), "{run}");
    let hint = "hint: the only ref beside it is `refs/pull/7/merge`";
    assert!(run.stderr.contains(hint), "{run}");
}

#[test]
fn head_follows_the_default_branch_of_the_remote() {
    let world = hosted(|_| {});
    world.sources(&[&entry(&world.server.url("c"), "HEAD")]);
    world.context.run(["lock"]).expect_code(0);
    let repo = world.repo("c");
    repo.set_ref("refs/heads/trunk", &repo.id("refs/hidden/later"));
    repo.git(["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    assert_eq!(deployed(&world), "main", "the lock keeps to the commit");
    let run = world.context.run(["outdated", "--check"]).expect_code(1);
    assert!(run.stdout.contains("the default branch is `trunk`"), "{run}");
    world.context.run(["update"]).expect_code(0);
    assert!(lock(&world).contains("  branch: \"trunk\"\n"));
    assert_eq!(deployed(&world), "later");
    // A `HEAD` that stands for no branch, and one for a branch that does not exist.
    repo.git(["update-ref", "--no-deref", "HEAD", "refs/heads/main"]);
    world.context.run(["update"]).expect_code(0);
    assert!(!lock(&world).contains("branch:"), "{}", lock(&world));
    assert_eq!(deployed(&world), "main");
    repo.git(["symbolic-ref", "HEAD", "refs/heads/gone"]);
    let run = world.context.run(["update"]).expect_code(65);
    assert!(run.stderr.contains("there is no default branch `HEAD`"), "{run}");
    assert!(
        run.stderr.contains("hint: the branches are `main`, `trunk`"),
        "{run}"
    );
}

#[test]
fn a_missing_branch_lists_those_that_there_are() {
    let world = hosted(|_| {});
    let address = world.server.url("c");
    let hint = |name: &str| {
        world.sources(&[&entry(&address, name)]);
        let run = world.context.run(["plan"]).expect_code(65);
        let hint = run.stderr.lines().find_map(|line| line.split_once("hint: "));
        hint.unwrap_or_else(|| panic!("{run}")).1.to_owned()
    };
    assert_eq!(
        hint("master"),
        "did you mean `main`? The only branch is `main` (the default branch)"
    );
    assert_eq!(
        hint("pull/7/head"),
        "did you mean `refs/pull/7/head`? The only branch is `main` (the default branch)"
    );
    let repo = world.repo("c");
    for n in 0..30 {
        repo.set_ref(&format!("refs/heads/feature/{n}"), &repo.id("refs/heads/main"));
    }
    let told = hint("feature/4x");
    assert!(
        told.starts_with("did you mean `feature/4` or"),
        "nearest first: {told}"
    );
    assert!(told.ends_with(" and 21 more"), "bounded: {told}");
    repo.git(["branch", "-m", "main", "master"]);
    assert!(hint("main").starts_with("did you mean `master`"));
}

/// Returns the marked part of each line that a message shows.
fn marked(run: &compose_testkit::Run) -> Vec<String> {
    let lines: Vec<&str> = run.stderr.lines().collect();
    let shown = lines
        .windows(2)
        .filter(|pair| pair[1].trim_start().starts_with("| ") && pair[1].ends_with('^'));
    shown
        .map(|pair| {
            let (from, to) = (pair[1].find('^').unwrap(), pair[1].len());
            pair[0].chars().skip(from).take(to - from).collect()
        })
        .collect()
}

/// Every wrong value is marked, and not the entry that it is in.
#[test]
fn what_the_repo_does_not_have_is_marked() {
    let absent = "1".repeat(40);
    let world = hosted(|c| {
        c.file("web/x.txt", "x").tag("2.0.0");
    });
    let address = world.server.url("c");
    let good = format!("{{repo: '{address}', environment: web, version: 2.0.0}}");
    for (request, wrong) in [
        (format!("environment: eks, ref: {absent}"), &[absent.as_str()][..]),
        ("environment: eks, ref: none".to_owned(), &["none"]),
        (
            "environment: eks, ref: refs/pull/99/head".to_owned(),
            &["refs/pull/99/head"],
        ),
        ("environment: eks, version: 9.9.9".to_owned(), &["9.9.9"]),
        ("environment: eks, version: '^9'".to_owned(), &["'^9'"]),
        ("environment: eks, version: 1.0".to_owned(), &["1.0"]),
        ("environment: none, version: 1.0.0".to_owned(), &["none"]),
        ("environment: none, ref: main".to_owned(), &["none"]),
        (
            "environment: eks, version: 1.0.0, default-folder: _a, shared: [_b, web, _c]".to_owned(),
            &["_a", "_b", "web", "_c"],
        ),
    ] {
        let entry = format!("{{repo: '{address}', {request}}}");
        // A good entry of the same repo changes nothing.
        for entries in [&[entry.as_str()][..], &[&good, &entry]] {
            world.sources(entries);
            for command in ["plan", "lock", "deploy"] {
                let run = world.context.run([command]).expect_code(65);
                assert_eq!(marked(&run), wrong, "{command}: {run}");
            }
        }
    }
}

#[test]
fn ids_of_other_objects_are_refused() {
    let world = hosted(|_| {});
    let repo = world.repo("c");
    let tree = repo.id("refs/heads/main^{tree}");
    let of_tree = repo.write_tag("of-tree", "tree", &tree);
    let chain = repo.write_tag("chain", "tag", &tag_object(repo));
    for (id, message) in [
        (tree.clone(), format!("{tree} is a tree, not a commit")),
        (
            of_tree.clone(),
            format!("{of_tree} is a tag of a tree, not a commit"),
        ),
    ] {
        world.sources(&[&entry(&world.server.url("c"), &id)]);
        let run = world.context.run(["plan"]).expect_code(65);
        assert!(run.stderr.contains(&message), "{run}");
        assert_eq!(marked(&run), [id]);
    }
    world.sources(&[&entry(&world.server.url("c"), &chain)]);
    let plan = json(&world, &["plan"]);
    assert_eq!(plan["sources"][0]["commit"], repo.commit("1.0.0"));
}

#[test]
fn a_source_that_asks_for_a_ref_of_its_own_gets_it() {
    let mut world = hosted(|_| {});
    let mut outer = Catalog::new("outer");
    let list = world.config(&[&entry(&world.server.url("c"), "refs/pull/7/head")]);
    outer.file("web/bitops.config.yaml", list).tag("1.0.0");
    world.publish(outer);
    world.sources(&["{repo: '{repo}/outer', environment: web, version: 1.0.0}"]);
    assert_eq!(deployed(&world), "pull");
}
