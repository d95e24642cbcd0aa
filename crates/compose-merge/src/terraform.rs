//! Knows the names of Terraform's files, the order in which it loads them, and the types of blocks
//! in its definitions.

use std::fmt;

/// The syntax of a file of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// The native syntax: `.tf`, `.tofu`.
    Hcl,
    /// The JSON syntax: `.tf.json`, `.tofu.json`.
    Json,
}

/// The program that a file of definitions is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The file is for Terraform. OpenTofu reads it as well, unless it has a file of its own with
    /// the same stem and syntax.
    Terraform,
    /// The file is for OpenTofu alone.
    OpenTofu,
}

const EXTENSIONS: &[(&str, Syntax, Dialect)] = &[
    (".tf", Syntax::Hcl, Dialect::Terraform),
    (".tf.json", Syntax::Json, Dialect::Terraform),
    (".tofu", Syntax::Hcl, Dialect::OpenTofu),
    (".tofu.json", Syntax::Json, Dialect::OpenTofu),
];

/// The name of a file of definitions for Terraform or OpenTofu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinitionsFile<'n> {
    /// The name without its extension.
    pub stem: &'n str,
    /// The syntax of the file.
    pub syntax: Syntax,
    /// The program that the file is for.
    pub dialect: Dialect,
}

impl<'n> DefinitionsFile<'n> {
    /// Parses a file name. Returns `None` if a file with this name does not hold definitions.
    pub fn of_name(name: &'n str) -> Option<Self> {
        EXTENSIONS.iter().find_map(|(extension, syntax, dialect)| {
            Some(Self {
                stem: name.strip_suffix(extension)?,
                syntax: *syntax,
                dialect: *dialect,
            })
        })
    }

    /// Returns whether this is an override file, which Terraform merges into the other files of its
    /// directory.
    pub fn is_override(&self) -> bool {
        self.stem == "override" || self.stem.ends_with("_override")
    }

    /// Returns whether Terraform reads the file. It skips hidden files.
    pub fn is_read(&self) -> bool {
        !self.stem.starts_with('.') && !self.stem.is_empty()
    }
}

/// The step at which Terraform loads a file of variables. Of two files that set a variable, the
/// later one counts.
///
/// The order is that of "Variable Definition Precedence" in Terraform's documentation. Variables in
/// the process's environment (`TF_VAR_…`) come before all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VariablesStep<'n> {
    /// `terraform.tfvars`
    Default,
    /// `terraform.tfvars.json`
    DefaultJson,
    /// `*.auto.tfvars` and `*.auto.tfvars.json`, by their names.
    Auto(&'n str),
    /// The file that the command line names (`-var-file`), regardless of its name.
    Named,
}

impl<'n> VariablesStep<'n> {
    /// Returns the step of a file that Terraform loads by itself.
    pub fn of_name(name: &'n str) -> Option<Self> {
        match name {
            "terraform.tfvars" => Some(Self::Default),
            "terraform.tfvars.json" => Some(Self::DefaultJson),
            _ => (name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json"))
                .then_some(Self::Auto(name)),
        }
    }
}

/// The kinds of definitions. A name may be defined once per kind and directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionKind {
    /// `resource "type" "name"`
    Resource,
    /// `data "type" "name"`
    Data,
    /// `ephemeral "type" "name"`
    Ephemeral,
    /// `module "name"`
    Module,
    /// `variable "name"`
    Variable,
    /// `output "name"`
    Output,
    /// One entry of `locals`.
    Local,
    /// `provider "name"`, distinguished by its alias.
    Provider,
    /// `terraform { backend … }` or `terraform { cloud … }`, once per directory.
    Backend,
    /// `terraform { required_providers … }`, once per directory.
    RequiredProviders,
    /// `terraform { provider_meta "name" … }`
    ProviderMeta,
    /// `check "name"`
    Check,
    /// `import { to = … }`, once for each address.
    Import,
    /// `moved { from = … }`, which may be repeated with the same content for an address.
    MovedFrom,
    /// `moved { to = … }`, which may be repeated with the same content for an address.
    MovedTo,
    /// `removed { from = … }`, which may be repeated with the same content for an address.
    Removed,
}

impl fmt::Display for DefinitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DefinitionKind::Resource => "resource",
            DefinitionKind::Data => "data source",
            DefinitionKind::Ephemeral => "ephemeral resource",
            DefinitionKind::Module => "module",
            DefinitionKind::Variable => "variable",
            DefinitionKind::Output => "output",
            DefinitionKind::Local => "local value",
            DefinitionKind::Provider => "provider",
            DefinitionKind::Backend => "backend",
            DefinitionKind::RequiredProviders => "required_providers",
            DefinitionKind::ProviderMeta => "provider_meta",
            DefinitionKind::Check => "check",
            DefinitionKind::Import => "import",
            DefinitionKind::MovedFrom => "move from",
            DefinitionKind::MovedTo => "move to",
            DefinitionKind::Removed => "removal of",
        })
    }
}

