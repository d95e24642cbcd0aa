//! Merges `.terraform.lock.hcl`, provider by provider.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::{
    expr::Expression,
    structure::{Block, Structure},
};

use compose_yaml::{Edit, apply};

use super::{
    comments,
    hcl::{self, File},
    identity,
    key_path::key_component,
    merger::{Input, KeyConflict, KeyOrigin, KeyPlace, MergeOutcome, Merged, Merger},
    precedence::Standing,
    refusal::{Reason, Refusal, TerraformProblem, Unmergeable},
};

/// Merges the providers of several lock files. If the versions agree, the hashes are combined (each
/// is for one platform or way of packing) and sorted as Terraform sorts them, and so are the
/// constraints. If the versions differ, the prevailing block is used unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct LockHcl;

/// One `provider` block.
struct Provider {
    block: std::ops::Range<usize>,
    version: String,
    constraints: Option<(String, std::ops::Range<usize>)>,
    hashes: Option<(BTreeSet<String>, std::ops::Range<usize>)>,
}

fn string(file: &File<'_>, expression: &Expression) -> Result<String, Refusal> {
    expression
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| file.refuse(TerraformProblem::NotString, expression))
}

fn provider(file: &File<'_>, block: &Block) -> Result<Provider, Refusal> {
    let mut found = Provider {
        block: hcl::span(block)?,
        version: String::new(),
        constraints: None,
        hashes: None,
    };
    for attribute in block.body.attributes() {
        let place = hcl::span(&attribute.value)?;
        match attribute.key.as_str() {
            "version" => found.version = string(file, &attribute.value)?,
            "constraints" => found.constraints = Some((string(file, &attribute.value)?, place)),
            "hashes" => {
                let Some(array) = attribute.value.as_array() else {
                    return Err(file.refuse(TerraformProblem::NotList, &attribute.value));
                };
                let hashes = array.iter().map(|hash| string(file, hash));
                found.hashes = Some((hashes.collect::<Result<_, _>>()?, place));
            }
            other => {
                let problem = TerraformProblem::UnknownAttribute(other.to_owned());
                return Err(file.refuse(problem, &attribute.key));
            }
        }
    }
    Ok(found)
}

fn providers(file: &File<'_>) -> Result<BTreeMap<String, Provider>, Refusal> {
    let mut all = BTreeMap::new();
    for structure in &file.body {
        let Structure::Block(block) = structure else {
            return Err(file.refuse(TerraformProblem::AttributeOutside, structure));
        };
        let [address] = &block.labels[..] else {
            return Err(file.refuse(TerraformProblem::NoAddress, block));
        };
        if block.ident.as_str() != "provider" {
            let problem = TerraformProblem::UnknownBlock(block.ident.as_str().to_owned());
            return Err(file.refuse(problem, block));
        }
        if all
            .insert(address.as_str().to_owned(), provider(file, block)?)
            .is_some()
        {
            let problem = TerraformProblem::ProviderTwice(address.as_str().to_owned());
            return Err(file.refuse(problem, block));
        }
    }
    Ok(all)
}

impl Merger for LockHcl {
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        let mut files = Vec::new();
        for (index, contribution) in input.contributions.iter().enumerate() {
            let unmergeable = |refusal: Refusal| refusal.of(index);
            if let Some(reason) = identity::encrypted(contribution.bytes) {
                return Err(unmergeable(reason.into()));
            }
            let file = hcl::parse(contribution.bytes).map_err(unmergeable)?;
            let providers = providers(&file).map_err(unmergeable)?;
            files.push((file, providers));
        }
        let standing = Standing::new(files.len(), input.precedence);
        let (bytes, keys) = match merge(&files, &standing) {
            Ok(done) => done,
            Err(conflicts) => return Ok(MergeOutcome::Conflicts(conflicts)),
        };
        let again = hcl::parse(&bytes)
            .map_err(|refusal| Refusal::from(Reason::MergedText(Box::new(refusal))).of(files.len() - 1))?;
        let all: Vec<_> = files.iter().map(|(file, _)| file.all_comments()).collect();
        let lost = comments::lost_comments(&all, &again.all_comments());
        drop(again);
        Ok(MergeOutcome::Merged(Merged { bytes, keys, lost }))
    }
}

