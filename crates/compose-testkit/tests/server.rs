//! Stock git can clone through the server in all its modes, and the requests are counted.

use std::path::Path;
use std::time::{Duration, Instant};

use compose_testkit::server::{ANY, Protocol, RequestKind};
use compose_testkit::{Catalog, GitServer, git};

use crate::world::World;

fn world() -> World {
    let mut catalog = Catalog::new("kubernetes");
    catalog
        .padding(8, 3)
        .tag("1.0.0")
        .file("eks/main.tf", "two")
        .tag("1.1.0");
    World::start(&mut catalog)
}

impl World {
    fn clone_to(&self, name: &str, args: &[&str]) -> std::path::PathBuf {
        let target = self.root.path().join(name);
        let url = self.server.url("kubernetes");
        git::run(
            self.root.path(),
            ["clone", "--quiet", "-c", "advice.detachedHead=false"]
                .into_iter()
                .chain(args.iter().copied())
                .chain([url.as_str(), target.to_str().unwrap()]),
        );
        target
    }
}

fn head(directory: &Path) -> String {
    git::run(directory, ["rev-parse", "HEAD"])
}

#[test]
fn a_clone_is_complete_and_counted() {
    let world = world();
    let clone = world.clone_to("whole", &[]);
    assert_eq!(head(&clone), world.repo.commit("main"));
    assert_eq!(std::fs::read_to_string(clone.join("eks/main.tf")).unwrap(), "two");

    let stats = world.server.stats("kubernetes");
    assert_eq!(
        (stats.connections, stats.info_refs, stats.ls_refs, stats.fetches),
        (1, 1, 1, 1),
        "{stats:?}"
    );
    assert_eq!(stats.requests(), 3);
    let pack = std::fs::read_dir(clone.join(".git/objects/pack")).unwrap();
    let pack: u64 = pack
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pack"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(
        (pack..pack + 4_000).contains(&stats.bytes_sent),
        "{pack} bytes of pack in {stats:?}"
    );
    assert!((300..3_000).contains(&stats.bytes_received), "{stats:?}");
    assert_eq!(world.server.stats("other").requests(), 0);
    assert_eq!(world.server.stats(ANY), stats);

    let kinds: Vec<RequestKind> = world.server.requests().iter().map(|seen| seen.kind).collect();
    assert_eq!(
        kinds,
        [RequestKind::InfoRefs, RequestKind::LsRefs, RequestKind::Fetch]
    );
    world.server.clear_requests();
    assert_eq!(world.server.stats(ANY).requests(), 0);
}

