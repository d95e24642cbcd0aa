//! `search`: what a catalog offers.

use compose_testkit::{Catalog, server::RequestKind};

use super::{World, json, run, world};

/// A catalog with plain versions, an environment with tags of its own that came later, a nested one, hostile text.
fn shop() -> World {
    let mut shop = Catalog::new("shop");
    shop.file("eks/bitops.config.yaml", "bitops: {}\n")
        .file("eks/terraform/main.tf", "# eks\n")
        .file("eks/helm/grafana/bitops.config.yaml", "helm: {}\n")
        .file(
            "eks/README.md",
            "\n# EKS, a cluster with nodes, networks and everything else that it takes to run\n",
        )
        .file("stacks/web/ansible/bitops.config.yaml", "ansible: {}\n")
        .file("stacks/web/readme.txt", "Web\u{1b}[31m server\n")
        .file("_scripts/bitops.config.yaml", "x: 1\n")
        .file("docs/README.md", "# Documents\n")
        .tag("1.0.0")
        .tag("v1.2.0")
        .tag("2.0.0-rc.1")
        .file("vault/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("untagged/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("vault/0.3.0");
    world(&mut [shop])
}

#[test]
fn the_environments_of_a_catalog_are_listed_with_little_traffic() {
    let world = shop();
    let repo = world.server.url("shop");
    let found = run(&world, &["search", &repo], 0);
    assert!(
        found
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 80 || line.contains("://")),
        "{found}"
    );
    insta::assert_snapshot!("search", found);
    // The handshake, the refs, the trees, the READMEs.
    assert_eq!(world.server.stats("shop").requests(), 4);
    for id in ["eks/terraform/main.tf", "docs/README.md"] {
        let blob = compose_testkit::git::run(&world.path("shop"), ["rev-parse", &format!("v1.2.0:{id}")]);
        let was_wanted = |body: String| body.contains(blob.trim());
        assert!(
            !world
                .server
                .requests()
                .into_iter()
                .any(|one| was_wanted(one.body_text())),
            "{id}"
        );
    }
    let filtered =
        |one: &compose_testkit::server::ReceivedRequest| one.body_text().contains("filter blob:none");
    let fetches = world.server.requests();
    let first = fetches.iter().find(|one| one.kind == RequestKind::Fetch).unwrap();
    assert!(filtered(first));

    let found = json(&run(&world, &["search", &repo, "VAULT", "--format", "json"], 0));
    assert_eq!(found["ref"], "v1.2.0");
    let vault = serde_json::json!({
        "environment": "vault", "newest": "vault/0.3.0", "versions": 1, "tools": ["terraform"], "readme": "",
    });
    assert_eq!(found["environments"], serde_json::json!([vault]));
    let none = run(&world, &["search", &repo, "nothing-like-it"], 0);
    assert!(none.stdout.contains("none has `nothing-like-it`"), "{none}");
    // The page of a branch is looked at as it is.
    let page = format!("git::{repo}?ref=main");
    let found = json(&run(&world, &["search", &page, "--format", "json"], 0));
    let names: Vec<_> = found["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["environment"])
        .collect();
    assert_eq!(names, ["eks", "stacks/web", "untagged", "vault"]);
}

#[test]
fn what_search_proposes_can_be_added() {
    let world = shop();
    world.context.file("dev/bitops.config.yaml", "bitops: {}\n");
    let found = run(&world, &["search", &world.server.url("shop")], 0);
    let next = found.stdout.rsplit("next: `bitops-compose ").next().unwrap();
    let words: Vec<&str> = next.trim_end().trim_end_matches('`').split(' ').collect();
    world.context.run(&words).expect_code(0);
    // `add` without an environment leads here.
    let unnamed = world
        .context
        .run(["add", &world.server.url("shop")])
        .expect_code(2);
    assert!(
        unnamed.stderr.contains("`bitops-compose search http://"),
        "{unnamed}"
    );
}

#[test]
fn a_catalog_that_cannot_be_searched_is_reported() {
    let mut world = shop();
    world.server.require_credentials("shop", "me", "secret");
    let repo = world.server.url("shop");
    run(&world, &["search", &repo], 77);
    let host = world.server.socket_address().ip().to_string().replace('.', "_");
    world
        .context
        .set(format!("BITOPS_COMPOSE_TOKEN_{host}"), "me:secret");
    run(&world, &["search", &repo], 0);
    run(&world, &["search", &format!("git::{repo}?ref=absent")], 65);
    run(&world, &["search", "nonsense"], 2);
    // Without protocol 2 and without filters.
    let mut plain = Catalog::new("plain");
    plain
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .config("uploadpack.allowFilter", "false")
        .config("uploadpack.allowAnySHA1InWant", "false");
    let world = world.with(plain);
    world
        .server
        .set_protocol("plain", compose_testkit::server::Protocol::V0);
    let found = run(&world, &["search", &world.server.url("plain")], 0);
    assert!(found.stdout.contains("1 environment in `main`"), "{found}");
}
