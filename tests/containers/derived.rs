//! Images made from this one, or as `docs/image.md` says: what a Dockerfile does with the operations repo's path.

use std::path::Path;

use crate::world::{DEPLOYMENT, World, world};

/// The image deploys what it brings, and what is mounted over it.
#[track_caller]
fn assert_brings(world: &World, image: &str, what: &str) {
    let run = world.engine.run(world.arguments_of(image, &[], &[]));
    let seen = world.assert_ran(run, Some("one"));
    assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{what}");
    assert_takes_a_mount(image, what);
}

#[track_caller]
fn assert_takes_a_mount(image: &str, what: &str) {
    let other = world();
    other.version("2.0.0");
    let arguments = other.arguments_of(image, &[&other.bind("", "")], &[]);
    let seen = other.assert_ran(other.engine.run(arguments), Some("two"));
    assert_eq!(seen.text("README.md"), Some("of the operations repo"), "{what}");
}

#[test]
fn the_path_is_filled_by_copy_add_and_run() {
    let world = world();
    // A repo to be cloned and an archive to be added, beside the checkout's files.
    let context = world.beside("context");
    let commands = format!(
        "cp -r '{0}' repo && cd repo && git init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm all && \
         cd .. && tar -C '{0}' -cf repo.tar .",
        world.checkout().display()
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &commands])
        .current_dir(&context)
        .status();
    assert!(status.unwrap().success());
    for lines in [
        format!("COPY repo {DEPLOYMENT}"),
        format!("COPY repo {DEPLOYMENT}/"),
        format!("COPY --chown=1000:1000 repo {DEPLOYMENT}\nUSER 1000"),
        format!("ADD repo.tar {DEPLOYMENT}"),
        format!("ADD repo {DEPLOYMENT}"),
        format!("WORKDIR {DEPLOYMENT}\nCOPY repo ."),
        format!("RUN mkdir -p {DEPLOYMENT}\nCOPY repo {DEPLOYMENT}"),
        format!("COPY repo {DEPLOYMENT}\nVOLUME {DEPLOYMENT}"),
        format!(
            "RUN mkdir -p {DEPLOYMENT}/dev\nCOPY repo/dev {DEPLOYMENT}/dev\nCOPY repo/_scripts {DEPLOYMENT}/_scripts"
        ),
        format!("COPY repo /src\nRUN cp -r /src/. {DEPLOYMENT}"),
        format!("COPY repo /src\nRUN cp -r /src/. {DEPLOYMENT}/ && rm -r /src"),
        format!("COPY repo /src\nRUN cp -a /src/* {DEPLOYMENT}/"),
        format!("COPY repo.tar /\nRUN tar -C {DEPLOYMENT} -xf /repo.tar"),
        format!("COPY repo /src\nRUN git clone /src/.git {DEPLOYMENT}"),
        format!("COPY repo /src\nRUN mkdir -p {DEPLOYMENT} && cd {DEPLOYMENT} && git clone /src/.git ."),
    ] {
        let image = world.derive(&lines, &context);
        assert_brings(&world, image.name(), &lines);
    }
}

#[test]
fn a_path_that_is_only_made_takes_a_mount() {
    let world = world();
    for lines in [
        format!("RUN mkdir -p {DEPLOYMENT}"),
        format!("VOLUME {DEPLOYMENT}"),
        format!("RUN mkdir -p {DEPLOYMENT}\nVOLUME {DEPLOYMENT}\nUSER 1000"),
        format!("RUN mkdir -p {DEPLOYMENT} && chmod 755 {DEPLOYMENT}/"),
    ] {
        let image = world.derive(&lines, &world.checkout());
        assert_takes_a_mount(image.name(), &lines);
    }
}

/// BitOps' `base` image runs these lines in the first build on top of it, and the binary comes as docs/image.md says.
#[test]
fn on_top_of_a_base_image_with_bitops_onbuild_lines() {
    let world = world();
    let base = world.beside("base");
    let pipeline = world.engine.tag(&world.image);
    let base = world.build(
        &format!(
            "FROM {}\nRUN rm -r {DEPLOYMENT} /opt/bitops-compose /usr/local/bin/bitops-compose && mkdir /opt/bitops-local-plugins\n\
             WORKDIR /opt/bitops\n\
             ONBUILD WORKDIR /opt/bitops-local-plugins\n\
             ONBUILD COPY bitops.config.yaml plugins* .\n\
             ONBUILD WORKDIR /opt/bitops\n\
             ONBUILD COPY bitops.config.yaml .\n\
             ONBUILD RUN python3 -c 'open(\"/opt/bitops/installed\", \"w\")'\n\
             ENTRYPOINT [\"python3\", \"/opt/bitops/scripts/main.py\", \"deploy\"]",
            pipeline.name()
        ),
        &base,
    );
    let own = world.beside("own");
    let list = "bitops:\n  deployments:\n    terraform: {plugin: terraform}\n";
    std::fs::write(own.join("bitops.config.yaml"), list).unwrap();
    let image = world.build(
        &format!("FROM {}\n{}", base.name(), three_lines(pipeline.name())),
        &own,
    );
    assert_takes_a_mount(image.name(), "on a base image");
    let look = [
        "--entrypoint=sh",
        image.name(),
        "-c",
        "ls /opt/bitops/installed && cat /opt/bitops/bitops.config.yaml",
    ];
    let run = world.engine.run(look).expect_code(0);
    assert!(run.stdout.ends_with(list), "{run}");
}

/// Those that docs/image.md asks for, with the image's own name.
fn three_lines(from: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/image.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, lines) = docs
        .split_once("FROM bitovi/bitops:base\n")
        .expect("the lines of docs/image.md");
    let (lines, _) = lines.split_once("```").unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    lines.replace("--from=bitops-compose", &format!("--from={from}"))
}
