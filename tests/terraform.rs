//! What Terraform allows only once in a directory, case by case: the program's verdict is Terraform's.
//!
//! With `BITOPS_COMPOSE_TEST_TERRAFORM` the cases are compared with terraform itself, which downloads nothing for that.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::common::world;
use compose_testkit::{Catalog, server::ClosedPort};

/// Two files of two layers, and what is defined twice (`None`: Terraform accepts both).
struct Case {
    own: (&'static str, &'static str),
    theirs: (&'static str, &'static str),
    twice: Option<&'static str>,
}

const fn twice(own: &'static str, theirs: &'static str, what: &'static str) -> Case {
    named(("a.tf", own), ("b.tf", theirs), Some(what))
}

const fn taken(own: &'static str, theirs: &'static str) -> Case {
    named(("a.tf", own), ("b.tf", theirs), None)
}

const fn json(own: &'static str, theirs: &'static str, twice: Option<&'static str>) -> Case {
    named(("a.tf", own), ("b.tf.json", theirs), twice)
}

const fn named(
    own: (&'static str, &'static str),
    theirs: (&'static str, &'static str),
    twice: Option<&'static str>,
) -> Case {
    Case { own, theirs, twice }
}

const RESOURCE: &str = "resource \"terraform_data\" \"x\" {}\n";
const VARIABLE: &str = "variable \"x\" {}\n";
const LOCAL: &str = "locals {\n  a = 1\n}\n";
const PROVIDER: &str = "provider \"aws\" {}\n";
const WEST: &str = "provider \"aws\" {\n  alias = \"west\"\n}\n";
const REQUIRED: &str =
    "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n";
const BACKEND: &str = "terraform {\n  backend \"local\" {}\n}\n";
const CLOUD: &str =
    "terraform {\n  cloud {\n    organization = \"o\"\n    workspaces { name = \"w\" }\n  }\n}\n";
const META: &str = "terraform {\n  provider_meta \"aws\" {\n    a = 1\n  }\n}\n";
const MODULE: &str = "module \"x\" {\n  source = \"./m\"\n}\n";
const REMOTE: &str = "data \"terraform_remote_state\" \"x\" {\n  backend = \"local\"\n}\n";
const CHECK: &str =
    "check \"x\" {\n  assert {\n    condition     = path.root == \".\"\n    error_message = \"no\"\n  }\n}\n";
const IMPORT: &str =
    "resource \"terraform_data\" \"x\" {}\nimport {\n  to = terraform_data.x\n  id = \"1\"\n}\n";
const IMPORTS: &str = "resource \"terraform_data\" \"x\" {\n  for_each = toset([\"a\", \"b\"])\n}\nimport {\n  to = terraform_data.x[\"a\"]\n  id = \"1\"\n}\n";
const EACH: &str =
    "import {\n  for_each = toset([\"a\"])\n  to       = terraform_data.x[each.key]\n  id       = \"1\"\n}\n";
const MOVED: &str = "moved {\n  from = terraform_data.old\n  to   = terraform_data.x\n}\n";
const REMOVED: &str = "removed {\n  from = terraform_data.old\n  lifecycle {\n    destroy = false\n  }\n}\n";

