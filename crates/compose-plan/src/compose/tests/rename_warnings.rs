//! Warnings about environments that compose without conflicts and would not deploy as intended.

use crate::{
    compose::{Composition, testing::World},
    layer::Source,
};

const IMAGE: [(&str, &str); 3] = [
    ("terraform", "terraform"),
    ("helm", "helm"),
    ("ansible", "ansible"),
];

fn with_as(name: &str) -> impl FnOnce(&mut Source) + use<> {
    let name = name.to_owned();
    move |source| source.rename = Some(name)
}

fn warnings(composition: &Composition) -> Vec<&str> {
    composition
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect()
}

#[test]
fn a_path_to_a_directory_that_as_renamed_is_reported() {
    let world = |local: &[(&str, &str)], set: fn(&mut Source), cfg: &str| {
        World::new(local)
            .source_with(
                "vm",
                set,
                &[
                    ("ansible/ansible.cfg", cfg),
                    (
                        "ansible/bitops.before-deploy.d/wait.sh",
                        "ls $BITOPS_ENVROOT/terraform\n",
                    ),
                    (
                        "terraform/main.tf",
                        "# ../terraform-modules, terraform/x, ../terraform.d\n",
                    ),
                ],
            )
            .image(&IMAGE)
            .composed()
    };
    let cfg = "[defaults]\ninventory=../terraform/hosts.yaml\n";
    let renamed = |source: &mut Source| source.rename = Some("a".to_owned());
    assert_eq!(
        warnings(&world(&[("dev/bitops.config.yaml", "")], renamed, cfg)),
        [
            "`as` renames directories and leaves texts as they are: of vm of https://host/org/vm-repo, \
             dev/a-ansible/ansible.cfg:2 names terraform/, which is a-terraform/ now; \
             dev/a-ansible/bitops.before-deploy.d/wait.sh:1 names terraform/, which is a-terraform/ now"
        ]
    );
    // Without `as` the paths are right, and the user's own files are not checked.
    assert_eq!(warnings(&world(&[], |_| {}, cfg)), [""; 0]);
    let own = [
        (
            "dev/a-ansible/ansible.cfg",
            "[defaults]\ninventory=../terraform/mine\n",
        ),
        ("dev/a-ansible/bitops.before-deploy.d/wait.sh", "true\n"),
    ];
    assert_eq!(warnings(&world(&own, renamed, cfg)), [""; 0]);
}

#[test]
fn charts_that_would_be_one_release_are_reported() {
    const ONE: &str = "helm: {cli: {namespace: shop}}\n";
    let world = |local: &[(&str, &str)], config: &str| {
        World::new(local)
            .source_with(
                "a",
                with_as("a"),
                &[
                    ("helm/web/Chart.yaml", ""),
                    ("helm/web/bitops.config.yaml", ONE),
                    ("helm/db/Chart.yaml", ""),
                ],
            )
            .source_with(
                "b",
                with_as("b"),
                &[
                    ("helm/web/Chart.yaml", ""),
                    ("helm/web/bitops.config.yaml", config),
                ],
            )
            .image(&IMAGE)
            .composed()
    };
    let warning = "the helm plugin names a release after its chart's directory: dev/a-helm/web/ and dev/b-helm/web/ are all \
                the release web in the namespace shop, and each deploys over the one before";
    assert_eq!(warnings(&world(&[], ONE)), [warning]);
    assert_eq!(
        warnings(&world(&[], "helm: {cli: {namespace: other}}\n")),
        [""; 0]
    );
    // The user's own chart, in a deployment of the user's.
    let own = [
        ("dev/helm/web/Chart.yaml", ""),
        ("dev/helm/web/bitops.config.yaml", ONE),
    ];
    let warning = warning.replace("dev/b-helm/web/", "dev/helm/web/");
    assert_eq!(warnings(&world(&own, "helm: {}\n")), [warning]);
}
