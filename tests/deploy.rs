//! The whole way from an environment's config to a running pipeline.

use std::{collections::BTreeSet, fs, time::Duration};

use crate::common::{catalog, six_sources, world};
use compose_testkit::{
    Catalog, example,
    server::{Fault, RequestKind, Rule},
};

#[test]
fn six_sources_become_one_environment_and_the_checkout_is_untouched() {
    let world = six_sources();
    world
        .context
        .file("dev/README.md", "mine")
        .file("prod/terraform/main.tf", "# another environment\n");
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    for path in [
        "dev/terraform/main.tf",
        "dev/helm/prometheus/Chart.yaml",
        "dev/helm/grafana/Chart.yaml",
        "dev/helm/ingress-nginx/Chart.yaml",
        "dev/helm/istio/Chart.yaml",
        "dev/helm/stackstorm/Chart.yaml",
        "dev/README.md",
        "prod/terraform/main.tf",
    ] {
        assert!(seen.text(path).is_some(), "{path} is missing\n{run}");
    }
    assert!(
        seen.text("dev/helm/prometheus/Chart.yaml")
            .unwrap()
            .contains("version: 1.2.0")
    );
    assert!(
        seen.text("dev/helm/grafana/Chart.yaml")
            .unwrap()
            .contains("version: 1.1.0")
    );
    world.context.ops_repo_fingerprint().assert_same_as(&before);
}

#[test]
fn each_repo_is_contacted_over_one_connection() {
    let world = six_sources();
    world.context.run(["deploy"]).expect_code(0);
    let mut handshakes = 0;
    for repo in &world.repos {
        let stats = world.server.stats(repo.name());
        assert_eq!(
            (stats.info_refs, stats.ls_refs, stats.fetches),
            (1, 1, 2),
            "{}",
            repo.name()
        );
        handshakes += stats.info_refs;
    }
    assert_eq!(handshakes, 5);
}

#[test]
fn the_other_examples_deploy() {
    for (name, path) in [
        ("five-sources", "dev/helm/istio/Chart.yaml"),
        ("ha-vm-aws", "dev/ansible/playbook.yaml"),
    ] {
        let world = world(&mut example::catalogs());
        world.context.file(
            "dev/bitops.config.yaml",
            example::config(name, &world.server.address()),
        );
        let run = world.context.run(["deploy"]).expect_code(0);
        assert!(
            world.context.pipeline().unwrap().text(path).is_some(),
            "{name}\n{run}"
        );
    }
}

#[test]
fn branches_tags_and_commits_are_refs_and_a_leading_v_is_optional() {
    let mut catalog = Catalog::new("c");
    catalog
        .file("a/a.txt", "one")
        .file("b/b.txt", "one")
        .file("c/c.txt", "one")
        .file("d/d.txt", "one")
        .annotated_tag("v1.0.0");
    catalog
        .file("a/a.txt", "two")
        .file("b/b.txt", "two")
        .branch("next");
    let world = world(&mut [catalog]);
    let commit = world.repos[0].commit("v1.0.0");
    world.sources(&[
        "{repo: '{repo}/c', environment: a, ref: next}",
        "{repo: '{repo}/c', environment: b, ref: v1.0.0}",
        &format!("{{repo: '{{repo}}/c', environment: c, ref: {commit}}}"),
        "{repo: '{repo}/c', environment: d, version: 1.0.0}",
    ]);
    let run = world.context.run(["deploy"]);
    let seen = world.context.pipeline().unwrap_or_else(|| panic!("{run}"));
    let texts = ["a", "b", "c", "d"].map(|name| seen.text(&format!("dev/{name}.txt")));
    assert_eq!(texts, [Some("two"), Some("one"), Some("one"), Some("one")]);
}

#[test]
fn the_local_environment_wins_and_bits_and_links_survive() {
    let mut catalog = Catalog::new("c");
    catalog
        .file("eks/terraform/notes.txt", "theirs")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .executable("eks/terraform/bitops.before-deploy.d/run.sh", "echo hook ran\n")
        .file("_shared/common.txt", "shared bytes")
        .symlink("eks/terraform/common.txt", "../../_shared/common.txt")
        .tag("1.0.0");
    let world = world(&mut [catalog]);
    world
        .context
        .file("dev/terraform/notes.txt", "mine")
        .symlink("dev/terraform/own", "notes.txt");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let run = world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(seen.text("dev/terraform/notes.txt"), Some("mine"));
    assert_eq!(seen.text("dev/terraform/own"), Some("mine"));
    assert_eq!(seen.text("dev/terraform/common.txt"), Some("shared bytes"));
    let hook = &seen.ops_repo["dev/terraform/bitops.before-deploy.d/run.sh"];
    assert_eq!(hook.mode.as_deref(), Some("0755"));
    assert!(run.stdout.contains("hook ran"), "{run}");
}

