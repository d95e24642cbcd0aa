//! Lists what Terraform's override files set, so that two sources that override one thing in
//! different ways are found.
//!
//! Terraform merges a block of an override file into the block with the same address, argument by
//! argument. Nested blocks are replaced as a whole, all of one type together, except for
//! `lifecycle`, which is merged by argument. Of `terraform`, the `required_providers` are merged by
//! provider, and a backend replaces the other one.

use std::collections::BTreeMap;

use compose_model::TreePath;
use hcl_edit::structure::{Block, BlockLabel, Body, Structure};

use super::{
    definitions::{bodies, json_string, members},
    hcl, json,
    refusal::Refusal,
    terraform::{BlockType, DefinitionKind, DefinitionsFile, Setting, Syntax},
    tree::{Kind, NodeId, Style, Tree},
    value::Values,
    variables::{hcl_value, json_value, list, object, quoted},
};

/// The block whose arguments are merged one by one although it is nested.
const LIFECYCLE: &str = "lifecycle";

/// Something that an override file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideSetting {
    /// The argument or the type of nested block, with the address of its block:
    /// `var.region.default`, `aws_instance.web.lifecycle.prevent_destroy`, `local.name`,
    /// `terraform.required_providers.aws`.
    pub address: String,
    /// The line of its first part, from 1.
    pub line: usize,
    /// The value, in a form that allows comparing texts of both syntaxes. Equal values may look
    /// different, but different values never look equal.
    pub value: String,
}

/// Lists what an override file sets, in the order of the file. Blocks that Terraform does not
/// accept in such a file (`moved`, `import`) set nothing.
///
/// # Errors
///
/// Returns an error if the file cannot be read.
pub fn override_settings(path: &TreePath, bytes: &[u8]) -> Result<Vec<OverrideSetting>, Refusal> {
    let file = DefinitionsFile::of_name(path.file_name());
    match file.map(|file| file.syntax) {
        Some(Syntax::Json) => of_json(bytes),
        Some(Syntax::Hcl) | None => of_hcl(bytes),
    }
}

fn of_hcl(bytes: &[u8]) -> Result<Vec<OverrideSetting>, Refusal> {
    let file = hcl::parse(bytes)?;
    let mut found = Found {
        file: &file,
        all: Vec::new(),
    };
    for block in file.body.blocks() {
        let labels: Vec<&str> = block.labels.iter().map(BlockLabel::as_str).collect();
        match BlockType::of_name(block.ident.as_str()) {
            Some(BlockType::Labelled {
                kind,
                prefix,
                labels: count,
            }) if labels.len() == count => {
                let mut address = format!("{prefix}{}", labels.join("."));
                let alias = block.body.get_attribute("alias");
                if let (DefinitionKind::Provider, Some(alias)) =
                    (kind, alias.and_then(|alias| alias.value.as_str()))
                {
                    address = format!("{address}.{alias}");
                }
                found.body(&address, &block.body)?;
            }
            Some(BlockType::Locals) => found.body("local", &block.body)?,
            Some(BlockType::Terraform) => found.terraform(&block.body)?,
            _ => {}
        }
    }
    Ok(found.all)
}

struct Found<'f, 't> {
    file: &'f hcl::File<'t>,
    all: Vec<OverrideSetting>,
}

impl Found<'_, '_> {
    fn add(&mut self, address: String, part: &impl hcl_edit::Span, value: String) -> Result<(), Refusal> {
        let line = self.file.line(hcl::span(part)?.start);
        self.all.push(OverrideSetting { address, line, value });
        Ok(())
    }

    /// Adds the arguments and the nested blocks of a block.
    fn body(&mut self, address: &str, body: &Body) -> Result<(), Refusal> {
        for attribute in body.attributes() {
            let address = format!("{address}.{}", attribute.key.as_str());
            self.add(address, &attribute.key, hcl_value(&attribute.value))?;
        }
        for block in body.blocks().filter(|block| block.ident.as_str() == LIFECYCLE) {
            self.body(&format!("{address}.{LIFECYCLE}"), &block.body)?;
        }
        for (name, blocks) in by_type(body) {
            if name != LIFECYCLE {
                self.add(format!("{address}.{name}"), blocks[0], blocks_value(&blocks))?;
            }
        }
        Ok(())
    }

