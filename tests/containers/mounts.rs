//! Every way to bring an operations repo to `/opt/bitops_deployment`, and restrictions by the user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use compose_testkit::Run;
use compose_testkit::docker::Engine;

use crate::world::{DEPLOYMENT, World, in_each_engine, world};

in_each_engine![
    a_bind_mount_writable_or_not,
    another_user_and_no_capabilities,
    a_named_volume,
    only_a_subdirectory_is_mounted,
    without_a_mount_the_pipeline_has_its_own_message,
    filled_by_hand_in_a_running_container,
    a_root_that_cannot_be_written,
    something_mounted_over_the_operations_repo,
    a_github_actions_step_has_a_workspace,
];

/// Runs a container with these options and the checkout's mount. It must compose and not change the checkout.
#[track_caller]
fn assert_composes(world: &World, options: &[&str]) {
    let before = world.fingerprint();
    let seen = world.assert_ran(world.run(options), Some("one"));
    assert_eq!(
        seen.text("README.md"),
        Some("of the operations repo"),
        "{options:?}"
    );
    assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{options:?}");
    world.fingerprint().assert_same_as(&before);
}

fn a_bind_mount_writable_or_not(engine: Engine) {
    let world = world(engine);
    for mode in ["", ":ro"] {
        assert_composes(&world, &[&world.bind("", mode)]);
    }
    let mount = format!(
        "--mount=type=bind,source={},target={DEPLOYMENT}",
        world.checkout().display()
    );
    assert_composes(&world, &[&mount]);
    assert_composes(&world, &[&format!("{mount},readonly")]);
}

fn another_user_and_no_capabilities(engine: Engine) {
    let world = world(engine);
    let mount = world.bind("", "");
    assert_composes(&world, &[&mount, "--user=1000"]);
    assert_composes(&world, &[&mount, "--user=12345:6789"]);
    assert_composes(&world, &[&mount, "--cap-drop=ALL"]);
    let all = [
        &mount,
        "--user=1000",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
    ];
    assert_composes(&world, &all);
}

fn a_named_volume(engine: Engine) {
    let world = world(engine);
    let volume = world.engine.volume();
    let options = [&*format!("--volume={}:{DEPLOYMENT}", volume.name())];
    // The engine copies into the volume through a container that has it.
    let container = world.create(&options);
    let from = format!("{}/.", world.checkout().display());
    let to = format!("{}:{DEPLOYMENT}", container.name());
    world.engine.expect(["cp", &from, &to]);
    assert_composes(&world, &options);
}

fn only_a_subdirectory_is_mounted(engine: Engine) {
    let world = world(engine);
    let before = world.fingerprint();
    for options in [
        vec![world.bind("dev", "")],
        vec![world.bind("dev", ":ro")],
        vec![world.bind("dev", ""), "--user=1000".to_owned()],
        vec![world.bind("dev", ":ro"), world.bind("_scripts", "")],
    ] {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let seen = world.assert_ran(world.run(&options), Some("one"));
        assert_eq!(seen.text("README.md"), None);
        let scripts = options.iter().any(|option| option.contains("_scripts"));
        assert_eq!(seen.text("_scripts/run.sh").is_some(), scripts);
        world.fingerprint().assert_same_as(&before);
    }
}

/// In Docker only: `link.rs` copies in each engine.
#[test]
fn copied_into_a_created_container() {
    let world = world(Engine::Docker);
    let owner = fs::metadata(world.checkout()).unwrap();
    let user = format!("--user={}:{}", owner.uid(), owner.gid());
    for (options, from) in [(vec![], "/."), (vec![], ""), (vec![&*user], "/.")] {
        let container = world.create(&options);
        let from = format!("{}{from}", world.checkout().display());
        world
            .engine
            .expect(["cp", &from, &format!("{}:{DEPLOYMENT}", container.name())]);
        for _ in ["first", "again"] {
            let seen = world.assert_ran(container.start_and_wait(), Some("one"));
            assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"));
        }
    }
}