#[test]
fn a_shallow_clone_of_a_tag_has_one_commit() {
    let world = world();
    let clone = world.clone_to("shallow", &["--depth", "1", "-b", "1.0.0"]);
    assert_eq!(head(&clone), world.repo.commit("1.0.0"));
    assert_eq!(git::run(&clone, ["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn a_filtered_clone_has_no_blobs() {
    let world = world();
    let clone = world.clone_to("blobless", &["--filter=blob:none", "--no-checkout"]);
    let missing = git::run(&clone, ["rev-list", "--objects", "--missing=print", "HEAD"]);
    assert_eq!(
        missing.lines().filter(|line| line.starts_with('?')).count(),
        25,
        "{missing}"
    );
    assert!(
        world
            .server
            .requests()
            .iter()
            .any(|seen| seen.body_text().contains("filter blob:none"))
    );
}

#[test]
fn a_capability_can_be_hidden() {
    let world = world();
    world.server.hide_capability("kubernetes", "filter");
    let clone = world.clone_to("unfiltered", &["--filter=blob:none", "--no-checkout"]);
    let missing = git::run(&clone, ["rev-list", "--objects", "--missing=print", "HEAD"]);
    assert_eq!(
        missing.lines().filter(|line| line.starts_with('?')).count(),
        0,
        "{missing}"
    );
}

#[test]
fn old_protocol_versions_can_be_forced() {
    let world = world();
    for (protocol, name) in [(Protocol::V0, "v0"), (Protocol::V1, "v1")] {
        world.server.clear_requests();
        world.server.set_protocol("kubernetes", protocol);
        let clone = world.clone_to(name, &["--depth", "1"]);
        assert_eq!(head(&clone), world.repo.commit("main"));
        let stats = world.server.stats("kubernetes");
        assert_eq!((stats.info_refs, stats.ls_refs), (1, 0), "{name}: {stats:?}");
        assert!(stats.fetches >= 1, "{name}: {stats:?}");
    }
}

#[test]
fn a_compressed_request_is_decompressed() {
    let root = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::new("many");
    for number in 0..40 {
        catalog
            .file("version", number.to_string())
            .tag(&format!("1.0.{number}"));
    }
    let repo = catalog.build(root.path());
    let server = GitServer::start(root.path());
    // git compresses requests of protocol v0 over 1,024 bytes; these have 40 wants.
    server.set_protocol("many", Protocol::V0);
    git::run(
        root.path(),
        ["clone", "--quiet", "--bare", &server.url("many"), "clone"],
    );
    assert_eq!(
        git::run(&root.path().join("clone"), ["rev-parse", "1.0.39"]),
        repo.commit("1.0.39")
    );
    let seen = server
        .requests()
        .into_iter()
        .find(|seen| seen.kind == RequestKind::Fetch)
        .unwrap();
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    assert!(
        seen.body_text()
            .contains(&format!("want {}", repo.commit("1.0.7")))
    );
    assert!(seen.bytes_received < seen.body.len() as u64);
}

#[test]
fn credentials_are_required_and_recorded() {
    let world = world();
    world.server.require_credentials("kubernetes", "user", "secret");
    let url = world.server.url("kubernetes");
    let refused = git::command(world.root.path())
        .args(["ls-remote", &url])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let url = url.replace("http://", "http://user:secret@");
    let listed = git::run(world.root.path(), ["ls-remote", &url, "refs/tags/1.0.0"]);
    assert_eq!(listed, format!("{}\trefs/tags/1.0.0", world.repo.commit("1.0.0")));
    let credentials: Vec<_> = world
        .server
        .requests()
        .iter()
        .map(|seen| seen.authorization().map(str::to_owned))
        .collect();
    let basic = Some("Basic dXNlcjpzZWNyZXQ=".to_owned());
    assert_eq!(credentials, [None, None, basic.clone(), basic]);
}

#[test]
fn settings_for_any_repo_apply_unless_a_repo_has_its_own() {
    let world = world();
    world.server.require_credentials(ANY, "user", "secret");
    world.server.hide_capability("kubernetes", "filter");
    world.server.set_protocol(ANY, Protocol::V0);
    let url = world.server.url("kubernetes");
    assert!(
        !git::command(world.root.path())
            .args(["ls-remote", &url])
            .status()
            .unwrap()
            .success()
    );
    world
        .server
        .require_credentials("kubernetes", "other", "password");
    let url = url.replace("http://", "http://other:password@");
    git::run(world.root.path(), ["ls-remote", &url]);
    assert_eq!(world.server.stats("kubernetes").ls_refs, 0);
}

#[test]
fn an_unknown_repo_is_not_found() {
    let world = world();
    let url = world.server.url("nothing");
    let output = git::command(world.root.path())
        .args(["ls-remote", &url])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("not found"),
        "{output:?}"
    );
    assert_eq!(world.server.requests()[0].status, Some(404));
}

#[test]
fn latency_is_added_per_round_trip() {
    let world = world();
    let latency = Duration::from_millis(150);
    world.server.set_latency(latency);
    let start = Instant::now();
    world.clone_to("slow", &["--depth", "1"]);
    // The round trips are the connection, the handshake, the refs and the pack.
    assert!(start.elapsed() >= latency * 4, "{:?}", start.elapsed());
}

#[test]
fn connections_are_served_at_the_same_time() {
    let world = world();
    world.server.set_latency(Duration::from_secs(3_600));
    let clients: Vec<_> = (0..8)
        .map(|_| std::net::TcpStream::connect(world.server.socket_address()).unwrap())
        .collect();
    world.server.set_latency(Duration::ZERO);
    // None of the eight connections has been answered, and the server serves a ninth.
    world.clone_to("ninth", &[]);
    // Dropping the server does not wait for the eight.
    drop(world);
    drop(clients);
}
