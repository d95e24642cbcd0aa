//! Merges files of Terraform's variables, attribute by attribute.

use std::{collections::HashMap, ops::Range};

use hcl_edit::structure::{Attribute, Structure};

use compose_yaml::{Edit, apply};

use super::{
    comments,
    hcl::{self, File},
    identity,
    key_path::key_component,
    merger::{Input, KeyConflict, KeyOrigin, KeyPlace, MergeOutcome, Merged, Merger},
    precedence::Standing,
    refusal::{Reason, Refusal, TerraformProblem, Unmergeable},
    splice::contains_comment,
    value::{ValueId, Values},
};

/// Merges variables: the higher contribution's value replaces the lower one's as a whole, as
/// Terraform does with several files of variables. The lowest file determines formatting, order and
/// comments; new variables are appended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tfvars;

struct Variable {
    key: Range<usize>,
    name: String,
    /// The range of the value.
    text: Range<usize>,
    value: ValueId,
    /// The end of the preceding variable.
    after: Option<usize>,
}

/// Returns a part of a file of variables as an attribute, or refuses it if it is a block.
pub(super) fn attribute<'f>(file: &File<'_>, structure: &'f Structure) -> Result<&'f Attribute, Refusal> {
    let refusal = || file.refuse(TerraformProblem::BlockAmongVariables, structure);
    structure.as_attribute().ok_or_else(refusal)
}

fn variables(file: &File<'_>, values: &mut Values) -> Result<Vec<Variable>, Refusal> {
    let mut all: Vec<Variable> = Vec::new();
    for structure in &file.body {
        let attribute = attribute(file, structure)?;
        all.push(Variable {
            key: hcl::span(&attribute.key)?,
            name: attribute.key.as_str().to_owned(),
            text: hcl::span(&attribute.value)?,
            value: hcl::value(&attribute.value, values),
            after: all.last().map(|last| last.text.end),
        });
    }
    Ok(all)
}

impl Merger for Tfvars {
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        let mut values = Values::default();
        let mut files = Vec::new();
        for (index, contribution) in input.contributions.iter().enumerate() {
            let unmergeable = |refusal: Refusal| refusal.of(index);
            if let Some(reason) = identity::encrypted(contribution.bytes) {
                return Err(unmergeable(reason.into()));
            }
            let file = hcl::parse(contribution.bytes).map_err(unmergeable)?;
            let variables = variables(&file, &mut values).map_err(unmergeable)?;
            files.push((file, variables));
        }
        let standing = Standing::new(files.len(), input.precedence);
        let merge = Merge {
            files: &files,
            standing: &standing,
        };
        let (bytes, keys) = match merge.run() {
            Ok(done) => done,
            Err(conflicts) => return Ok(MergeOutcome::Conflicts(conflicts)),
        };
        let refused = |reason: Reason| Refusal::from(reason).of(files.len() - 1);
        let unreadable = |refusal| refused(Reason::MergedText(Box::new(refusal)));
        let again = hcl::parse(&bytes).map_err(unreadable)?;
        let loaded = variables(&again, &mut values).map_err(unreadable)?;
        let expected = merge.expected();
        let same = loaded.len() == expected.len()
            && loaded
                .iter()
                .all(|variable| expected.get(variable.name.as_str()) == Some(&variable.value));
        if !same {
            return Err(refused(Reason::ChangedValue));
        }
        let all: Vec<_> = files.iter().map(|(file, _)| file.all_comments()).collect();
        let lost = comments::lost_comments(&all, &again.all_comments());
        drop(again);
        Ok(MergeOutcome::Merged(Merged { bytes, keys, lost }))
    }
}

struct Merge<'a, 't> {
    files: &'a [(File<'t>, Vec<Variable>)],
    standing: &'a Standing,
}