const CASES: &[Case] = &[
    // Names.
    twice(RESOURCE, RESOURCE, "resource terraform_data.x"),
    twice(
        RESOURCE,
        "resource terraform_data x {}\n",
        "resource terraform_data.x",
    ),
    twice(
        RESOURCE,
        "resource \"terraform_data\" \"\\u0078\" {}\n",
        "resource terraform_data.x",
    ),
    taken(RESOURCE, "resource \"terraform_data\" \"y\" {}\n"),
    taken("resource \"terraform_remote_state\" \"x\" {}\n", REMOTE),
    taken(RESOURCE, "ephemeral \"terraform_data\" \"x\" {}\n"),
    twice(REMOTE, REMOTE, "data source data.terraform_remote_state.x"),
    twice(
        "ephemeral \"aws_x\" \"x\" {}\n",
        "ephemeral \"aws_x\" \"x\" {}\n",
        "ephemeral resource ephemeral.aws_x.x",
    ),
    twice(MODULE, MODULE, "module module.x"),
    taken(MODULE, "module \"y\" {\n  source = \"./m\"\n}\n"),
    twice(VARIABLE, VARIABLE, "variable var.x"),
    twice(VARIABLE, "\u{feff}variable \"x\" {\r\n}\r\n", "variable var.x"),
    twice(
        "output \"x\" {\n  value = 1\n}\n",
        "output \"x\" {\n  value = 1\n}\n",
        "output output.x",
    ),
    taken(VARIABLE, "output \"x\" {\n  value = 1\n}\nlocals {\n  x = 1\n}\n"),
    twice(LOCAL, LOCAL, "local value local.a"),
    taken(LOCAL, "locals {\n  b = 1\n}\n"),
    twice(CHECK, CHECK, "check check.x"),
    // Providers.
    twice(PROVIDER, PROVIDER, "provider provider.aws"),
    taken(PROVIDER, WEST),
    twice(WEST, WEST, "provider provider.aws.west"),
    taken(WEST, "provider \"aws\" {\n  alias = \"east\"\n}\n"),
    // Settings.
    twice(
        REQUIRED,
        REQUIRED,
        "required_providers terraform.required_providers",
    ),
    twice(BACKEND, BACKEND, "backend terraform.backend"),
    twice(
        BACKEND,
        "terraform {\n  backend \"s3\" {}\n}\n",
        "backend terraform.backend",
    ),
    twice(BACKEND, CLOUD, "backend terraform.backend"),
    twice(CLOUD, CLOUD, "backend terraform.backend"),
    taken(BACKEND, REQUIRED),
    taken(
        "terraform {\n  required_version = \">= 1.0\"\n}\n",
        "terraform {\n  required_version = \">= 1.1\"\n}\n",
    ),
    twice(META, META, "provider_meta terraform.provider_meta.aws"),
    taken(
        META,
        "terraform {\n  provider_meta \"google\" {\n    a = 1\n  }\n}\n",
    ),
    // What happens to state. Of `moved` and `removed` a plan tells where they disagree.
    twice(
        IMPORT,
        "import {\n  to = terraform_data . x # again\n  id = \"2\"\n}\n",
        "import import.terraform_data.x",
    ),
    twice(
        IMPORTS,
        "import {\n  to = terraform_data.x[\"a\"]\n  id = \"2\"\n}\n",
        "import import.terraform_data.x[\"a\"]",
    ),
    taken(
        IMPORTS,
        "import {\n  to = terraform_data.x[\"b\"]\n  id = \"2\"\n}\n",
    ),
    taken(
        "resource \"terraform_data\" \"x\" {\n  for_each = toset([\"a\"])\n}\nimport {\n  for_each = toset([\"a\"])\n  to       = terraform_data.x[each.key]\n  id       = \"1\"\n}\n",
        EACH,
    ),
    taken(
        "resource \"terraform_data\" \"x\" {}\nmoved {\n  from = terraform_data.old\n  to   = terraform_data.x\n}\n",
        MOVED,
    ),
    taken(REMOVED, REMOVED),
    // JSON.
    json(
        VARIABLE,
        "{\"variable\": {\"\\u0078\": {}}}",
        Some("variable var.x"),
    ),
    json(
        RESOURCE,
        "[{\"resource\": [{\"terraform_data\": [{\"x\": [{}]}]}]}]",
        Some("resource terraform_data.x"),
    ),
    json(
        PROVIDER,
        "{\"provider\": [{\"aws\": {\"region\": \"r\"}}]}",
        Some("provider provider.aws"),
    ),
    json(
        PROVIDER,
        "{\"provider\": {\"aws\": [{\"alias\": \"west\"}]}}",
        None,
    ),
    json(LOCAL, "{\"locals\": [{\"a\": 2}]}", Some("local value local.a")),
    json(
        BACKEND,
        "{\"terraform\": {\"backend\": {\"local\": {}}}}",
        Some("backend terraform.backend"),
    ),
    json(
        BACKEND,
        "{\"terraform\": {\"cloud\": {\"organization\": \"o\", \"workspaces\": {\"name\": \"n\"}}}}",
        Some("backend terraform.backend"),
    ),
    json(
        CHECK,
        "{\"check\": {\"x\": {\"assert\": {\"condition\": \"${path.root == 1}\", \"error_message\": \"no\"}}}}",
        Some("check check.x"),
    ),
    json(
        IMPORT,
        "{\"import\": [{\"to\": \"terraform_data.x\", \"id\": \"2\"}]}",
        Some("import import.terraform_data.x"),
    ),
    json(
        META,
        "{\"terraform\": {\"provider_meta\": {\"aws\": {\"a\": 2}}}}",
        Some("provider_meta terraform.provider_meta.aws"),
    ),
    // `null` and no items are no block.
    json(
        RESOURCE,
        "{\"resource\": {\"terraform_data\": {\"x\": null}}}",
        None,
    ),
    json(VARIABLE, "{\"variable\": {\"x\": null}}", None),
    json(VARIABLE, "{\"variable\": {\"x\": []}}", None),
    json(PROVIDER, "{\"provider\": {\"aws\": null}}", None),
    json(PROVIDER, "{\"provider\": {\"aws\": []}}", None),
    json(LOCAL, "{\"locals\": null}", None),
    json(BACKEND, "{\"terraform\": {\"backend\": {\"local\": null}}}", None),
    json(BACKEND, "{\"terraform\": {\"cloud\": null}}", None),
    json(REQUIRED, "{\"terraform\": {\"required_providers\": null}}", None),
    // Files that Terraform merges, ignores, and does not ignore.
    named(
        ("a.tf", VARIABLE),
        ("b_override.tf", "variable \"x\" {\n  default = 1\n}\n"),
        None,
    ),
    named(
        ("a.tf", VARIABLE),
        ("override.tf.json", "{\"variable\": {\"x\": {\"default\": 1}}}"),
        None,
    ),
    named(("a.tf", VARIABLE), (".b.tf", VARIABLE), None),
    named(("a.tf", VARIABLE), ("b.tf~", VARIABLE), None),
    named(("a.tf", VARIABLE), ("#b.tf#", VARIABLE), None),
    named(("a.tf", VARIABLE), ("b.TF", VARIABLE), None),
    named(("a.tf", VARIABLE), ("terraform.tfvars", "y = 1\n"), None),
    named(("a.tf", VARIABLE), ("#b.tf", VARIABLE), Some("variable var.x")),
    named(("a.tf", VARIABLE), ("~b.tf", VARIABLE), Some("variable var.x")),
    named(
        ("main.tf", VARIABLE),
        ("main.tf.json", "{\"variable\": {\"x\": {}}}"),
        Some("variable var.x"),
    ),
];

