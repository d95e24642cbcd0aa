//! Merges whole documents: YAML and JSON.

use compose_yaml::MAX_NODES;

use super::{
    comments,
    deep::{self, Depth, Outcome},
    emit::Emitter,
    identity, json,
    merger::{Input, LostComment, MergeOutcome, Merged, Merger},
    precedence::Standing,
    refusal::{Reason, Refusal, Unmergeable},
    tree::Tree,
    value::Values,
    variables, yaml,
};

/// Deep merge of YAML mappings that keeps their text.
///
/// Mappings are merged; any other value is replaced by the higher contribution's value. A file
/// without content (empty, or comments only) contributes no keys. With PyYAML's FullLoader the
/// result loads to the deep merge of what the contributions load to: every result is checked for
/// that before it is returned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Yaml;

/// Deep merge of JSON objects that keeps their text: the numbers' digits, the order of keys, the indentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

/// Merge of `*.tfvars.json`, variable by variable. The value of a variable is replaced as a whole,
/// as Terraform does with several files of variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct TfvarsJson;

type Parse = for<'t> fn(&'t [u8], &mut Values) -> Result<Tree<'t>, Refusal>;

impl Merger for Yaml {
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        merge(input, yaml::parse, Depth::Unbounded)
    }
}

impl Merger for Json {
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        merge(input, json::parse, Depth::Unbounded)
    }
}

impl Merger for TfvarsJson {
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        for (index, contribution) in input.contributions.iter().enumerate() {
            // Terraform does not accept a variable twice.
            variables::assignments("x.json", contribution.bytes).map_err(|refusal| refusal.of(index))?;
        }
        merge(input, json::parse, Depth::Root)
    }
}

fn merge(input: &Input<'_>, parse: Parse, depth: Depth) -> Result<MergeOutcome, Unmergeable> {
    let mut values = Values::default();
    let mut trees = Vec::with_capacity(input.contributions.len());
    let mut nodes = 0;
    for (index, contribution) in input.contributions.iter().enumerate() {
        if let Some(reason) = identity::encrypted(contribution.bytes) {
            return Err(Refusal::from(reason).of(index));
        }
        let tree = parse(contribution.bytes, &mut values).map_err(|refusal| refusal.of(index))?;
        if tree.root().is_some() && !tree.is_mergeable(0) {
            let place = tree.line_column(tree.nodes[0].start);
            return Err(Refusal::new(Reason::NotMapping, place).of(index));
        }
        // All trees are in memory at once, so the bound of one holds for all together.
        nodes += tree.nodes.len();
        if nodes > MAX_NODES {
            return Err(Refusal::from(Reason::TooManyValues).of(index));
        }
        trees.push(tree);
    }
    if let Some((index, document)) = identity::find_whole(&trees) {
        return Err(Refusal::from(Reason::Whole(document)).of(index));
    }
    let standing = Standing::new(trees.len(), input.precedence);
    let merged = deep::merge(&trees, &standing, &mut values, depth)?;
    if !merged.conflicts.is_empty() {
        return Ok(MergeOutcome::Conflicts(merged.conflicts));
    }
    let own = |index: usize| input.contributions[index].bytes.to_vec();
    let (bytes, lost) = match &merged.outcome {
        None => (own(0), lost(&trees, &trees[0])),
        Some(Outcome::Keep((index, _))) => (own(*index), lost(&trees, &trees[*index])),
        Some(Outcome::Merge(merge)) => {
            let base = merge.parts[0].0;
            let mut emitter = Emitter::new(&trees, base);
            let text = emitter.file(merge)?;
            // No parser is trusted blindly, including this one: the text must load to the expected
            // value.
            let refused = |reason| Refusal::from(reason).of(trees.len() - 1);
            let again = parse(text.as_bytes(), &mut values)
                .map_err(|refusal| refused(Reason::MergedText(Box::new(refusal))))?;
            if again.root().map(|root| again.values[root]) != Some(merge.value) {
                return Err(refused(Reason::ChangedValue));
            }
            let lost = lost(&trees, &again);
            let changed = compose_yaml::without_bom(&text) != trees[base].text;
            (if changed { text.into_bytes() } else { own(base) }, lost)
        }
    };
    Ok(MergeOutcome::Merged(Merged {
        bytes,
        keys: merged.keys,
        lost,
    }))
}

/// Lists the comments that the result lacks.
fn lost(trees: &[Tree<'_>], result: &Tree<'_>) -> Vec<LostComment> {
    let all: Vec<_> = trees.iter().map(Tree::all_comments).collect();
    comments::lost_comments(&all, &result.all_comments())
}

#[cfg(test)]
mod tests {
    use compose_model::TreePath;

    use super::*;
    use crate::{
        merger::Contribution,
        precedence::Precedence,
        refusal::{Expansion, Reason},
    };

    /// Returns why two texts are not merged.
    fn refusal(lower: &str, higher: &str) -> Reason {
        let input = Input {
            path: &TreePath::new("values.yaml").unwrap(),
            contributions: &[lower, higher].map(|text| Contribution {
                bytes: text.as_bytes(),
            }),
            precedence: &|_, _| Precedence::HigherWins,
        };
        Yaml.merge(&input).unwrap_err().refusal.reason
    }

    #[test]
    fn the_values_of_all_contributions_are_bounded_together() {
        let text = format!("a: [{}]\n", "0,".repeat(MAX_NODES / 2));
        assert!(matches!(refusal(&text, &text), Reason::TooManyValues));
    }

    #[test]
    fn the_paths_of_nested_keys_are_bounded_together() {
        let nested = |value: u8| {
            let keys = format!("{}: {{", "k".repeat(1000)).repeat(100);
            let leaves: String = (0..1000).map(|leaf| format!("l{leaf}: {value}, ")).collect();
            format!("{keys}{leaves}{}\n", "}".repeat(100))
        };
        let found = refusal(&nested(1), &nested(2));
        assert!(matches!(found, Reason::Expansion(Expansion::Keys)), "{found}");
    }
}