impl<'a> Merge<'a, '_> {
    /// Returns all variables in the order of the result, each with the contributions that set it.
    fn setters(&self) -> Vec<Vec<(usize, &'a Variable)>> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut all: Vec<Vec<(usize, &Variable)>> = Vec::new();
        for (index, (_, variables)) in self.files.iter().enumerate() {
            for variable in variables {
                let place = *places.entry(&variable.name).or_insert_with(|| {
                    all.push(Vec::new());
                    all.len() - 1
                });
                all[place].push((index, variable));
            }
        }
        all
    }

    /// Returns the contributions that count for a variable.
    fn in_play(&self, setters: &[(usize, &'a Variable)]) -> Vec<(usize, &'a Variable)> {
        let all: Vec<usize> = setters.iter().map(|(index, _)| *index).collect();
        let in_play = self.standing.in_play(&all, |_, _| true);
        setters
            .iter()
            .filter(|(index, _)| in_play.contains(index))
            .copied()
            .collect()
    }

    fn expected(&self) -> HashMap<&'a str, ValueId> {
        let setters = self.setters();
        let winners = setters.iter().map(|setters| self.in_play(setters)[0].1);
        winners
            .map(|variable| (variable.name.as_str(), variable.value))
            .collect()
    }

    /// Returns the merged text with the origins of its keys, or the conflicts.
    fn run(&self) -> Result<(Vec<u8>, Vec<KeyOrigin>), Vec<KeyConflict>> {
        let base = &self.files[0].0;
        let (mut edits, mut added) = (Vec::new(), String::new());
        let (mut keys, mut conflicts) = (Vec::new(), Vec::new());
        for setters in self.setters() {
            let in_play = self.in_play(&setters);
            let (winner, variable) = in_play[0];
            let place = |(contribution, variable): (usize, &Variable)| KeyPlace {
                contribution,
                line: self.files[contribution].0.line(variable.key.start),
            };
            let key = key_component(&variable.name);
            for other in in_play.iter().filter(|other| other.1.value != variable.value) {
                conflicts.push(KeyConflict {
                    key: key.clone(),
                    lower: place(in_play[0]),
                    higher: place(*other),
                });
            }
            let mut overridden: Vec<usize> = setters
                .iter()
                .filter(|it| it.1.value != variable.value)
                .map(|it| it.0)
                .collect();
            overridden.reverse();
            keys.push(KeyOrigin {
                key,
                winner,
                line: place((winner, variable)).line,
                overridden,
            });
            let (first, frame) = setters[0];
            if first > 0 {
                added.push_str(&self.chunk((first, frame), (winner, variable)));
            } else if winner > 0 {
                self.replace(frame, (winner, variable), &mut edits);
            }
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        edits.push(Edit::insert(base.text.len(), added));
        let eol = base.line_break();
        // The line breaks of a heredoc are part of its value.
        for edit in edits.iter_mut().filter(|edit| !edit.text.contains("<<")) {
            edit.text = edit.text.replace("\r\n", "\n").replace('\n', eol);
        }
        let bom = if base.bom { "\u{feff}" } else { "" };
        let text = format!("{bom}{}", apply(&base.text, 0..base.text.len(), edits));
        Ok((text.into_bytes(), keys))
    }

    /// Writes a variable that the lowest file lacks, as whole lines with its comments.
    fn chunk(&self, (first, frame): (usize, &Variable), (winner, variable): (usize, &Variable)) -> String {
        let file = &self.files[first].0;
        let mut edits = Vec::new();
        if winner != first {
            self.replace_in((first, frame), (winner, variable), &mut edits);
        }
        let lead = file.lead(frame.key.start, frame.after);
        let start = file.line_start(frame.key.start) - lead.len();
        format!(
            "{}\n",
            apply(&file.text, start..file.line_end(frame.text.end), edits)
        )
    }

    fn replace(&self, frame: &Variable, winner: (usize, &Variable), edits: &mut Vec<Edit>) {
        self.replace_in((0, frame), winner, edits);
    }

    /// Puts the winning value in the place of a variable of another file.
    fn replace_in(
        &self,
        (first, frame): (usize, &Variable),
        (winner, variable): (usize, &Variable),
        edits: &mut Vec<Edit>,
    ) {
        let (file, theirs) = (&self.files[first].0, &self.files[winner].0);
        let lead = theirs.lead(variable.key.start, variable.after);
        if !contains_comment(file.lead(frame.key.start, frame.after), lead) {
            edits.push(Edit::insert(file.line_start(frame.key.start), lead.to_owned()));
        }
        let text = &theirs.text[variable.text.clone()];
        let (own, comment) = (
            file.comment_behind(frame.text.end),
            theirs.comment_behind(variable.text.end),
        );
        // Nothing may follow the end marker of a heredoc on its line.
        let heredoc = text.starts_with("<<");
        let mut end = frame.text.end;
        let mut text = text.to_owned();
        if own.is_some_and(|own| heredoc || comment.is_some_and(|comment| comment != own)) {
            end = file.line_end(end);
        }
        if let Some(comment) = comment.filter(|comment| own != Some(*comment)) {
            text = format!("{text} {comment}");
        }
        edits.push(Edit {
            range: frame.text.start..end,
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merger::LostComment;
    use crate::tests::{conflicts, equals, last, merge_text, merged};

    #[test]
    fn attributes_are_replaced_and_added_and_the_formatting_stays() {
        let lower = "# where\nregion   = \"eu-west-1\" # home\n\ntags = {\n  a = 1\n}\nsize = 1\n";
        let higher = "tags = { b = 2 } # ours\n\n# how many\ncount = 3\n# big\nsize = 2";
        let merged = merged(&Tfvars, &[lower, higher], last);
        assert_eq!(
            String::from_utf8(merged.bytes).unwrap(),
            "# where\nregion   = \"eu-west-1\" # home\n\ntags = { b = 2 } # ours\n# big\nsize = 2\n# how many\ncount = 3\n"
        );
        let keys: Vec<_> = merged
            .keys
            .iter()
            .map(|it| (it.key.as_str(), it.winner, it.line, it.overridden.len()))
            .collect();
        assert_eq!(
            keys,
            [
                ("region", 0, 2, 0),
                ("tags", 1, 1, 1),
                ("size", 1, 6, 1),
                ("count", 1, 4, 0)
            ]
        );
    }

    #[test]
    fn different_values_of_equals_conflict_and_different_spellings_do_not() {
        let lower = "a = 1\nb = { x = 1, \"y\" = 2 }\nc = [1]\n";
        let higher = "a = 1.0\nb = {\n  y = 2\n  x = 1\n}\nc = [2]\n";
        let conflicts = conflicts(&Tfvars, &[lower, higher], equals);
        let place = |contribution, line| KeyPlace { contribution, line };
        assert_eq!(
            conflicts,
            [KeyConflict {
                key: "c".to_owned(),
                lower: place(0, 3),
                higher: place(1, 6)
            }]
        );
    }

    #[test]
    fn a_heredoc_takes_the_place_of_a_value_with_a_comment() {
        let merged = merged(
            &Tfvars,
            &["a = 1 # one\r\nb = 2\r\n", "b = 3\na = <<EOF\nx # y\nEOF\n"],
            last,
        );
        assert_eq!(
            String::from_utf8(merged.bytes).unwrap(),
            "a = <<EOF\nx # y\nEOF\r\nb = 3\r\n"
        );
        assert_eq!(
            merged.lost,
            [LostComment {
                contribution: 0,
                line: 1,
                text: "# one".to_owned()
            }]
        );
    }

    #[test]
    fn a_lost_comment_is_reported_though_its_text_is_at_another_variable() {
        for (lower, line) in [
            ("a = [ # x\n  1]\n# x\nb = 2\n", 1),
            ("b = 2 # x\na = [\n  1, # x\n]\n", 3),
            ("a = [1] # x\nb = 2 # x\n", 1),
        ] {
            let merged = merged(&Tfvars, &[lower, "# x\nc = 1\na = <<E\nx\nE\n"], last);
            let lost = merged.lost.iter().map(|lost| (lost.contribution, lost.line));
            assert_eq!(lost.collect::<Vec<_>>(), [(0, line)], "{lower}");
        }
    }

    #[test]
    fn files_that_are_not_variables_are_not_merged() {
        for (text, why) in [
            ("a {\n}\n", "a block"),
            ("a = = 1\n", "not valid HCL"),
            ("a = 1\na = 2\n", "not valid HCL"),
        ] {
            let error = merge_text(&Tfvars, &["a = 1\n", text], last).unwrap_err();
            assert!(
                error.index == 1 && error.to_string().contains(why),
                "{text}: {error}"
            );
        }
    }
}
