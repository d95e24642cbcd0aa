//! Which sources there are, including sources of sources.

use compose_model::ExitCode;
use compose_sources::Pins;
use compose_testkit::Catalog;

use crate::lab::{Lab, files, left_out, sources};

/// A catalog `base`, and a catalog `app` that names it.
fn nested() -> Lab {
    let lab = Lab::new();
    let mut base = Catalog::new("base");
    base.file("net/main.tf", "# net")
        .file("net/README.md", "net")
        .executable("net/bitops.before-deploy.d/a.sh", "true")
        .tag("1.0.0");
    lab.build(&mut base);
    let mut app = Catalog::new("app");
    app.file("web/main.tf", "# web")
        .file(
            "web/bitops.config.yaml",
            lab.config(&["base, environment: net, version: 1.0.0"]),
        )
        .tag("1.0.0")
        .file("web/main.tf", "# web 2")
        .tag("1.1.0");
    lab.build(&mut app);
    lab
}

#[tokio::test]
async fn nested_sources_lie_below_the_one_that_names_them() {
    let lab = nested();
    let gathered = lab
        .gather(&["app, environment: web, version: ^1"], &Pins::default())
        .await
        .unwrap();
    assert_eq!(sources(&gathered), ["net @ 1.0.0", "web @ 1.1.0"]);
    let base = &gathered.layers.sources[0];
    assert_eq!(base.via, base.below);
    assert_eq!(gathered.layers.sources[base.via[0].0].environment.as_str(), "web");
    assert_eq!(
        files(&gathered),
        [
            "net: README.md",
            "net: bitops.before-deploy.d/a.sh",
            "net: main.tf",
            "web: bitops.config.yaml",
            "web: main.tf",
        ]
    );
    assert!(gathered.warnings.is_empty());
}

#[tokio::test]
async fn a_config_that_is_left_out_names_no_sources() {
    let lab = nested();
    let source = "app, environment: web, version: 1.0.0, exclude: [bitops.config.yaml]";
    let gathered = lab.gather(&[source], &Pins::default()).await.unwrap();
    assert_eq!(sources(&gathered), ["web @ 1.0.0"]);
    assert_eq!(left_out(&gathered), ["web: bitops.config.yaml (exclude)"]);
    assert_eq!(lab.requests("base"), 0);
}

#[tokio::test]
async fn each_file_that_is_left_out_has_the_key_that_says_so() {
    let lab = nested();
    let source = "base, environment: net, version: 1.0.0, include: ['*.tf', '*.sh'], hooks: false";
    let gathered = lab.gather(&[source], &Pins::default()).await.unwrap();
    assert_eq!(files(&gathered), ["net: main.tf"]);
    assert_eq!(
        left_out(&gathered),
        [
            "net: README.md (include)",
            "net: bitops.before-deploy.d/a.sh (hooks)"
        ]
    );
}

#[tokio::test]
async fn hooks_that_are_off_above_are_off_below() {
    let lab = nested();
    let source = "app, environment: web, version: 1.0.0, hooks: false";
    let gathered = lab.gather(&[source], &Pins::default()).await.unwrap();
    // It was fetched with its own entry's options before another entry decided.
    assert_eq!(left_out(&gathered), ["net: bitops.before-deploy.d/a.sh (hooks)"]);
}

#[tokio::test]
async fn environments_of_one_run_look_at_each_repo_once() {
    let lab = nested();
    let gatherer = lab.gatherer();
    for source in [
        "app, environment: web, version: ^1",
        "base, environment: net, version: 1.0.0",
        "app, environment: web, version: ^1.0",
    ] {
        gatherer
            .gather(lab.specs(&[source]), &Pins::default())
            .await
            .unwrap();
    }
    for catalog in ["app", "base"] {
        assert_eq!(lab.server.stats(catalog).ls_refs, 1, "{catalog}");
    }
}

#[tokio::test]
async fn every_failing_source_is_reported_in_declared_order() {
    let lab = nested();
    let refused = lab
        .refused(
            &[
                "base, environment: net, version: 3.0.0",
                "app, environment: wob, version: 1.0.0",
                "gone, environment: x, version: 1.0.0",
            ],
            &Pins::default(),
        )
        .await;
    let codes: Vec<_> = refused.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [ExitCode::Config, ExitCode::Config, ExitCode::Unreachable]);
    assert!(refused[0].1.contains("3.0.0"), "{}", refused[0].1);
    assert_eq!(refused[1].1, "http://server/app @ 1.0.0 has no environment `wob`");
}

#[tokio::test]
async fn a_repo_that_policy_refuses_is_not_contacted() {
    let mut lab = nested();
    lab.allow = vec![lab.server.url("app")];
    let refused = lab
        .refused(&["app, environment: web, version: 1.0.0"], &Pins::default())
        .await;
    assert_eq!(
        refused,
        [(
            ExitCode::Refused,
            "http://server/base is not among the repos that BITOPS_COMPOSE_ALLOW allows".to_owned()
        )]
    );
    assert_eq!(lab.requests("base"), 0);
}