#[test]
fn what_terraform_refuses_is_refused_and_nothing_else() {
    let mut catalog = Catalog::new("c");
    for (at, case) in CASES.iter().enumerate() {
        catalog.file(&format!("env/terraform/{at}/{}", case.theirs.0), case.theirs.1);
    }
    catalog.tag("1.0.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: env, version: 1.0.0}"]);
    for (at, case) in CASES.iter().enumerate() {
        let path = format!("dev/terraform/{at}/{}", case.own.0);
        world.context.file(&path, case.own.1);
    }
    let run = world.context.run(["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let mut reported: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for conflict in plan["conflicts"].as_array().unwrap() {
        assert_eq!(conflict["kind"], "defined-twice", "{conflict:#}");
        let path = conflict["path"].as_str().unwrap();
        let at = path.split('/').nth(1).unwrap().parse().unwrap();
        let message = conflict["message"].as_str().unwrap();
        let what = message.strip_prefix("two layers define ").unwrap();
        reported
            .entry(at)
            .or_default()
            .push(what.split_once(", which").unwrap().0);
    }
    for (at, case) in CASES.iter().enumerate() {
        let reported = reported.remove(&at).unwrap_or_default();
        let wanted: Vec<&str> = case.twice.into_iter().collect();
        assert_eq!(reported, wanted, "{:?} {:?}", case.own, case.theirs);
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn terraform_says_the_same() {
    let Some(terraform) = std::env::var_os("BITOPS_COMPOSE_TEST_TERRAFORM") else {
        eprintln!("skipped: BITOPS_COMPOSE_TEST_TERRAFORM names no terraform");
        return;
    };
    let closed = ClosedPort::new();
    let refuses = |directory: &Path| {
        let output = Command::new(&terraform)
            .args(["init", "-backend=false", "-no-color", "-input=false"])
            .current_dir(directory)
            // Duplicates are reported before anything is fetched, and nothing is to be fetched after.
            .env("HTTPS_PROXY", closed.address())
            .env("TF_REGISTRY_DISCOVERY_RETRY", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let twice = said.contains("Error: Duplicate ") || said.contains("Both a backend and cloud");
        (twice, said)
    };
    for case in CASES {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("m")).unwrap();
        for (name, text) in [case.own, case.theirs] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let (twice, said) = refuses(root.path());
        assert_eq!(
            twice,
            case.twice.is_some(),
            "{:?} {:?}\n{said}",
            case.own,
            case.theirs
        );
    }
}
