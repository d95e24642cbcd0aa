//! Defines how a path that several layers contribute to is composed, in one table for the program
//! and its docs.

use std::{fmt, sync::LazyLock};

use compose_model::{TreePath, file_name};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{
    document::{Json, TfvarsJson, Yaml},
    lock_hcl::LockHcl,
    merger::Merger,
    tfvars::Tfvars,
};

/// The way in which a path that several layers contribute to is composed.
#[derive(Clone, Copy)]
pub enum Class {
    /// The files are merged into one.
    Merge(&'static dyn Merger),
    /// Both files stay, the lower one under another name (`.tf`, `.tf.json`).
    KeepBoth,
    /// Rule 5: a local file replaces a source's; two sources are a conflict.
    Whole,
}

/// A row of [`TABLE`].
#[derive(Clone, Copy)]
pub struct Row {
    /// A glob over the path relative to the environment; `*` stays within a directory.
    pub pattern: &'static str,
    /// The description of these files.
    pub what: &'static str,
    /// The way in which they are composed.
    pub class: Class,
}

const fn row(pattern: &'static str, what: &'static str, class: Class) -> Row {
    Row { pattern, what, class }
}

/// The classes by path; the first matching row counts. A file that should be merged but cannot be
/// (because it does not parse, holds several documents, or is not a mapping, such as a playbook) is
/// treated as [`Class::Whole`].
pub const TABLE: &[Row] = &[
    row(
        "**/bitops.{before,after}-deploy.d/**",
        "hook scripts",
        Class::Whole,
    ),
    row(
        "**/{templates,crds}/**/*.{yaml,yml,json}",
        "Helm's templates and CRDs, Ansible's templates",
        Class::Whole,
    ),
    row(
        file_name::CONFIG_GLOB,
        "BitOps' configuration",
        Class::Merge(&Yaml),
    ),
    row(file_name::LOCK, "the lock file of this program", Class::Whole),
    row("**/{values,values-*}.yaml", "Helm values", Class::Merge(&Yaml)),
    row(
        "**/values-files/*.json",
        "Helm values in JSON",
        Class::Merge(&Json),
    ),
    row("**/values-files/*", "Helm values", Class::Merge(&Yaml)),
    row(
        "**/charts/**/*.{yaml,yml,json}",
        "charts that a Helm chart brings along",
        Class::Whole,
    ),
    row(
        "**/{inventory,hosts}.{yaml,yml,json}",
        "Ansible inventories",
        Class::Whole,
    ),
    row(
        "**/{inventory,inventories}/*.{yaml,yml,json}",
        "Ansible inventories",
        Class::Whole,
    ),
    row(
        "**/.terraform.lock.hcl",
        "Terraform's provider lock",
        Class::Merge(&LockHcl),
    ),
    row("**/*.tfvars", "Terraform's variables", Class::Merge(&Tfvars)),
    row(
        "**/*.tfvars.json",
        "Terraform's variables in JSON",
        Class::Merge(&TfvarsJson),
    ),
    row(
        "**/*.{tf,tf.json,tofu,tofu.json}",
        "Terraform's and OpenTofu's definitions",
        Class::KeepBoth,
    ),
    row("**/*.json", "other JSON objects", Class::Merge(&Json)),
    row("**/*.{yaml,yml}", "other YAML mappings", Class::Merge(&Yaml)),
    row(
        "**/{group_vars,host_vars}/**/{.*,*~,*.md,*.txt,*.rst}",
        "what Ansible does not read beside its variables",
        Class::Whole,
    ),
    row(
        "**/group_vars/**/*.*",
        "what Ansible does not read beside its groups' variables",
        Class::Whole,
    ),
    row(
        "**/host_vars/*/**/*.*",
        "what Ansible does not read beside its hosts' variables",
        Class::Whole,
    ),
    row(
        "**/{group_vars,host_vars}/**",
        "Ansible's variables, without an extension",
        Class::Merge(&Yaml),
    ),
    row("**", "everything else", Class::Whole),
];

static GLOBS: LazyLock<GlobSet> = LazyLock::new(|| {
    let mut set = GlobSetBuilder::new();
    for row in TABLE {
        let glob = GlobBuilder::new(row.pattern).literal_separator(true).build();
        set.add(glob.expect("a constant that the tests use"));
    }
    set.build().expect("a constant that the tests use")
});

/// Returns the class of a path that is relative to the environment, or that begins with the shared
/// directory's name.
pub fn class(path: &TreePath) -> Class {
    let rows = GLOBS.matches_candidate(&Candidate::new(path.as_str()));
    rows.first().map_or(Class::Whole, |row| TABLE[*row].class)
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Merge(_) => "merged",
            Class::KeepBoth => "both kept",
            Class::Whole => "whole",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> &'static str {
        let path = TreePath::new(path).unwrap();
        let rows = GLOBS.matches(path.as_str());
        let row = TABLE[rows[0]];
        assert_eq!(class(&path).to_string(), row.class.to_string());
        row.what
    }