    fn terraform(&mut self, body: &Body) -> Result<(), Refusal> {
        for attribute in body.attributes() {
            let address = format!("terraform.{}", attribute.key.as_str());
            self.add(address, &attribute.key, hcl_value(&attribute.value))?;
        }
        for block in body.blocks() {
            match Setting::of_name(block.ident.as_str()) {
                Some(Setting::Once {
                    kind: DefinitionKind::RequiredProviders,
                    address,
                    ..
                }) => {
                    self.body(address, &block.body)?;
                }
                Some(Setting::Once { address, .. }) => {
                    self.add(
                        address.to_owned(),
                        block,
                        format!("{} {}", block.ident.as_str(), blocks_value(&[block])),
                    )?;
                }
                Some(Setting::ProviderMeta) | None => {}
            }
        }
        Ok(())
    }
}

/// Returns the nested blocks by type, in the order of the file.
fn by_type(body: &Body) -> BTreeMap<&str, Vec<&Block>> {
    let mut all: BTreeMap<&str, Vec<&Block>> = BTreeMap::new();
    for block in body.blocks() {
        all.entry(block.ident.as_str()).or_default().push(block);
    }
    all
}

/// Returns the value of nested blocks of one type, in the form in which JSON writes them.
fn blocks_value(blocks: &[&Block]) -> String {
    let value = |block: &&Block| {
        let labels = block.labels.iter().rev();
        labels.fold(body_value(&block.body), |value, label| {
            object([(quoted(label.as_str()), value)].into_iter())
        })
    };
    match blocks {
        [block] => value(block),
        blocks => list(blocks.iter().map(value)),
    }
}

fn body_value(body: &Body) -> String {
    let attributes = body.iter().filter_map(Structure::as_attribute);
    let attributes = attributes.map(|it| (quoted(it.key.as_str()), hcl_value(&it.value)));
    let blocks = by_type(body);
    let blocks = blocks
        .iter()
        .map(|(name, blocks)| (quoted(name), blocks_value(blocks)));
    object(attributes.chain(blocks))
}