/// In Docker only: `derived.rs` has both builders.
#[test]
fn a_derived_image_brings_the_operations_repo() {
    let source = world(Engine::Docker);
    for lines in [
        format!("COPY --chown=1000:1000 . {DEPLOYMENT}\nUSER 1000"),
        format!("WORKDIR {DEPLOYMENT}\nCOPY . .\nVOLUME {DEPLOYMENT}"),
        // By the image's own programs, and as another user.
        format!("COPY . /src\nRUN mkdir -p {DEPLOYMENT} && cp -r /src/. {DEPLOYMENT}"),
        format!("COPY . /src\nUSER 1000\nRUN mkdir -p {DEPLOYMENT}/dev && cp -r /src/. {DEPLOYMENT}/"),
    ] {
        let image = source.derive(&lines, &source.checkout());
        let arguments = source.arguments_of(image.name(), &[], &[]);
        let seen = source.assert_ran(source.engine.run(arguments), Some("one"));
        assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{lines}");

        // A mount hides it.
        let other = world(Engine::Docker);
        other.version("2.0.0");
        let arguments = other.arguments_of(image.name(), &[&other.bind("", "")], &[]);
        other.assert_ran(other.engine.run(arguments), Some("two"));
    }
}

fn without_a_mount_the_pipeline_has_its_own_message(engine: Engine) {
    let world = world(engine);
    let run = world.run(&[]).expect_code(1);
    assert!(run.stderr.contains("needs to be mounted"), "{run}");
    assert!(world.pipeline().is_some());
    assert!(!run.stderr.contains("bitops-compose"), "{run}");
    // As another user, and again in the same container, which may be given one between.
    world.run(&["--user=1000"]).expect_code(1);
    let container = world.create(&[]);
    for _ in ["first", "again"] {
        let run = container.start_and_wait().expect_code(1);
        assert!(run.stderr.contains("needs to be mounted"), "{run}");
    }
    // An empty directory that cannot be removed is not an operations repo either.
    let _ = world.pipeline();
    let run = world.run(&["--read-only"]).expect_code(73);
    assert!(run.stderr.contains("there is no operations repo"), "{run}");
    assert!(world.pipeline().is_none(), "{run}");
}

/// Runs a deploy in a running container, as a job does.
fn filled_by_hand_in_a_running_container(engine: Engine) {
    let world = world(engine);
    let source = format!("--volume={}:/src:ro", world.checkout().display());
    let git = "git -c user.name=x -c user.email=x@example.org";
    let (root, anyone) = (&["--user=0"][..], &["--user=0", "--user=1000"][..]);
    for (fill, users) in [
        (
            format!("mkdir -p {DEPLOYMENT} && cp -r /src/. {DEPLOYMENT}/"),
            anyone,
        ),
        (format!("cp -r /src/. {DEPLOYMENT}"), anyone),
        (
            format!(
                "cp -r /src /tmp/repo && cd /tmp/repo && git init -q && git add -A && {git} commit -qm x && \
                 git clone -q /tmp/repo {DEPLOYMENT}"
            ),
            anyone,
        ),
        (format!("rsync -r /src/ {DEPLOYMENT}"), anyone),
        // These set the mode of the directory, which only its owner may do.
        (format!("rsync -a /src/ {DEPLOYMENT}/"), root),
        (format!("cd /src && tar cf - . | tar xf - -C {DEPLOYMENT}"), root),
    ] {
        for user in users {
            let script = format!("{fill} && exec bitops-compose deploy");
            let options = [&*source, user, "--entrypoint=sh"];
            let arguments = world.arguments(&options, &["-c", &script]);
            let seen = world.assert_ran(world.engine.run(arguments), Some("one"));
            assert_eq!(seen.text("README.md"), Some("of the operations repo"), "{fill}");
        }
    }
}

