//! The static binary in an image that holds nothing which a dynamic program could be linked to, as BitOps' Alpine
//! image holds no glibc: names, TLS, and the programs that it starts.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use compose_testkit::docker::Engine;
use compose_testkit::server::Authority;
use compose_testkit::{Catalog, GitServer, Run};

use crate::world::{World, required};

/// A checkout for an image without a pipeline: in its place the file from the catalog is shown.
fn world(serve: impl FnOnce(&std::path::Path) -> GitServer) -> World {
    let mut catalog = Catalog::new("c");
    catalog.file("eks/theirs.txt", "from the catalog").tag("1.0.0");
    World::new(
        Engine::Docker,
        &required("BITOPS_COMPOSE_TEST_NOGLIBC_IMAGE"),
        &mut [catalog],
        serve,
    )
}

const SHOW: &str = "--env=BITOPS_COMPOSE_PIPELINE=cat /opt/bitops_deployment/dev/theirs.txt";

fn run(world: &World, options: &[&str]) -> Run {
    let mount = world.bind("", ":ro");
    world.run(&[&[SHOW, &mount], options].concat())
}

#[track_caller]
fn assert_composes(world: &World, options: &[&str]) {
    let before = world.fingerprint();
    let run = run(world, options).expect_code(0);
    assert_eq!(run.stdout, "from the catalog", "{run}");
    world.fingerprint().assert_same_as(&before);
}

#[test]
fn the_image_has_no_library() {
    let world = world(GitServer::start);
    let find = "--entrypoint=find";
    let options = world.arguments(
        &[find],
        &["/", "-xdev", "-name", "*.so*", "!", "-path", "/private/*"],
    );
    let run = world.engine.run(options).expect_code(0);
    assert_eq!(run.stdout, "", "{run}");
}

#[test]
fn over_http() {
    let world = world(GitServer::start);
    world.source(&world.server.url("c"));
    assert_composes(&world, &[]);
    assert_composes(&world, &["--user=1000"]);
}

#[test]
fn a_name_is_resolved() {
    let world = world(GitServer::start);
    let port = world.server.socket_address().port();
    world.source(&format!("http://catalogs.test:{port}/c"));
    assert_composes(&world, &["--add-host=catalogs.test:127.0.0.1"]);
}

#[test]
fn over_https_by_a_private_authority() {
    let authority = Authority::new();
    let world = world(|root| GitServer::start_tls(root, &authority.identity()));
    authority.write(&world.out());
    world.source(&world.server.url("c"));
    assert_composes(&world, &["--env=SSL_CERT_FILE=/out/ca.pem"]);
    let untrusted = run(&world, &[]);
    assert!(!untrusted.success() && untrusted.stdout.is_empty(), "{untrusted}");
}

#[test]
fn catalogs_on_disk_through_git() {
    let world = world(GitServer::start);
    let catalogs = format!("--volume={}:/catalogs:ro", world.catalogs().display());
    world.source("file:///catalogs/c.git");
    assert_composes(&world, &[&catalogs]);
    // As root in a container often is: not the owner.
    let owner = fs::metadata(world.catalogs()).unwrap().uid();
    assert_composes(&world, &[&catalogs, &format!("--user={}", owner + 1000)]);
}

#[test]
fn over_ssh() {
    let world = world(GitServer::start);
    // Replaces ssh: records its arguments and answers from the disk.
    let stub = world.out().join("ssh");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > /out/arguments\nenv > /out/environment\nexec git-upload-pack /catalogs/c.git\n";
    fs::write(&stub, script).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    world.source("git@git.example.com:org/c");
    let options = [
        format!("--volume={}:/catalogs:ro", world.catalogs().display()),
        format!("--volume={}:/usr/local/bin/ssh:ro", stub.display()),
        "--env=SSH_AUTH_SOCK=/agent".to_owned(),
        "--env=AWS_SECRET_ACCESS_KEY=secret".to_owned(),
        "--env=BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE_COM=secret".to_owned(),
    ];
    assert_composes(&world, &options.each_ref().map(String::as_str));

    let arguments = fs::read_to_string(world.out().join("arguments")).unwrap();
    assert!(arguments.contains("BatchMode=yes"), "{arguments}");
    assert!(
        arguments.ends_with("--\ngit@git.example.com\ngit-upload-pack 'org/c'\n"),
        "{arguments}"
    );
    let environment = fs::read_to_string(world.out().join("environment")).unwrap();
    assert!(environment.contains("SSH_AUTH_SOCK=/agent\n"), "{environment}");
    assert!(environment.contains("GIT_PROTOCOL=version=2\n"), "{environment}");
    assert!(!environment.contains("secret"), "{environment}");
}