fn of_json(bytes: &[u8]) -> Result<Vec<OverrideSetting>, Refusal> {
    let tree = json::parse(bytes, &mut Values::default())?;
    let mut found = Vec::new();
    for (block, content) in members(&tree, 0)? {
        match BlockType::of_name(&block) {
            Some(BlockType::Labelled { kind, prefix, labels }) => {
                for (address, node) in labelled(&tree, content, prefix, labels)? {
                    for one in bodies(&tree, node) {
                        let alias = members(&tree, one)?.into_iter().find(|(name, _)| name == "alias");
                        let alias = alias.filter(|_| kind == DefinitionKind::Provider);
                        let alias = alias.and_then(|(_, node)| json_string(&tree, node));
                        let alias = alias.map(|alias| format!(".{alias}")).unwrap_or_default();
                        json_body(&tree, &format!("{address}{alias}"), one, &mut found)?;
                    }
                }
            }
            Some(BlockType::Locals) => json_body(&tree, "local", content, &mut found)?,
            Some(BlockType::Terraform) => {
                for (name, node) in members(&tree, content)? {
                    match Setting::of_name(&name) {
                        Some(Setting::Once {
                            kind: DefinitionKind::RequiredProviders,
                            address,
                            ..
                        }) => {
                            json_body(&tree, address, node, &mut found)?;
                        }
                        Some(Setting::Once { address, .. }) => {
                            let value = format!("{name} {}", expression(&tree, node));
                            found.push(setting(&tree, address.to_owned(), node, value));
                        }
                        Some(Setting::ProviderMeta) => {}
                        None => {
                            let address = format!("terraform.{name}");
                            found.push(setting(&tree, address, node, expression(&tree, node)));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn labelled(
    tree: &Tree<'_>,
    node: NodeId,
    address: &str,
    labels: usize,
) -> Result<Vec<(String, NodeId)>, Refusal> {
    let mut all = Vec::new();
    for (label, inner) in members(tree, node)? {
        let address = format!("{address}{label}");
        match labels {
            1 => all.push((address, inner)),
            _ => all.extend(labelled(tree, inner, &format!("{address}."), labels - 1)?),
        }
    }
    Ok(all)
}

fn json_body(
    tree: &Tree<'_>,
    address: &str,
    body: NodeId,
    found: &mut Vec<OverrideSetting>,
) -> Result<(), Refusal> {
    for (name, node) in members(tree, body)? {
        let address = format!("{address}.{name}");
        if name == LIFECYCLE {
            json_body(tree, &address, node, found)?;
        } else {
            found.push(setting(tree, address, node, expression(tree, node)));
        }
    }
    Ok(())
}

fn setting(tree: &Tree<'_>, address: String, node: NodeId, value: String) -> OverrideSetting {
    let line = tree.line(tree.nodes[node].start);
    OverrideSetting { address, line, value }
}

/// Returns a value whose texts are templates, unlike those in files of variables.
fn expression(tree: &Tree<'_>, node: NodeId) -> String {
    match &tree.nodes[node].kind {
        Kind::Map(map) => object(map.entries.iter().map(|entry| {
            let value = expression(tree, entry.value);
            (json_value(tree, entry.key), value)
        })),
        Kind::Sequence { .. } => list(tree.items(node).map(|item| expression(tree, item))),
        Kind::Scalar {
            value,
            style: Style::Quoted,
        } if value.contains("${") || value.contains("%{") => {
            let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            let inner = inner.filter(|inner| !inner.contains("${"));
            match inner.and_then(|inner| inner.trim().parse::<hcl_edit::expr::Expression>().ok()) {
                Some(inner) => hcl_value(&inner),
                None => format!("template {}", quoted(value)),
            }
        }
        Kind::Scalar { .. } | Kind::Alias(_) => json_value(tree, node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, text: &str) -> Vec<(String, usize, String)> {
        let path = TreePath::new(name).unwrap();
        let found = override_settings(&path, text.as_bytes()).unwrap();
        found
            .into_iter()
            .map(|it| (it.address, it.line, it.value))
            .collect()
    }

    #[test]
    fn arguments_and_nested_blocks_are_listed_by_address() {
        let text = r#"variable "x" {
  default = 1
}
resource "aws_instance" "web" {
  ami = var.ami
  lifecycle {
    prevent_destroy = true
  }
  ebs_block_device {
    size = 1
  }
  ebs_block_device {
    size = 2
  }
}
provider "aws" {
  alias  = "west"
  region = "r"
}
locals {
  a = [1, 2]
}
terraform {
  required_version = ">= 1"
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
  backend "s3" {
    bucket = "b"
  }
}
moved {
  from = a.b
  to   = a.c
}
"#;
        let found = settings("x_override.tf", text);
        let found: Vec<_> = found
            .iter()
            .map(|(address, line, value)| (address.as_str(), *line, value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("var.x.default", 2, "float 1e0"),
                ("aws_instance.web.ami", 5, "expression var.ami"),
                ("aws_instance.web.lifecycle.prevent_destroy", 7, "true"),
                (
                    "aws_instance.web.ebs_block_device",
                    9,
                    "[{\"size\":float 1e0},{\"size\":float 2e0}]"
                ),
                ("provider.aws.west.alias", 17, "\"west\""),
                ("provider.aws.west.region", 18, "\"r\""),
                ("local.a", 21, "[float 1e0,float 2e0]"),
                ("terraform.required_version", 24, "\">= 1\""),
                (
                    "terraform.required_providers.aws",
                    26,
                    "{\"source\":\"hashicorp/aws\"}"
                ),
                ("terraform.backend", 28, "backend {\"s3\":{\"bucket\":\"b\"}}"),
            ]
        );
    }

    #[test]
    fn both_syntaxes_and_any_layout_say_the_same() {
        let values = |name: &str, text: &str| -> Vec<_> {
            let mut all: Vec<_> = settings(name, text)
                .into_iter()
                .map(|(address, _, value)| (address, value))
                .collect();
            all.sort();
            all
        };
        let hcl = "resource \"a\" \"b\" {\n  x = var.y\n  z = \"t\"\n  lifecycle {\n    prevent_destroy = true\n  }\n  n {\n    k = 1 + 2\n  }\n}\nprovider \"aws\" {\n  alias = \"w\"\n}\nterraform {\n  backend \"local\" {\n    path = \"p\"\n  }\n}\n";
        let json = r#"{"resource": {"a": {"b": {"x": "${ var.y }", "z": "t", "lifecycle": {"prevent_destroy": true}, "n": {"k": "${1+2}"}}}},
            "provider": {"aws": {"alias": "w"}}, "terraform": [{"backend": {"local": {"path": "p"}}}]}"#;
        assert_eq!(values("override.tf", hcl), values("override.tf.json", json));
        for (one, other, same) in [
            ("f( a , [1,2] )", "f(a, [1, 2])", true),
            ("[for x in y : x]", "[ for x in y: x ]", true),
            ("f(\"a b\")", "f(\"ab\")", false),
            ("\"${a}\"", "\"${ b }\"", false),
            ("a - b", "a-b", false),
            ("f(\"\\\" a\")", "f(\"\\\"a\")", false),
        ] {
            let of = |value: &str| values("override.tf", &format!("locals {{\n  v = {value}\n}}\n"));
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
    }
}