fn a_root_that_cannot_be_written(engine: Engine) {
    let world = world(engine);
    let mount = world.bind("", "");
    let before = world.fingerprint();
    let run = world.run(&["--read-only", &mount]).expect_code(73);
    assert!(run.stderr.contains("Read-only file system"), "{run}");
    let hint = "needs a writable /opt/bitops-compose; run the container without `--read-only`";
    assert!(run.stderr.contains(hint), "{run}");
    assert!(world.pipeline().is_none());
    assert_eq!(world.server.requests().len(), 0);
    world.fingerprint().assert_same_as(&before);

    // The remedy of the hint works.
    let mount_in_home = format!(
        "--volume={}:/opt/bitops-compose/mount",
        world.checkout().display()
    );
    let advised = [
        "--read-only",
        "--tmpfs=/tmp",
        "--tmpfs=/opt/bitops-compose:mode=0777",
        &mount_in_home,
    ];
    assert_composes(&world, &advised);
    assert_composes(&world, &[&advised[..], &["--user=1000"]].concat());

    // Without an explicit mode, the engine's default counts.
    let without_a_mode = advised.map(|option| option.trim_end_matches(":mode=0777"));
    assert_composes(&world, &without_a_mode);
    let as_another_user = [&without_a_mode[..], &["--user=1000"]].concat();
    if engine.makes_each_tmpfs_sticky() {
        let run = world.run(&as_another_user).expect_code(73);
        let hint =
            "/opt/bitops-compose is sticky, so only the owner of /opt/bitops-compose/active may replace it";
        assert!(run.stderr.contains(hint), "{run}");
        assert!(world.pipeline().is_none(), "{run}");
    } else {
        assert_composes(&world, &as_another_user);
    }

    // With another home it is the link that cannot be switched; a tmpfs over its directory would hide the image's own.
    let elsewhere = [
        "--read-only",
        "--tmpfs=/tmp",
        "--env=BITOPS_COMPOSE_HOME=/tmp/home",
        &*mount,
    ];
    let run = world.run(&elsewhere).expect_code(73);
    assert!(
        run.stderr.contains("cannot switch /opt/bitops-compose/active"),
        "{run}"
    );
    assert!(!run.stderr.contains("--tmpfs /opt:"), "{run}");

    // Without sources there is nothing to write.
    world
        .file("dev/bitops.config.yaml", "bitops: {}\n")
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world.assert_ran(world.run(&["--read-only", "--tmpfs=/tmp", &mount]), None);
    world.assert_ran(world.run(&advised), None);
}

fn something_mounted_over_the_operations_repo(engine: Engine) {
    let world = world(engine);
    let mount = world.bind("", "");
    let before = world.fingerprint();
    let hidden = |run: Run| {
        let run = run.expect_code(73);
        assert!(run.stderr.contains("a later mount hides it"), "{run}");
        assert!(
            run.stderr
                .contains("mount the operations repo at /opt/bitops-compose/mount"),
            "{run}"
        );
        assert!(world.pipeline().is_none(), "{run}");
    };
    // Two mounts equally deep come in any order. Whichever, a run composes or says what is wrong; the pipeline never
    // gets an empty directory.
    let volume = world.engine.volume();
    let home = format!("--volume={}:/opt/bitops-compose", volume.name());
    for options in [
        [&*home, &mount],
        [&home, &mount],
        [&home, &mount],
        [&home, &mount],
        [&home, &mount],
        [&home, &mount],
        ["--tmpfs=/opt/bitops-compose", &mount],
        ["--tmpfs=/opt/bitops-compose", &mount],
    ] {
        let run = world.run(&options);
        if run.success() {
            world.assert_ran(run, Some("one"));
        } else {
            hidden(run);
        }
        world.fingerprint().assert_same_as(&before);
    }
}

fn a_github_actions_step_has_a_workspace(engine: Engine) {
    let world = world(engine);
    let before = world.fingerprint();
    let mount = format!("--volume={}:/github/workspace", world.checkout().display());
    let options = [
        &mount,
        "--workdir=/github/workspace",
        "--env=GITHUB_ACTIONS=true",
        "--env=GITHUB_WORKSPACE=/github/workspace",
    ];
    let seen = world.assert_ran(world.run(&options), Some("one"));
    assert_eq!(seen.cwd.to_str(), Some("/opt/bitops"));
    assert_eq!(seen.text("README.md"), Some("of the operations repo"));

    let container = world.create(&options);
    for _ in ["first", "again"] {
        world.assert_ran(container.start_and_wait(), Some("one"));
    }
    world.fingerprint().assert_same_as(&before);
}
