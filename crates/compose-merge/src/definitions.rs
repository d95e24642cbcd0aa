//! Lists what Terraform files define, so that duplicate definitions are found before Terraform runs.

use std::collections::HashMap;

use compose_model::TreePath;
use hcl_edit::structure::{Block, Structure};

use super::{
    hcl, json,
    refusal::{Refusal, TerraformProblem},
    terraform::{BlockType, DefinitionKind, DefinitionsFile, Setting, Syntax},
    tree::{Kind, NodeId, Tree},
    value::Values,
};

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The kind of the definition.
    pub kind: DefinitionKind,
    /// Its address in Terraform: `aws_instance.web`, `data.aws_ami.this`, `module.vpc`, `var.region`, `output.id`,
    /// `local.name`, `provider.aws`, `provider.aws.west` (an alias), `terraform.backend`, `terraform.required_providers`,
    /// `terraform.provider_meta.aws`, `check.health`, `import.aws_instance.web`; of `moved` and `removed` the address that
    /// they name.
    pub address: String,
    /// The line of the definition, from 1.
    pub line: usize,
    /// What the definition says of the address, if several definitions may say the same (`moved`,
    /// `removed`).
    pub says: Option<String>,
}

impl Definition {
    /// Returns a definition that must not be repeated.
    fn new(kind: DefinitionKind, address: String, line: usize) -> Self {
        Self {
            kind,
            address,
            line,
            says: None,
        }
    }
}

/// A definition that occurs twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The kind of both definitions.
    pub kind: DefinitionKind,
    /// Its address.
    pub address: String,
    /// The file (the caller's index) and the line of the first definition.
    pub first: (usize, usize),
    /// The file and the line of the second definition.
    pub second: (usize, usize),
}

/// Lists what a file of definitions defines, in the order of the file.
pub fn definitions(path: &TreePath, bytes: &[u8]) -> Result<Vec<Definition>, Refusal> {
    let file = DefinitionsFile::of_name(path.file_name());
    match file.map(|file| file.syntax) {
        Some(Syntax::Json) => of_json(bytes),
        Some(Syntax::Hcl) | None => of_hcl(bytes),
    }
}

/// Finds definitions that occur more than once, and pairs each further definition with the first
/// one. Definitions that may be repeated (`moved`, `removed`) are reported if they say different
/// things: Terraform refuses two such `moved` blocks, and of two such `removed` blocks it follows
/// the one in the file whose name comes first. `files` holds the definitions of the files of one
/// directory, each with an index that the caller chooses.
pub fn duplicates(files: &[(usize, Vec<Definition>)]) -> Vec<Duplicate> {
    let mut seen: HashMap<(DefinitionKind, &str), (usize, &Definition)> = HashMap::new();
    let mut found = Vec::new();
    for (index, definitions) in files {
        for definition in definitions {
            match seen.get(&(definition.kind, definition.address.as_str())) {
                Some((_, first)) if first.says.is_some() && first.says == definition.says => {}
                Some((of, first)) => found.push(Duplicate {
                    kind: definition.kind,
                    address: definition.address.clone(),
                    first: (*of, first.line),
                    second: (*index, definition.line),
                }),
                None => {
                    seen.insert((definition.kind, &definition.address), (*index, definition));
                }
            }
        }
    }
    found
}

