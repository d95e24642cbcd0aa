//! Draws the composition: sources with their nesting, layers with what each decides, deployments in
//! order.

use compose_model::text;

use crate::{
    compose::{
        composition::{Composition, Write},
        wording,
    },
    layer::{Origin, Source, SourceId},
};

/// A box, with its name in the source text of the picture and its lines.
struct Node {
    id: String,
    lines: Vec<String>,
}

/// An arrow from one box to the box that follows from it.
struct Edge {
    from: String,
    to: String,
    label: String,
}

struct Graph {
    sources: Vec<Node>,
    own: Node,
    deployments: Vec<Node>,
    edges: Vec<Edge>,
}

/// Returns the picture in Mermaid, which GitHub renders in Markdown. `sources` holds the sources of
/// the composed layers.
pub fn mermaid(composition: &Composition, sources: &[Source]) -> String {
    let graph = graph(composition, sources);
    let mut out = String::from("flowchart LR\n");
    let boxed = |node: &Node, open: &str, close: &str| {
        let lines: Vec<String> = node.lines.iter().map(|line| entities(line)).collect();
        format!("{}{open}\"{}\"{close}\n", node.id, lines.join("<br/>"))
    };
    for source in &graph.sources {
        out.push_str(&format!("  {}", boxed(source, "[", "]")));
    }
    out.push_str(&format!("  {}", boxed(&graph.own, "([", "])")));
    if !graph.deployments.is_empty() {
        out.push_str("  subgraph deployments\n");
        for deployment in &graph.deployments {
            out.push_str(&format!("    {}", boxed(deployment, "[[", "]]")));
        }
        out.push_str("  end\n");
    }
    for edge in &graph.edges {
        out.push_str(&format!(
            "  {} -->|\"{}\"| {}\n",
            edge.from,
            entities(&edge.label),
            edge.to
        ));
    }
    out
}

/// Returns the picture for Graphviz. `sources` holds the sources of the composed layers.
pub fn dot(composition: &Composition, sources: &[Source]) -> String {
    let graph = graph(composition, sources);
    let mut out = String::from("digraph composition {\n  rankdir=LR;\n  node [shape=box];\n");
    let boxed = |node: &Node, more: &str| {
        let lines: Vec<String> = node.lines.iter().map(|line| quoted(line)).collect();
        format!("{} [label=\"{}\"{more}];\n", node.id, lines.join("\\n"))
    };
    for source in &graph.sources {
        out.push_str(&format!("  {}", boxed(source, "")));
    }
    out.push_str(&format!("  {}", boxed(&graph.own, ", style=rounded")));
    if !graph.deployments.is_empty() {
        out.push_str("  subgraph cluster_deployments {\n    label=\"deployments\";\n");
        for deployment in &graph.deployments {
            out.push_str(&format!("    {}", boxed(deployment, ", shape=component")));
        }
        out.push_str("  }\n");
    }
    for edge in &graph.edges {
        out.push_str(&format!(
            "  {} -> {} [label=\"{}\"];\n",
            edge.from,
            edge.to,
            quoted(&edge.label)
        ));
    }
    out.push_str("}\n");
    out
}

fn graph(composition: &Composition, sources: &[Source]) -> Graph {
    let own = Node {
        id: "own".to_owned(),
        lines: vec![
            composition.environment.to_string(),
            "your own environment".to_owned(),
        ],
    };
    let mut graph = Graph {
        sources: Vec::new(),
        own,
        deployments: Vec::new(),
        edges: Vec::new(),
    };
    for (index, source) in sources.iter().enumerate() {
        let id = format!("source{}", index + 1);
        graph.sources.push(Node {
            id: id.clone(),
            lines: vec![
                source.environment.to_string(),
                wording::version(source),
                source.repo.to_string(),
            ],
        });
        let to = source
            .via
            .last()
            .map_or("own".to_owned(), |parent| format!("source{}", parent.0 + 1));
        let label = layer(composition, source, SourceId(index));
        graph.edges.push(Edge { from: id, to, label });
    }
    for (index, deployment) in composition.deployments.iter().enumerate() {
        let id = format!("deployment{}", index + 1);
        let absent = if deployment.present {
            ""
        } else {
            ", no such directory"
        };
        graph.deployments.push(Node {
            id: id.clone(),
            lines: vec![
                deployment.name.clone(),
                format!("plugin {}{absent}", deployment.plugin),
            ],
        });
        graph.edges.push(Edge {
            from: "own".to_owned(),
            to: id,
            label: (index + 1).to_string(),
        });
    }
    graph
}