    #[test]
    fn every_kind_of_file_finds_its_row() {
        for (path, what) in [
            ("bitops.config.yaml", "BitOps' configuration"),
            ("helm/chart/bitops.config.yaml", "BitOps' configuration"),
            ("bitops.lock.yaml", "the lock file of this program"),
            ("helm/chart/values.yaml", "Helm values"),
            ("helm/chart/values-prod.yaml", "Helm values"),
            ("helm/chart/values-files/a", "Helm values"),
            ("helm/chart/values-files/a.json", "Helm values in JSON"),
            ("helm/chart/Chart.yaml", "other YAML mappings"),
            ("helm/chart/Chart.lock", "everything else"),
            (
                "helm/chart/templates/values.yaml",
                "Helm's templates and CRDs, Ansible's templates",
            ),
            (
                "helm/chart/templates/a/b.yaml",
                "Helm's templates and CRDs, Ansible's templates",
            ),
            (
                "helm/chart/crds/crd.yaml",
                "Helm's templates and CRDs, Ansible's templates",
            ),
            (
                "helm/chart/charts/sub/Chart.yaml",
                "charts that a Helm chart brings along",
            ),
            ("helm/charts/values.yaml", "Helm values"),
            ("terraform/bitops.before-deploy.d/values.yaml", "hook scripts"),
            ("bitops.after-deploy.d/x.sh", "hook scripts"),
            ("terraform/main.tf", "Terraform's and OpenTofu's definitions"),
            ("main.tf.json", "Terraform's and OpenTofu's definitions"),
            ("main.tofu", "Terraform's and OpenTofu's definitions"),
            ("a/main.tofu.json", "Terraform's and OpenTofu's definitions"),
            ("terraform/terraform.tfvars", "Terraform's variables"),
            ("terraform/x.auto.tfvars", "Terraform's variables"),
            ("terraform/x.auto.tfvars.json", "Terraform's variables in JSON"),
            ("terraform.tfvars.json", "Terraform's variables in JSON"),
            ("terraform/envs/prod.tfvars", "Terraform's variables"),
            ("terraform/.terraform.lock.hcl", "Terraform's provider lock"),
            ("ansible/inventory.yml", "Ansible inventories"),
            (
                "ansible/inventories/prod/group_vars/all.yml",
                "other YAML mappings",
            ),
            (
                "ansible/group_vars/web",
                "Ansible's variables, without an extension",
            ),
            (
                "group_vars/all/vault",
                "Ansible's variables, without an extension",
            ),
            ("group_vars/all.json", "other JSON objects"),
            ("group_vars/all/a.yaml", "other YAML mappings"),
            (
                "group_vars/all/README",
                "Ansible's variables, without an extension",
            ),
            (
                "group_vars/README.md",
                "what Ansible does not read beside its variables",
            ),
            (
                "host_vars/.gitkeep",
                "what Ansible does not read beside its variables",
            ),
            (
                "group_vars/web/x.ini",
                "what Ansible does not read beside its groups' variables",
            ),
            (
                "ansible/host_vars/web.example.com",
                "Ansible's variables, without an extension",
            ),
            (
                "host_vars/web.example.com/main",
                "Ansible's variables, without an extension",
            ),
            (
                "host_vars/web.example.com/main.ini",
                "what Ansible does not read beside its hosts' variables",
            ),
            ("ansible/playbook.yaml", "other YAML mappings"),
            ("cloudformation/template.yml", "other YAML mappings"),
            ("README.md", "everything else"),
        ] {
            assert_eq!(of(path), what, "{path}");
        }
    }

    #[test]
    fn the_docs_show_the_same_table() {
        let docs = include_str!("../../../docs/composition.md");
        // The page's first table whose rows begin with code.
        let lines = docs.lines().skip_while(|line| !line.starts_with("| `"));
        let shown: Vec<&str> = lines.take_while(|line| line.starts_with("| `")).collect();
        let rows = TABLE.iter();
        let rows: Vec<String> = rows
            .map(|row| format!("| `{}` | {} | {} |", row.pattern, row.what, row.class))
            .collect();
        assert_eq!(shown, rows);
    }
}