/// Returns the merged text with the origins of its keys, or the conflicts.
fn merge(
    files: &[(File<'_>, BTreeMap<String, Provider>)],
    standing: &Standing,
) -> Result<(Vec<u8>, Vec<KeyOrigin>), Vec<KeyConflict>> {
    let base = &files[0].0;
    let (mut edits, mut keys, mut conflicts) = (Vec::new(), Vec::new(), Vec::new());
    let addresses: BTreeSet<&String> = files.iter().flat_map(|(_, providers)| providers.keys()).collect();
    for address in addresses {
        let setters: Vec<usize> = (0..files.len())
            .filter(|index| files[*index].1.contains_key(address))
            .collect();
        let of = |index: usize| &files[index].1[address];
        // Contributions that agree on the version are combined, in any order.
        let in_play = standing.in_play(&setters, |lower, higher| of(lower).version != of(higher).version);
        let frame = in_play[0];
        let place = |contribution: usize| KeyPlace {
            contribution,
            line: files[contribution].0.line(of(contribution).block.start),
        };
        let path = format!("provider.{}", key_component(address));
        for other in in_play
            .iter()
            .filter(|other| of(**other).version != of(frame).version)
        {
            let key = format!("{path}.version");
            conflicts.push(KeyConflict {
                key,
                lower: place(frame),
                higher: place(*other),
            });
        }
        let mut overridden: Vec<usize> = setters
            .iter()
            .filter(|it| of(**it).version != of(frame).version)
            .copied()
            .collect();
        overridden.reverse();
        for key in ["version", "constraints", "hashes"] {
            keys.push(KeyOrigin {
                key: format!("{path}.{key}"),
                winner: frame,
                line: place(frame).line,
                overridden: overridden.clone(),
            });
        }
        let text = united(files, address, &in_play);
        if let Some(own) = files[0].1.get(address) {
            edits.push(Edit {
                range: own.block.clone(),
                text,
            });
        } else {
            // Terraform sorts the file by address.
            let next = files[0].1.range::<String, _>(address..).next();
            edits.push(match next {
                Some((_, next)) => Edit::insert(next.block.start, format!("{text}\n\n")),
                None => Edit::insert(base.text.len(), format!("\n{text}\n")),
            });
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let eol = base.line_break();
    for edit in &mut edits {
        edit.text = edit.text.replace("\r\n", "\n").replace('\n', eol);
    }
    let text = apply(&base.text, 0..base.text.len(), edits);
    Ok((text.into_bytes(), keys))
}

/// Writes the block of a provider on whose version the contributions agree.
fn united(files: &[(File<'_>, BTreeMap<String, Provider>)], address: &str, in_play: &[usize]) -> String {
    let (file, providers) = &files[in_play[0]];
    let frame = &providers[address];
    let all = || in_play.iter().map(|index| &files[*index].1[address]);
    let mut edits = Vec::new();
    if let Some((own, place)) = &frame.hashes {
        let hashes: BTreeSet<&String> = all()
            .filter_map(|it| it.hashes.as_ref())
            .flat_map(|(hashes, _)| hashes)
            .collect();
        if hashes.len() > own.len() {
            let lines: String = hashes.iter().map(|hash| format!("    \"{hash}\",\n")).collect();
            edits.push(Edit {
                range: place.clone(),
                text: format!("[\n{lines}  ]"),
            });
        }
    }
    if let Some((own, place)) = &frame.constraints {
        let mut parts: Vec<&str> = Vec::new();
        for part in all()
            .filter_map(|it| it.constraints.as_ref())
            .flat_map(|(constraints, _)| constraints.split(','))
        {
            if !parts.contains(&part.trim()) {
                parts.push(part.trim());
            }
        }
        if parts.len() > own.split(',').count() {
            edits.push(Edit {
                range: place.clone(),
                text: format!("\"{}\"", parts.join(", ")),
            });
        }
    }
    apply(&file.text, frame.block.clone(), edits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{conflicts, equals, last, merge_text, merged};

    fn block(name: &str, version: &str, hashes: &[&str]) -> String {
        let hashes: String = hashes.iter().map(|hash| format!("    \"{hash}\",\n")).collect();
        let address = format!("registry.terraform.io/hashicorp/{name}");
        format!(
            "provider \"{address}\" {{\n  version     = \"{version}\"\n  constraints = \"~> 1.0\"\n  hashes = [\n{hashes}  ]\n}}\n"
        )
    }

    const HEAD: &str = "# This file is maintained automatically by \"terraform init\".\n\n";

    #[test]
    fn providers_are_united_in_order_and_so_are_the_hashes_of_one_version() {
        let lower = format!(
            "{HEAD}{}\n{}",
            block("aws", "5.1.0", &["zh:b"]),
            block("tls", "4.0.0", &["h1:t"])
        );
        let higher = format!(
            "{HEAD}{}\n{}",
            block("aws", "5.1.0", &["h1:a", "zh:b"]),
            block("null", "3.2.1", &["h1:n"])
        );
        let merged = merged(&LockHcl, &[&lower, &higher], equals);
        let expected = [
            block("aws", "5.1.0", &["h1:a", "zh:b"]),
            block("null", "3.2.1", &["h1:n"]),
            block("tls", "4.0.0", &["h1:t"]),
        ];
        assert_eq!(
            String::from_utf8(merged.bytes).unwrap(),
            format!("{HEAD}{}", expected.join("\n"))
        );
    }

    #[test]
    fn differing_versions_are_a_conflict_between_equals_and_taken_whole_from_the_higher_one() {
        let (lower, higher) = (block("aws", "5.1.0", &["h1:a"]), block("aws", "5.2.0", &["h1:b"]));
        let conflicts = conflicts(&LockHcl, &[&lower, &higher], equals);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(
            conflicts[0].key,
            "provider.\"registry.terraform.io/hashicorp/aws\".version"
        );
        let merged = merged(&LockHcl, &[&lower, &higher], last);
        assert_eq!(String::from_utf8(merged.bytes).unwrap(), higher);
        assert_eq!(merged.keys[0].overridden, [0]);
    }

    #[test]
    fn files_that_are_not_lock_files_are_not_merged() {
        for text in [
            "a = 1\n",
            "provider \"a\" {\n  extra = 1\n}\n",
            "provider \"a\" \"b\" {\n}\n",
        ] {
            assert_eq!(
                merge_text(&LockHcl, &["", text], last).unwrap_err().index,
                1,
                "{text}"
            );
        }
    }
}