#[test]
fn catalogs_on_disk_need_no_server() {
    let world = world(&mut [
        catalog("c", "eks", "terraform/x.txt", "x"),
        catalog("d", "web", "charts/y.txt", "y"),
    ]);
    let (c, d) = (world.path("c"), world.path("d"));
    world.sources(&[
        &format!(
            "{{repo: 'file://{}', environment: eks, version: 1.0.0}}",
            c.display()
        ),
        &format!("{{repo: '{}', environment: web, version: 1.0.0}}", d.display()),
    ]);
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(
        (seen.text("dev/terraform/x.txt"), seen.text("dev/charts/y.txt")),
        (Some("x"), Some("y"))
    );
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_second_run_gives_the_same_bytes_and_leaves_no_composition() {
    let world = six_sources();
    world.context.run(["deploy"]).expect_code(0);
    let first = world.context.pipeline().unwrap().ops_repo;
    world.context.run(["deploy"]).expect_code(0);
    let texts = |tree: &std::collections::BTreeMap<String, compose_testkit::standin::DumpedPath>| {
        tree.iter()
            .map(|(path, seen)| (path.clone(), seen.text.clone(), seen.mode.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&world.context.pipeline().unwrap().ops_repo), texts(&first));
    world.assert_nothing_left();
}

#[test]
fn hooks_find_out_where_everything_came_from() {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    // The composition exists as long as the pipeline runs.
    let hook = "cp \"$BITOPS_COMPOSE_MANIFEST\" \"$HOME/manifest\"";
    world
        .context
        .file("dev/terraform/bitops.before-deploy.d/keep.sh", hook);
    world.context.run(["deploy"]).expect_code(0);
    let manifest = fs::read_to_string(world.context.root().join("home/manifest")).unwrap();
    assert!(manifest.contains("terraform/x.txt"), "{manifest}");
    assert!(manifest.contains(&world.repos[0].commit("1.0.0")), "{manifest}");
}

/// Users write directories with a slash at the end, which must not lead through the link that is switched.
#[test]
fn the_places_may_end_in_a_slash() {
    let mut world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    for name in ["BITOPS_COMPOSE_OPS_REPO", "BITOPS_COMPOSE_HOME"] {
        let mut place = world.context.variable(name).unwrap().to_owned();
        place.push("/");
        world.context.set(name, place);
    }
    for _ in 0..2 {
        world.context.run(["deploy"]).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        assert_eq!(seen.text("dev/terraform/x.txt"), Some("x"));
    }
}

#[test]
fn bitops_own_logging_settings_hold_here_too() {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let config = fs::read_to_string(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
    let logging =
        "bitops:\n  logging:\n    level: DEBUG\n    masks:\n    - search: 'ek(?=s)'\n      replace: 'XX'\n";
    world
        .context
        .file("dev/bitops.config.yaml", format!("{config}{logging}"));
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stderr.contains("DEBUG"), "{run}");
    assert!(!run.stderr.contains("eks"), "{run}");
    world.context.file(
        "dev/bitops.config.yaml",
        format!("{config}{}", logging.replace("DEBUG", "ERROR")),
    );
    let run = world.context.run(["deploy"]).expect_code(0);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn the_order_of_arrival_changes_nothing() {
    let values = |tag: &str| format!("# of {tag}\nimage: {{ tag: {tag} }}\nonly-{tag}: 1\n");
    let catalog = |name: &str| {
        let mut catalog = Catalog::new(name);
        catalog
            .file("env/helm/web/values.yaml", values(name))
            .file("env/helm/web/bitops.config.yaml", "helm: {}\n")
            .file("env/terraform/main.tf", format!("# of {name}\n"))
            .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
            .file(
                "env/bitops.config.yaml",
                format!("bitops:\n  deployments:\n    {name}:\n      plugin: helm\n    terraform:\n      plugin: terraform\n"),
            )
            .tag("1.0.0");
        catalog
    };
    let names = ["a", "b", "c"];
    let mut world = world(&mut names.map(catalog));
    let entries = names.map(|name| {
        format!("{{repo: '{{repo}}/{name}', environment: env, version: 1.0.0, on-conflict: last}}")
    });
    world.sources(&entries.each_ref().map(String::as_str));
    world.context.filter(r"\d+\.\d+s", "[TIME]");
    // The manifest can be read afterwards, because nothing removes it after an exec.
    world.context.set("BITOPS_COMPOSE_SUPERVISE", "false");
    let (mut orders, mut results) = (BTreeSet::new(), BTreeSet::new());
    for slow in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let _ = fs::remove_dir_all(world.context.cache());
        for (name, turn) in names.iter().zip(slow) {
            world.server.heal(name);
            if turn > 0 {
                let pause = Duration::from_millis(turn);
                world
                    .server
                    .inject(name, Rule::from(Fault::Drip(pause)).on(RequestKind::InfoRefs));
            }
        }
        world.server.clear_requests();
        world.context.run(["deploy"]).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        let files: Vec<_> = seen
            .ops_repo
            .iter()
            .map(|(path, seen)| (path.clone(), seen.text.clone(), seen.mode.clone()))
            .collect();
        let manifest = fs::read_to_string(&seen.env["BITOPS_COMPOSE_MANIFEST"]).unwrap();
        let fetched: Vec<String> = world
            .server
            .requests()
            .into_iter()
            .filter(|request| request.kind == RequestKind::LsRefs)
            .map(|request| request.repo)
            .collect();
        orders.insert(fetched);
        let plan = world.context.run(["plan"]).expect_code(0).stdout;
        let json = world
            .context
            .run(["plan", "--format", "json", "--diff"])
            .expect_code(0)
            .stdout;
        world.context.run(["lock"]).expect_code(0);
        let lock = world.context.ops_repo().join("dev/bitops.lock.yaml");
        let locked = fs::read_to_string(&lock).unwrap();
        fs::remove_file(lock).unwrap();
        results.insert((files, manifest, plan, json, locked));
    }
    assert!(orders.len() > 1, "all arrived in one order: {orders:?}");
    assert_eq!(results.len(), 1, "{results:#?}");
}
