//! Edits of configs that keep the user's text.

use crate::{
    compose::edit::{self, original_line, remove, set_deployments},
    config::deployments::declared,
};

const WANTED: [(&str, &str); 2] = [("eks-helm", "helm"), ("terraform", "terraform")];
const BLOCK: &str = "    eks-helm:\n      plugin: helm\n    terraform:\n      plugin: terraform\n";

fn set(text: &str) -> String {
    let edited = set_deployments(text, &WANTED).unwrap();
    assert_eq!(
        set_deployments(&edited, &WANTED).unwrap(),
        edited,
        "a second time changes nothing"
    );
    edited
}

#[test]
fn deployments_are_added_where_there_are_none() {
    let all = format!("bitops:\n  deployments:\n{BLOCK}");
    assert_eq!(set(""), all);
    assert_eq!(set("# only\n# comments"), format!("# only\n# comments\n{all}"));
    assert_eq!(set("---\n"), format!("---\n{all}"));
    assert_eq!(set("a: 1 # x\n# tail\n"), format!("a: 1 # x\n{all}# tail\n"));
    assert_eq!(set("a:\n- b\n- c"), format!("a:\n- b\n- c\n{all}"));
    assert_eq!(
        set("a: |\n  text\n\n# tail\n"),
        format!("a: |\n  text\n{all}\n# tail\n")
    );
    assert_eq!(
        set("bitops: # none\nb: 2\n"),
        format!("bitops: # none\n  deployments:\n{BLOCK}b: 2\n")
    );
    assert_eq!(
        set("bitops: ~ # none\n"),
        format!("bitops: # none\n  deployments:\n{BLOCK}")
    );
    assert_eq!(set("bitops: {}"), format!("bitops:\n  deployments:\n{BLOCK}"));
    assert_eq!(
        set("bitops:\n  x: 'y' # z\nb: 2"),
        format!("bitops:\n  x: 'y' # z\n  deployments:\n{BLOCK}b: 2")
    );
    assert_eq!(
        set("bitops:\n  deployments:\n  x: y\n"),
        format!("bitops:\n  deployments:\n{BLOCK}  x: y\n")
    );
}

#[test]
fn braces_stay_braces() {
    let flow = "{eks-helm: {plugin: helm}, terraform: {plugin: terraform}}";
    assert_eq!(set("{}\n"), format!("{{bitops: {{deployments: {flow}}}}}\n"));
    assert_eq!(
        set("{a: 1,}\n"),
        format!("{{a: 1, bitops: {{deployments: {flow}}},}}\n")
    );
    assert_eq!(
        set("{bitops: , a: 1}\n"),
        format!("{{bitops: {{deployments: {flow}}} , a: 1}}\n")
    );
    assert_eq!(
        set("bitops: {x: y} # z\n"),
        format!("bitops: {{x: y, deployments: {flow}}} # z\n")
    );
    assert_eq!(
        set("bitops: {deployments: {}, x: y}\n"),
        format!("bitops: {{deployments: {flow}, x: y}}\n")
    );
    assert_eq!(
        set("bitops: &b { x: y } # z\n"),
        format!("bitops: &b {{ x: y, deployments: {flow} }} # z\n")
    );
    assert_eq!(
        set("{ a: [ 1 ], bitops: { # z\n  deployments: { } } }\n"),
        format!("{{ a: [ 1 ], bitops: {{ # z\n  deployments: {flow} }} }}\n")
    );
    assert_eq!(
        set("bitops:\n  deployments: {terraform: {plugin: \"terraform\", x: 1}} # c\n"),
        "bitops:\n  deployments: {eks-helm: {plugin: helm}, terraform: {plugin: \"terraform\", x: 1}} # c\n"
    );
}

#[test]
fn entries_keep_their_text_and_comments_in_the_new_order() {
    let text = "bitops:\n  # before\n  deployments: # here\n    # mine\n    terraform: # t\n      plugin: 'terraform'\n\n    # last\n  x: y\n";
    assert_eq!(
        set(text),
        "bitops:\n  # before\n  deployments: # here\n    eks-helm:\n      plugin: helm\n    # mine\n    terraform: # t\n      plugin: 'terraform'\n\n    # last\n  x: y\n"
    );
    let wide = "bitops:\n        deployments:\n                terraform: {plugin: terraform}\n                eks-helm:\n                        plugin: helm";
    assert_eq!(
        set(wide),
        "bitops:\n        deployments:\n                eks-helm:\n                        plugin: helm\n                terraform: {plugin: terraform}\n"
    );
}