/// Returns an address without the white space that may be written in it.
fn plain_address(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Returns the definitions that a `moved` block makes.
fn moved(from: &str, to: &str, line: usize) -> [Definition; 2] {
    let (from, to) = (plain_address(from), plain_address(to));
    let definition = |kind, address: &String, says: &String| Definition {
        kind,
        address: address.clone(),
        line,
        says: Some(says.clone()),
    };
    [
        definition(DefinitionKind::MovedFrom, &from, &to),
        definition(DefinitionKind::MovedTo, &to, &from),
    ]
}

/// Returns the definition that a `removed` block makes. A removed object is destroyed unless the
/// block's `lifecycle` says otherwise.
fn removed(from: &str, destroy: Option<&str>, line: usize) -> Definition {
    Definition {
        kind: DefinitionKind::Removed,
        address: plain_address(from),
        line,
        says: Some(destroy.unwrap_or("true").to_owned()),
    }
}

/// Returns the address of an `import`'s `to`, or `None` if it may expand to several addresses
/// (`for_each`).
fn imported(to: &str) -> Option<String> {
    let address = plain_address(to);
    let fixed = !address.is_empty()
        && !["each.", "var.", "local."]
            .iter()
            .any(|part| address.contains(part));
    fixed.then(|| format!("import.{address}"))
}

fn of_hcl(bytes: &[u8]) -> Result<Vec<Definition>, Refusal> {
    let file = hcl::parse(bytes)?;
    let mut found = Vec::new();
    for block in file.body.iter().filter_map(Structure::as_block) {
        let line_of = |part: &Block| Ok::<_, Refusal>(file.line(hcl::span(part)?.start));
        let text_of = |block: &Block, name| {
            let attribute = block.body.get_attribute(name);
            let span = attribute.map(|it| hcl::span(&it.value)).transpose()?;
            Ok::<_, Refusal>(span.map(|span| &file.text[span]))
        };
        let line = line_of(block)?;
        let name = block.ident.as_str();
        match BlockType::of_name(name) {
            None => {}
            Some(BlockType::Labelled { kind, prefix, labels }) => {
                if block.labels.len() != labels {
                    let problem = TerraformProblem::Labels {
                        block: name.to_owned(),
                        count: block.labels.len(),
                    };
                    return Err(file.refuse(problem, block));
                }
                let labels: Vec<&str> = block
                    .labels
                    .iter()
                    .map(hcl_edit::structure::BlockLabel::as_str)
                    .collect();
                let mut address = format!("{prefix}{}", labels.join("."));
                if kind == DefinitionKind::Provider
                    && let Some(alias) = block
                        .body
                        .get_attribute("alias")
                        .and_then(|alias| alias.value.as_str())
                {
                    address = format!("{address}.{alias}");
                }
                found.push(Definition::new(kind, address, line));
            }
            Some(BlockType::Import) => {
                let address = text_of(block, "to")?.and_then(imported);
                found.extend(address.map(|address| Definition::new(DefinitionKind::Import, address, line)));
            }
            Some(BlockType::Moved) => {
                if let (Some(from), Some(to)) = (text_of(block, "from")?, text_of(block, "to")?) {
                    found.extend(moved(from, to, line));
                }
            }
            Some(BlockType::Removed) => {
                let lifecycle = block.body.get_blocks("lifecycle").next();
                let destroy = lifecycle.map(|block| text_of(block, "destroy")).transpose()?;
                if let Some(from) = text_of(block, "from")? {
                    found.push(removed(from, destroy.flatten(), line));
                }
            }
            Some(BlockType::Locals) => {
                for local in block.body.attributes() {
                    let line = file.line(hcl::span(&local.key)?.start);
                    let address = format!("local.{}", local.key.as_str());
                    found.push(Definition::new(DefinitionKind::Local, address, line));
                }
            }
            Some(BlockType::Terraform) => {
                for inner in block.body.blocks() {
                    let line = line_of(inner)?;
                    let (kind, address) = match (Setting::of_name(inner.ident.as_str()), &*inner.labels) {
                        (Some(Setting::Once { kind, address, .. }), _) => (kind, address.to_owned()),
                        (Some(Setting::ProviderMeta), [provider]) => (
                            DefinitionKind::ProviderMeta,
                            format!("terraform.provider_meta.{}", provider.as_str()),
                        ),
                        (Some(Setting::ProviderMeta) | None, _) => continue,
                    };
                    found.push(Definition::new(kind, address, line));
                }
            }
        }
    }
    Ok(found)
}

fn of_json(bytes: &[u8]) -> Result<Vec<Definition>, Refusal> {
    let tree = json::parse(bytes, &mut Values::default())?;
    let mut found = Vec::new();
    let line_of = |node: NodeId| tree.line(tree.nodes[node].start);
    for (block, content) in members(&tree, 0)? {
        let mut add = |kind, address: String, node: NodeId| {
            found.push(Definition::new(kind, address, line_of(node)));
        };
        match BlockType::of_name(&block) {
            None => {}
            Some(BlockType::Labelled { kind, prefix, labels }) => {
                for (name, node) in members(&tree, content)? {
                    if labels == 2 {
                        for (second, node) in members(&tree, node)? {
                            for one in bodies(&tree, node) {
                                add(kind, format!("{prefix}{name}.{second}"), one);
                            }
                        }
                    } else if kind == DefinitionKind::Provider {
                        for one in bodies(&tree, node) {
                            let alias = string_member(&tree, one, "alias")?;
                            let alias = alias.map(|alias| format!(".{alias}")).unwrap_or_default();
                            add(kind, format!("{prefix}{name}{alias}"), one);
                        }
                    } else {
                        for one in bodies(&tree, node) {
                            add(kind, format!("{prefix}{name}"), one);
                        }
                    }
                }
            }
            Some(BlockType::Import) => {
                for one in bodies(&tree, content) {
                    let to = string_member(&tree, one, "to")?;
                    if let Some(address) = to.as_deref().and_then(imported) {
                        add(DefinitionKind::Import, address, one);
                    }
                }
            }
            Some(BlockType::Moved) => {
                for one in bodies(&tree, content) {
                    let (from, to) = (
                        string_member(&tree, one, "from")?,
                        string_member(&tree, one, "to")?,
                    );
                    if let (Some(from), Some(to)) = (from, to) {
                        found.extend(moved(&from, &to, line_of(one)));
                    }
                }
            }
            Some(BlockType::Removed) => {
                for one in bodies(&tree, content) {
                    let Some(from) = string_member(&tree, one, "from")? else {
                        continue;
                    };
                    let lifecycle = member(&tree, one, "lifecycle")?;
                    let destroy = lifecycle.map(|node| member(&tree, node, "destroy")).transpose()?;
                    let destroy = destroy.flatten().map(|node| &tree.text[tree.nodes[node].span()]);
                    found.push(removed(&from, destroy, line_of(one)));
                }
            }
            Some(BlockType::Locals) => {
                for (name, node) in members(&tree, content)? {
                    add(DefinitionKind::Local, format!("local.{name}"), node);
                }
            }
            Some(BlockType::Terraform) => {
                for (name, node) in members(&tree, content)? {
                    match Setting::of_name(&name) {
                        None => {}
                        Some(Setting::ProviderMeta) => {
                            for (provider, node) in members(&tree, node)? {
                                for one in bodies(&tree, node) {
                                    let address = format!("terraform.provider_meta.{provider}");
                                    add(DefinitionKind::ProviderMeta, address, one);
                                }
                            }
                        }
                        Some(Setting::Once {
                            kind,
                            address,
                            labelled,
                        }) => {
                            // The label of a backend is its type. `{"local": null}` does not define
                            // one.
                            let blocks = if labelled {
                                members(&tree, node)?
                            } else {
                                vec![(name, node)]
                            };
                            if blocks.iter().any(|(_, node)| !bodies(&tree, *node).is_empty()) {
                                add(kind, address.to_owned(), node);
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Returns the node itself, or the items of a list. In Terraform's JSON both are blocks, and `null`
/// is not one.
pub(super) fn bodies(tree: &Tree<'_>, node: NodeId) -> Vec<NodeId> {
    let is_null = |node: NodeId| &tree.text[tree.nodes[node].start..tree.nodes[node].end] == "null";
    if is_null(node) {
        return Vec::new();
    }
    if !matches!(tree.nodes[node].kind, Kind::Sequence { .. }) {
        return vec![node];
    }
    let first = Some(node + 1).filter(|first| *first < tree.nodes[node].next);
    let items = std::iter::successors(first, |item| {
        Some(tree.nodes[*item].next).filter(|next| *next < tree.nodes[node].next)
    });
    items.filter(|item| !is_null(*item)).collect()
}

/// Returns the keys and values of an object, or of a list of objects. Comments (the key `//`) are
/// left out.
pub(super) fn members(tree: &Tree<'_>, node: NodeId) -> Result<Vec<(String, NodeId)>, Refusal> {
    let mut all = Vec::new();
    for body in bodies(tree, node) {
        let map = tree.map(body).ok_or_else(|| {
            let place = tree.line_column(tree.nodes[body].start);
            Refusal::new(TerraformProblem::NotObject.into(), place)
        })?;
        let entries = map
            .entries
            .iter()
            .filter_map(|entry| Some((json_string(tree, entry.key)?, entry.value)));
        all.extend(entries.filter(|(key, _)| key != "//"));
    }
    Ok(all)
}

/// Returns the value under a key of an object.
fn member(tree: &Tree<'_>, object: NodeId, key: &str) -> Result<Option<NodeId>, Refusal> {
    let found = members(tree, object)?.into_iter().find(|(name, _)| name == key);
    Ok(found.map(|(_, node)| node))
}

/// Returns the string under a key of an object.
fn string_member(tree: &Tree<'_>, object: NodeId, key: &str) -> Result<Option<String>, Refusal> {
    let node = member(tree, object, key)?;
    Ok(node.and_then(|node| json_string(tree, node)))
}

/// Returns the string of a node, or `None` if it is something else.
pub(super) fn json_string(tree: &Tree<'_>, node: NodeId) -> Option<String> {
    serde_json::from_str(&tree.text[tree.nodes[node].start..tree.nodes[node].end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(name: &str, text: &str) -> Vec<(String, usize)> {
        let found = definitions(&TreePath::new(name).unwrap(), text.as_bytes()).unwrap();
        found.into_iter().map(|it| (it.address, it.line)).collect()
    }

    #[test]
    fn every_kind_of_block_has_its_address() {
        let text = r#"terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
  backend "s3" {}
}
provider "aws" { region = var.region }
provider "aws" {
  alias = "west"
}
resource "aws_instance" "web" {}
data "aws_ami" "this" {}
module "vpc" { source = "./vpc" }
variable "region" {}
output "id" { value = 1 }
locals {
  a = 1
  b = { a = 2 }
}
moved {
  from = a.b
  to   = a.c
}
"#;
        let expected = [
            ("terraform.required_providers", 2),
            ("terraform.backend", 3),
            ("provider.aws", 5),
            ("provider.aws.west", 6),
            ("aws_instance.web", 9),
            ("data.aws_ami.this", 10),
            ("module.vpc", 11),
            ("var.region", 12),
            ("output.id", 13),
            ("local.a", 15),
            ("local.b", 16),
            ("a.b", 18),
            ("a.c", 18),
        ];
        assert_eq!(
            addresses("main.tf", text),
            expected.map(|(address, line)| (address.to_owned(), line))
        );
    }

    #[test]
    fn json_is_read_in_all_its_shapes() {
        let text = r#"{
  "//": "a comment",
  "terraform": [{"cloud": {}}],
  "provider": {"aws": [{}, {"alias": "west"}]},
  "resource": {"aws_instance": {"web": {}, "db": [{}]}},
  "variable": [{"region": {}}],
  "locals": {"a": 1}
}"#;
        let expected = [
            ("terraform.backend", 3),
            ("provider.aws", 4),
            ("provider.aws.west", 4),
            ("aws_instance.web", 5),
            ("aws_instance.db", 5),
            ("var.region", 6),
            ("local.a", 7),
        ];
        assert_eq!(
            addresses("main.tf.json", text),
            expected.map(|(address, line)| (address.to_owned(), line))
        );
    }

    #[test]
    fn duplicates_name_both_places_across_the_two_syntaxes() {
        let of =
            |name: &str, text: &str| definitions(&TreePath::new(name).unwrap(), text.as_bytes()).unwrap();
        let files = [
            (
                7,
                of("a.tf", "variable \"x\" {}\nterraform {\n  backend \"s3\" {}\n}\n"),
            ),
            (
                9,
                of(
                    "b.tf.json",
                    "{\"variable\": {\"x\": {}},\n\"terraform\": {\"cloud\": {}}, \"output\": {\"x\": {}}}",
                ),
            ),
        ];
        let found: Vec<_> = duplicates(&files)
            .into_iter()
            .map(|it| (it.address, it.first, it.second))
            .collect();
        let expected = [("var.x", (7, 1), (9, 1)), ("terraform.backend", (7, 3), (9, 2))];
        assert_eq!(
            found,
            expected.map(|(address, first, second)| (address.to_owned(), first, second))
        );
    }

    #[test]
    fn what_terraform_would_not_read_says_why() {
        for (name, text, why) in [
            (
                "a.tf",
                "resource \"x\" {}\n",
                "it has a `resource` block with 1 labels",
            ),
            ("a.tf", "resource {{\n", "it is not valid HCL"),
            ("a.tf.json", "{\"resource\": 1}", "expects an object"),
            ("a.tf.json", "{", "it is not valid JSON"),
        ] {
            let error = definitions(&TreePath::new(name).unwrap(), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
