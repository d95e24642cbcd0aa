//! Images made from this one, or as `docs/image.md` says: what a Dockerfile does with the operations repo's path.

use std::path::{Path, PathBuf};
use std::process::Command;

use compose_testkit::docker::Engine;

use crate::world::{DEPLOYMENT, World, in_each_engine, world};

in_each_engine![
    the_path_is_filled_by_copy_and_add,
    the_path_is_filled_by_commands,
    a_path_that_is_only_made_takes_a_mount,
    on_top_of_a_base_image_with_bitops_onbuild_lines,
];

/// Asserts that the image deploys its own repo, and one that is mounted over it.
#[track_caller]
fn assert_brings(world: &World, image: &str, what: &str) {
    let run = world.engine.run(world.arguments_of(image, &[], &[]));
    let seen = world.assert_ran(run, Some("one"));
    assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{what}");
    assert_takes_a_mount(world.engine, image, what);
}

#[track_caller]
fn assert_takes_a_mount(engine: Engine, image: &str, what: &str) {
    let other = world(engine);
    other.version("2.0.0");
    let arguments = other.arguments_of(image, &[&other.bind("", "")], &[]);
    let seen = other.assert_ran(other.engine.run(arguments), Some("two"));
    assert_eq!(seen.text("README.md"), Some("of the operations repo"), "{what}");
}

/// Prepares a build context: the checkout, a repo to be cloned, and an archive.
fn context(world: &World) -> PathBuf {
    let context = world.beside("context");
    let commands = format!(
        "cp -r '{0}' repo && cd repo && git init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm all && \
         cd .. && tar -C '{0}' -cf repo.tar .",
        world.checkout().display()
    );
    let status = Command::new("sh")
        .args(["-c", &commands])
        .current_dir(&context)
        .status();
    assert!(status.unwrap().success());
    context
}

fn the_path_is_filled_by_copy_and_add(engine: Engine) {
    let world = world(engine);
    let context = context(&world);
    for lines in [
        format!("COPY repo {DEPLOYMENT}"),
        format!("COPY --chown=1000:1000 repo {DEPLOYMENT}/\nUSER 1000"),
        format!("ADD repo.tar {DEPLOYMENT}"),
        format!("WORKDIR {DEPLOYMENT}\nCOPY repo ."),
        format!("RUN mkdir -p {DEPLOYMENT}\nCOPY repo {DEPLOYMENT}\nVOLUME {DEPLOYMENT}"),
    ] {
        let image = world.derive(&lines, &context);
        assert_brings(&world, image.name(), &lines);
    }
}

fn the_path_is_filled_by_commands(engine: Engine) {
    let world = world(engine);
    let context = context(&world);
    let made = "COPY repo /src\nCOPY repo.tar /\nRUN ";
    for command in [
        format!("cp -r /src/. {DEPLOYMENT}"),
        format!("mkdir -p {DEPLOYMENT} && cp -a /src/* {DEPLOYMENT}/"),
        format!("tar -C {DEPLOYMENT} -xf /repo.tar"),
        format!("git clone /src/.git {DEPLOYMENT}"),
        format!("cd {DEPLOYMENT} && git clone /src/.git ."),
    ] {
        let image = world.derive(&format!("{made}{command}"), &context);
        let run = world.engine.run(world.arguments_of(image.name(), &[], &[]));
        let seen = world.assert_ran(run, Some("one"));
        assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{command}");
    }
}

fn a_path_that_is_only_made_takes_a_mount(engine: Engine) {
    let world = world(engine);
    for lines in [
        format!("RUN mkdir -p {DEPLOYMENT}"),
        format!("VOLUME {DEPLOYMENT}"),
        format!("RUN mkdir -p {DEPLOYMENT}\nVOLUME {DEPLOYMENT}\nUSER 1000"),
        format!("RUN mkdir -p {DEPLOYMENT} && chmod 755 {DEPLOYMENT}/"),
    ] {
        let image = world.derive(&lines, &world.checkout());
        assert_takes_a_mount(world.engine, image.name(), &lines);
    }
}

/// BitOps' `base` image runs these lines in the first build on top of it, and the binary comes as docs/image.md says.
fn on_top_of_a_base_image_with_bitops_onbuild_lines(engine: Engine) {
    let world = world(engine);
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
    assert_takes_a_mount(world.engine, image.name(), "on a base image");
    let look = [
        "--entrypoint=sh",
        image.name(),
        "-c",
        "ls /opt/bitops/installed && cat /opt/bitops/bitops.config.yaml",
    ];
    let run = world.engine.run(look).expect_code(0);
    assert!(run.stdout.ends_with(list), "{run}");
}

/// The lines from docs/image.md, with the name of the image under test.
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