/// Describes the layer's place in the stack, what the source decides, and how its deployments are
/// called.
fn layer(composition: &Composition, source: &Source, id: SourceId) -> String {
    let decides = |file: &&crate::compose::ComposedFile| {
        file.write != Write::Local
            && file
                .from
                .last()
                .is_some_and(|from| from.origin == Origin::Source(id))
    };
    let files = composition.files.iter().filter(decides).count();
    let files = if files == 1 {
        "1 file".to_owned()
    } else {
        format!("{files} files")
    };
    let renamed = source
        .rename
        .as_ref()
        .map_or(String::new(), |name| format!(", as {name}"));
    format!("layer {}: {files}{renamed}", id.0 + 1)
}

/// Replaces everything that Mermaid or HTML could take for more than text by Mermaid's own
/// entities.
fn entities(label: &str) -> String {
    let mut out = String::new();
    for c in text::escape(label, 200).chars() {
        if c.is_alphanumeric() || " .,:/()_-@+~^*=".contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("#{};", u32::from(c)));
        }
    }
    out
}

/// Returns the inside of a string in double quotes.
fn quoted(label: &str) -> String {
    text::escape(label, 200)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::World;

    fn world() -> World {
        World::new(&[("dev/terraform/a.sh", "local")])
            .source_with(
                "base",
                |source| source.via = vec![SourceId(1)],
                &[("terraform/b.sh", "b"), ("terraform/c.sh", "c")],
            )
            .source(
                "stacks/eks",
                &[("terraform/a.sh", "remote"), ("terraform/d.sh", "d")],
            )
            .image(&[("terraform", "terraform"), ("helm", "helm")])
    }

    #[test]
    fn mermaid_shows_nesting_layers_and_the_order_of_deployments() {
        let world = world();
        insta::assert_snapshot!(
            mermaid(&world.composed(), &world.layers.sources),
            @r#"
        flowchart LR
          source1["base<br/>v1.0.0 (e6c3da8f5)<br/>https://host/org/base-repo"]
          source2["stacks/eks<br/>v1.0.0 (0f4def949)<br/>https://host/org/stacks/eks-repo"]
          own(["dev<br/>your own environment"])
          subgraph deployments
            deployment1[["terraform<br/>plugin terraform"]]
            deployment2[["helm<br/>plugin helm, no such directory"]]
          end
          source1 -->|"layer 1: 2 files"| source2
          source2 -->|"layer 2: 1 file"| own
          own -->|"1"| deployment1
          own -->|"2"| deployment2
        "#
        );
    }

    #[test]
    fn dot_shows_the_same() {
        let world = world();
        insta::assert_snapshot!(
            dot(&world.composed(), &world.layers.sources),
            @r#"
        digraph composition {
          rankdir=LR;
          node [shape=box];
          source1 [label="base\nv1.0.0 (e6c3da8f5)\nhttps://host/org/base-repo"];
          source2 [label="stacks/eks\nv1.0.0 (0f4def949)\nhttps://host/org/stacks/eks-repo"];
          own [label="dev\nyour own environment", style=rounded];
          subgraph cluster_deployments {
            label="deployments";
            deployment1 [label="terraform\nplugin terraform", shape=component];
            deployment2 [label="helm\nplugin helm, no such directory", shape=component];
          }
          source1 -> source2 [label="layer 1: 2 files"];
          source2 -> own [label="layer 2: 1 file"];
          own -> deployment1 [label="1"];
          own -> deployment2 [label="2"];
        }
        "#
        );
    }

    #[test]
    fn hostile_names_stay_in_their_label() {
        assert_eq!(entities("a\"]--><b>#;"), "a#34;#93;--#62;#60;b#62;#35;#59;");
        assert_eq!(quoted("a\"];\n\\"), "a\\\"];\\\\n\\\\");
    }
}
