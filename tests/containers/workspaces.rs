//! CI jobs whose checkout is a volume at the CI's own path: nothing is mounted at BitOps' path.

use compose_testkit::docker::Engine;

use crate::world::{in_each_engine, world};

in_each_engine![
    the_operations_directory_of_an_application,
    a_mount_goes_before_a_checkout,
];

/// The path of each CI's checkout in its containers, and the variables that it sets.
const CIS: [(&str, &[&str]); 6] = [
    (
        "/github/workspace",
        &["GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=/github/workspace"],
    ),
    (
        "/builds/group/project",
        &["GITLAB_CI=true", "CI_PROJECT_DIR=/builds/group/project"],
    ),
    (
        "/var/jenkins/workspace/job",
        &[
            "JENKINS_URL=https://jenkins/",
            "WORKSPACE=/var/jenkins/workspace/job",
        ],
    ),
    (
        "/opt/atlassian/pipelines/agent/build",
        &[
            "BITBUCKET_BUILD_NUMBER=1",
            "BITBUCKET_CLONE_DIR=/opt/atlassian/pipelines/agent/build",
        ],
    ),
    ("/__w/1/s", &["TF_BUILD=True", "BUILD_SOURCESDIRECTORY=/__w/1/s"]),
    (
        "/root/project",
        &["CIRCLECI=true", "CIRCLE_WORKING_DIRECTORY=~/project"],
    ),
];

/// In Docker only: this volume is not mounted through a link. `ways.rs` has GitLab in both engines.
#[test]
fn every_ci_deploys_its_checkout() {
    let world = world(Engine::Docker);
    let before = world.fingerprint();
    for (place, variables) in CIS {
        let volume = format!("--volume={}:{place}", world.checkout().display());
        let workdir = format!("--workdir={place}");
        let variables: Vec<String> = variables.iter().map(|one| format!("--env={one}")).collect();
        let mut options = vec![&*volume, &*workdir];
        options.extend(variables.iter().map(String::as_str));
        let container = world.create(&options);
        for _ in ["first", "again"] {
            let seen = world.assert_ran(container.start_and_wait(), Some("one"));
            assert_eq!(seen.cwd.to_str(), Some("/opt/bitops"), "{place}");
        }
    }
    world.fingerprint().assert_same_as(&before);
}

fn the_operations_directory_of_an_application(engine: Engine) {
    let world = world(engine);
    // The checkout is the application's `operations`; the application has no such environment.
    let app = world.beside("app");
    std::fs::rename(world.checkout(), app.join("operations")).unwrap();
    let volume = format!("--volume={}:/github/workspace", app.display());
    let options = [
        &*volume,
        "--workdir=/github/workspace",
        "--env=GITHUB_ACTIONS=true",
        "--env=GITHUB_WORKSPACE=/github/workspace",
    ];
    world.assert_ran(world.run(&options), Some("one"));

    // An environment that is in neither place is an error.
    let nowhere = [&options[..], &["--env=BITOPS_ENVIRONMENT=prod"]].concat();
    let run = world.run(&nowhere).expect_code(65);
    let message = "neither /github/workspace (of GITHUB_WORKSPACE) nor /github/workspace/operations has such a directory";
    assert!(run.stderr.contains(message), "{run}");
    assert!(world.pipeline().is_none(), "{run}");
}

fn a_mount_goes_before_a_checkout(engine: Engine) {
    let world = world(engine);
    let other = world.beside("other");
    std::fs::create_dir(other.join("dev")).unwrap();
    let volume = format!("--volume={}:/github/workspace", other.display());
    let options = [
        &*world.bind("", ":ro"),
        &volume,
        "--env=GITHUB_ACTIONS=true",
        "--env=GITHUB_WORKSPACE=/github/workspace",
    ];
    world.assert_ran(world.run(&options), Some("one"));
}
