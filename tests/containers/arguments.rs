//! Arguments after the image's name.

use compose_testkit::docker::Engine;

use crate::world::{in_each_engine, world};

in_each_engine![
    a_command_is_no_deploy,
    a_gitlab_job_with_the_images_own_entrypoint,
    a_program_by_its_path_and_its_code,
];

fn a_command_is_no_deploy(engine: Engine) {
    let world = world(engine);
    let before = world.fingerprint();
    let mount = world.bind("", "");
    for words in [&["plan"][..], &["bitops-compose", "plan", "dev"]] {
        let run = world.engine.run(world.arguments(&[&mount], words)).expect_code(0);
        assert!(run.stdout.starts_with("dev: 1 source"), "{run}");
        assert!(world.pipeline().is_none(), "{run}");
    }
    let run = world
        .engine
        .run(world.arguments(&[&mount], &["check"]))
        .expect_code(0);
    assert!(run.stdout.contains("no mistakes"), "{run}");
    world.fingerprint().assert_same_as(&before);
    // A plan changes nothing for the deploy that follows in the same container.
    let options = world.arguments(
        &[&mount, "--entrypoint=sh"],
        &["-c", "bitops-compose plan && bitops-compose deploy"],
    );
    world.assert_ran(world.engine.run(options), Some("one"));
}

/// GitLab's runner starts the image with a shell that looks for the best one, and gives it the job on its standard input;
/// the job's checkout is a volume.
fn a_gitlab_job_with_the_images_own_entrypoint(engine: Engine) {
    let world = world(engine);
    let before = world.fingerprint();
    let checkout = format!("--volume={}:/builds/group/project", world.checkout().display());
    let options = [
        &checkout,
        "--interactive",
        "--workdir=/builds/group/project",
        "--env=GITLAB_CI=true",
        "--env=CI_PROJECT_DIR=/builds/group/project",
    ];
    let detect = "if [ -x /usr/local/bin/bash ]; then\n\texec /usr/local/bin/bash\nelif [ -x /bin/bash ]; then\n\texec /bin/bash\n\
                  else\n\techo shell not found\n\texit 1\nfi\n";
    let job = "set -eo pipefail\npwd\nbitops-compose plan\nbitops-compose deploy\n";
    let arguments = world.arguments(&options, &["sh", "-c", detect]);
    let quoted: Vec<String> = arguments
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    let script = format!(
        "printf '{}' | '{}' run --rm {}",
        job.replace('\n', "\\n"),
        engine.program(),
        quoted.join(" ")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(
        out.starts_with("/builds/group/project\ndev: 1 source"),
        "{out}\n{err}"
    );
    let seen = world.pipeline().unwrap_or_else(|| panic!("{out}\n{err}"));
    assert_eq!(seen.text("dev/terraform/theirs.txt"), Some("one"));
    assert_eq!(seen.cwd.to_str(), Some("/opt/bitops"));
    world.fingerprint().assert_same_as(&before);
}

fn a_program_by_its_path_and_its_code(engine: Engine) {
    let world = world(engine);
    let run = world
        .engine
        .run(world.arguments(&[], &["/bin/sh", "-c", "pwd; exit 7"]))
        .expect_code(7);
    assert_eq!(run.stdout, "/opt/bitops\n", "{run}");
    assert!(world.pipeline().is_none());
}