/// A top-level block that defines something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockType {
    /// A block whose address is a prefix with the labels.
    Labelled {
        kind: DefinitionKind,
        prefix: &'static str,
        labels: usize,
    },
    Import,
    Moved,
    Removed,
    Locals,
    Terraform,
}

/// A block inside `terraform` that defines something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A block that may occur once per directory, whatever its label.
    Once {
        kind: DefinitionKind,
        address: &'static str,
        labelled: bool,
    },
    ProviderMeta,
}

const fn labelled(kind: DefinitionKind, prefix: &'static str, labels: usize) -> BlockType {
    BlockType::Labelled { kind, prefix, labels }
}

const BLOCK_TYPES: &[(&str, BlockType)] = &[
    ("resource", labelled(DefinitionKind::Resource, "", 2)),
    ("data", labelled(DefinitionKind::Data, "data.", 2)),
    ("ephemeral", labelled(DefinitionKind::Ephemeral, "ephemeral.", 2)),
    ("module", labelled(DefinitionKind::Module, "module.", 1)),
    ("variable", labelled(DefinitionKind::Variable, "var.", 1)),
    ("output", labelled(DefinitionKind::Output, "output.", 1)),
    ("provider", labelled(DefinitionKind::Provider, "provider.", 1)),
    ("check", labelled(DefinitionKind::Check, "check.", 1)),
    ("import", BlockType::Import),
    ("moved", BlockType::Moved),
    ("removed", BlockType::Removed),
    ("locals", BlockType::Locals),
    ("terraform", BlockType::Terraform),
];

const fn once(kind: DefinitionKind, address: &'static str, labelled: bool) -> Setting {
    Setting::Once {
        kind,
        address,
        labelled,
    }
}

const SETTINGS: &[(&str, Setting)] = &[
    (
        "backend",
        once(DefinitionKind::Backend, "terraform.backend", true),
    ),
    ("cloud", once(DefinitionKind::Backend, "terraform.backend", false)),
    (
        "required_providers",
        once(
            DefinitionKind::RequiredProviders,
            "terraform.required_providers",
            false,
        ),
    ),
    ("provider_meta", Setting::ProviderMeta),
];

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let row = table.iter().find(|(known, _)| *known == name)?;
    Some(row.1)
}

impl BlockType {
    /// Returns the type of a block, by the word that it starts with.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        find(BLOCK_TYPES, name)
    }
}

impl Setting {
    /// Returns the setting, by the word that its block starts with.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        find(SETTINGS, name)
    }
}

#[cfg(test)]
mod tests {
    use compose_model::TreePath;

    use super::*;
    use crate::class::{Class, class};

    #[test]
    fn the_class_table_says_the_same_of_names() {
        for (name, stem) in [
            ("main.tf", Some("main")),
            ("main.tf.json", Some("main")),
            ("main.json.tf", Some("main.json")),
            ("main.tofu", Some("main")),
            ("main.tofu.json", Some("main")),
            ("main.tf.yaml", None),
            ("main.tfvars", None),
            ("maintf", None),
            ("main.json", None),
        ] {
            assert_eq!(
                DefinitionsFile::of_name(name).map(|file| file.stem),
                stem,
                "{name}"
            );
            let class = class(&TreePath::new(format!("terraform/{name}")).unwrap());
            assert_eq!(matches!(class, Class::KeepBoth), stem.is_some(), "{name}");
        }
    }

    #[test]
    fn override_files_and_hidden_ones_are_known_by_their_names() {
        let file = |name| DefinitionsFile::of_name(name).unwrap();
        for name in ["override.tf", "main_override.tf", "override.tf.json"] {
            assert!(file(name).is_override(), "{name}");
        }
        assert!(!file("nooverride.tf").is_override());
        assert!(!file(".tf").is_read() && !file(".main.tf").is_read() && file("main.tf").is_read());
    }

    #[test]
    fn files_of_variables_are_loaded_in_the_documented_order() {
        let order = [
            "terraform.tfvars",
            "terraform.tfvars.json",
            ".auto.tfvars",
            "a-b.auto.tfvars",
            "a.auto.tfvars",
            "a.auto.tfvars.json",
            "b.auto.tfvars",
        ];
        let steps: Vec<_> = order.map(|name| VariablesStep::of_name(name).unwrap()).into();
        assert!(steps.is_sorted() && *steps.last().unwrap() < VariablesStep::Named);
        for name in [
            "dev.tfvars",
            "Terraform.tfvars",
            "terraform.tfvars.bak",
            "x.autotfvars",
        ] {
            assert_eq!(VariablesStep::of_name(name), None, "{name}");
        }
    }
}