#[test]
fn the_image_is_labelled_and_its_base_can_be_pinned() {
    let world = world(Engine::Docker);
    let labels = world.engine.expect([
        "image",
        "inspect",
        "--format={{json .Config.Labels}}",
        &world.image,
    ]);
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    let label = |name: &str| {
        labels[format!("org.opencontainers.image.{name}")]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(label("title").as_deref(), Some("bitops-compose"), "{labels}");
    assert_eq!(label("version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(label("licenses").as_deref(), Some(env!("CARGO_PKG_LICENSE")));
    assert_eq!(label("source").as_deref(), Some(env!("CARGO_PKG_REPOSITORY")));
    assert!(
        label("base.name").is_some_and(|base| base.starts_with("bitops-compose-test/")),
        "{labels}"
    );
    // Both Dockerfiles make the same image.
    let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
    let last_stage = |name: &str| {
        let text = std::fs::read_to_string(docker.join(name)).unwrap();
        let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
        stage
            .lines()
            .filter(|line| !line.starts_with("COPY"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(last_stage("Dockerfile"), last_stage("Dockerfile.prebuilt"));

    // The digest is part of what is asked for: nothing here has this one. There is no binary in the context, so that either ends; a
    // base that was found is one on which the builder went on to copy it.
    let digest = format!("sha256:{}", "0".repeat(64));
    let (base, empty) = (world.engine.tag(&world.image), world.beside("empty"));
    for (digest, is_found) in [("", true), (&*digest, false)] {
        let arguments = [
            "build".to_owned(),
            format!("--build-arg=BITOPS_IMAGE={}", base.name()),
            format!("--build-arg=BITOPS_DIGEST={digest}"),
            format!("--file={}", docker.join("Dockerfile.prebuilt").display()),
            empty.display().to_string(),
        ];
        let run = world.engine.call(arguments);
        assert!(!run.success(), "{run}");
        assert_eq!(run.to_string().contains("COPY bitops-compose"), is_found, "{run}");
    }
}

/// The file gives the Dockerfile only arguments that this one has. It is read here, as there is no buildx everywhere.
#[test]
fn the_file_for_several_platforms_fits_the_dockerfile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bake = std::fs::read_to_string(root.join("docker/docker-bake.hcl")).unwrap();
    let dockerfile = std::fs::read_to_string(root.join("docker/Dockerfile")).unwrap();
    assert!(bake.contains("dockerfile = \"docker/Dockerfile\""), "{bake}");
    let (_, args) = bake.split_once("args = {").unwrap();
    let (args, _) = args.split_once('}').unwrap();
    let mut names = args
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.trim()))
        .peekable();
    assert!(names.peek().is_some());
    for name in names {
        assert!(bake.contains(&format!("variable \"{name}\"")), "{name}");
        let declared = dockerfile.lines().any(|line| {
            line.strip_prefix("ARG ")
                .is_some_and(|arg| arg.split('=').next() == Some(name))
        });
        assert!(declared, "{name} is no argument of docker/Dockerfile");
    }
}

/// What buildx makes of the file, and an image by BuildKit for this platform: with the binary of the image under test, as compiling
/// is not the file's part.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn buildx_bakes_the_file_for_several_platforms() {
    let world = world(Engine::Docker);
    if !world.engine.call(["buildx", "version"]).success() {
        eprintln!("skipped: docker has no buildx here");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bake = |arguments: &[&str]| {
        let file = root.join("docker/docker-bake.hcl");
        let words = ["buildx", "bake", "--file", file.to_str().unwrap()];
        world.engine.expect(words.iter().chain(arguments))
    };
    let printed = bake(&["--print"]);
    let json: serde_json::Value = serde_json::from_str(&printed[printed.find('{').unwrap()..]).unwrap();
    let image = &json["target"]["image"];
    assert_eq!(
        image["platforms"],
        serde_json::json!(["linux/amd64", "linux/arm64"])
    );
    assert_eq!(image["dockerfile"], "docker/Dockerfile");
    assert_eq!(json["group"]["default"]["targets"], serde_json::json!(["image"]));

    let (base, context) = (world.engine.tag(&world.image), world.beside("context"));
    let container = world.create(&[]);
    let from = format!("{}:/usr/local/bin/bitops-compose", container.name());
    world.engine.expect(["cp", &from, context.to_str().unwrap()]);
    let baked = format!("{}-baked", base.name());
    bake(&[
        "--load",
        &format!("--set=image.tags={baked}"),
        "--set=image.platform=",
        &format!("--set=image.context={}", context.display()),
        &format!(
            "--set=image.dockerfile={}",
            root.join("docker/Dockerfile.prebuilt").display()
        ),
        &format!("--set=image.args.BITOPS_IMAGE={}", base.name()),
        "--set=image.args.BITOPS_COMPOSE_COMMIT=abc",
    ]);
    let label = "--format={{index .Config.Labels \"org.opencontainers.image.revision\"}}";
    assert_eq!(world.engine.expect(["image", "inspect", label, &baked]), "abc");
    world.engine.expect(["image", "rm", &baked]);
}
