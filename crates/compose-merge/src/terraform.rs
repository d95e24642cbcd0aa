//! The names of files with Terraform's definitions, and the types of blocks in them.

use std::fmt;

/// The syntax of a file of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `.tf`
    Hcl,
    /// `.tf.json`
    Json,
}

impl Syntax {
    /// The extension, with its dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Syntax::Hcl => ".tf",
            Syntax::Json => ".tf.json",
        }
    }
}

/// The name of a file of Terraform's definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinitionsFile<'n> {
    /// The name without its extension.
    pub stem: &'n str,
    /// The syntax of the file.
    pub syntax: Syntax,
}

impl<'n> DefinitionsFile<'n> {
    /// Parses a file name; `None` if such a file holds no definitions.
    pub fn of_name(name: &'n str) -> Option<Self> {
        [Syntax::Hcl, Syntax::Json].into_iter().find_map(|syntax| {
            let stem = name.strip_suffix(syntax.extension())?;
            Some(Self { stem, syntax })
        })
    }

    /// Is it an override file, which Terraform merges into the other files of its directory?
    pub fn is_override(&self) -> bool {
        self.stem == "override" || self.stem.ends_with("_override")
    }

    /// Does Terraform read it? It skips hidden files.
    pub fn is_read(&self) -> bool {
        !self.stem.starts_with('.') && !self.stem.is_empty()
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
    /// `provider "name"`, told apart by its alias.
    Provider,
    /// `terraform { backend … }` or `terraform { cloud … }`: one per directory.
    Backend,
    /// `terraform { required_providers … }`: one per directory.
    RequiredProviders,
    /// `terraform { provider_meta "name" … }`
    ProviderMeta,
    /// `check "name"`
    Check,
    /// `import { to = … }`: one for each address.
    Import,
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
        })
    }
}

/// A top-level block that defines something. Blocks that may be repeated for one thing (`moved`, `removed`) do not count:
/// Terraform accepts them as long as they agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockType {
    /// The address is a prefix with the labels.
    Labelled {
        kind: DefinitionKind,
        prefix: &'static str,
        labels: usize,
    },
    Import,
    Locals,
    Terraform,
}

/// A block inside `terraform` that defines something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// It may be defined once per directory, whatever its label.
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
    /// The type of a block, by the word that it starts with.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        find(BLOCK_TYPES, name)
    }
}

impl Setting {
    /// The setting, by the word that its block starts with.
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
}