#[test]
fn line_ends_are_preserved() {
    let edited = set("a: 1\r\nbitops:\r\n  x: y\r\n");
    assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
    assert!(edited.starts_with("a: 1\r\nbitops:\r\n  x: y\r\n  deployments:\r\n    eks-helm:\r\n"));
    assert!(set("\u{feff}a: 1\n").starts_with("\u{feff}a: 1\nbitops:\n"));
}

#[test]
fn an_alias_gives_way_and_what_it_named_stays() {
    let text = "x: &d\n  a: {plugin: b}\nbitops:\n  deployments: *d\n";
    assert_eq!(
        set(text),
        format!("x: &d\n  a: {{plugin: b}}\nbitops:\n  deployments:\n{BLOCK}")
    );
    let merged = "x: &d\n  deployments: {a: {plugin: b}}\nbitops:\n  <<: *d\n";
    assert_eq!(declared(merged).unwrap().unwrap()[0].name, "a");
    assert_eq!(set(merged), format!("{merged}  deployments:\n{BLOCK}"));
}

#[test]
fn an_edit_that_would_change_more_is_refused() {
    let keep = "bitops:\n  x: |+\n    text\n\n\n";
    assert_eq!(
        set(keep),
        format!("{keep}  deployments:\n{BLOCK}"),
        "the blank lines stay a part of the text"
    );
    assert!(set_deployments("? bitops\n: x: y\n", &WANTED).is_err());
    assert!(set_deployments("a: 1\n...\n", &WANTED).is_ok());
}

#[test]
fn names_that_yaml_would_read_otherwise_are_quoted() {
    let edited = set_deployments("", &[("on", "1.0"), ("12:30", "a b"), ("x_y.z-1", "p")]).unwrap();
    let names: Vec<&str> = edited.lines().skip(2).map(str::trim).collect();
    assert_eq!(
        names,
        [
            "\"on\":",
            "plugin: \"1.0\"",
            "\"12:30\":",
            "plugin: \"a b\"",
            "x_y.z-1:",
            "plugin: p"
        ]
    );
}

#[test]
fn removing_a_key_removes_mappings_that_would_be_empty() {
    let remove = |text: &str, path: &[&str]| remove(text, path).unwrap().map(|(text, _)| text);
    let lists = ["bitops", "default-environments"];
    assert_eq!(
        remove("a: 1\nbitops:\n  default-environments:\n  - x\nb: 2\n", &lists).as_deref(),
        Some("a: 1\nb: 2\n")
    );
    assert_eq!(remove("bitops: {default-environments: [x]}", &lists), None);
    assert_eq!(
        remove("{a: 1, bitops: {default-environments: [x], y: z}}", &lists).as_deref(),
        Some("{a: 1, bitops: {y: z}}")
    );
    assert_eq!(
        remove("{a: 1, bitops: {y: z, default-environments: [x]}}", &lists).as_deref(),
        Some("{a: 1, bitops: {y: z}}")
    );
    assert_eq!(remove("a: {b: }\n", &["a", "b"]), None);
    assert_eq!(
        remove("x: [1]\nx: [2]\na: 1", &["x"]).as_deref(),
        Some("a: 1"),
        "every entry of that key"
    );
    for other in [
        "",
        "# c\n",
        "a: 1\n",
        "- bitops\n",
        "bitops: [default-environments]\n",
    ] {
        assert_eq!(remove(other, &lists).as_deref(), Some(other));
    }
    assert!(
        edit::remove("&x a: *x\n*x : b\n", &["a"]).is_err(),
        "an alias would lose its anchor"
    );
}

#[test]
fn lines_are_reported_as_they_were() {
    let text = "a: 1\nx:\n- 1\n- 2\nb: 2\nbitops:\n  x: [\n    1]\n  c: 3\n";
    let (text, mut cuts) = remove(text, &["x"]).unwrap().unwrap();
    let (text, more) = remove(&text, &["bitops", "x"]).unwrap().unwrap();
    cuts.extend(more);
    assert_eq!(text, "a: 1\nb: 2\nbitops:\n  c: 3\n");
    let lines: Vec<usize> = (1..=4).map(|line| original_line(&cuts, line)).collect();
    assert_eq!(lines, [1, 5, 6, 9]);
}
