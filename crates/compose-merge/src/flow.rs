//! Splices inside braces: YAML's flow mappings, and all of JSON.

use compose_yaml::{Edit, leading};

use super::{
    deep::{Merge, MergedEntry, Outcome},
    emit::{Emitter, own_entries},
    refusal::{Reason, Unmergeable},
    splice::shift,
    tree::{Kind, Map, NodeRef, Style},
};

impl Emitter<'_, '_> {
    /// Returns the edits of a mapping in braces in its own file. `copy` says whether the text goes
    /// elsewhere.
    pub(super) fn flow_map(&mut self, merge: &Merge, copy: bool) -> Result<Vec<Edit>, Unmergeable> {
        let frame @ (index, node) = self.frame(merge);
        let map = self.map(frame);
        let tree = &self.trees[index];
        let mut edits = Vec::new();
        let own = own_entries(merge, frame);
        for (at, entry) in map.entries.iter().enumerate() {
            match own.get(&at) {
                Some(merged) => self.flow_entry(merged, copy, &mut edits)?,
                None => {
                    self.verbatim((index, entry.key), copy, &mut edits)?;
                    self.verbatim((index, entry.value), copy, &mut edits)?;
                }
            }
        }
        let new = self.new_entries(merge, frame);
        self.frame_anchor(merge, copy, &mut edits);
        if new.is_empty() {
            return Ok(edits);
        }
        let layout = self.layout(frame, &new);
        let mut texts = Vec::with_capacity(new.len());
        for merged in new {
            texts.push(self.flow_new_entry(merged, &layout)?);
        }
        let start = tree.nodes[node].content + 1;
        let added = match map.entries.last() {
            Some(last) => {
                let end = tree.nodes[last.value].end.max(last.colon_end);
                Edit::insert(
                    end,
                    format!(",{}{}", layout.gap, texts.join(&format!(",{}", layout.gap))),
                )
            }
            None if layout.gap.starts_with('\n') => {
                let closing = &layout.gap[..layout.gap.len() - layout.step.len()];
                let text = format!(
                    "{}{}{closing}",
                    layout.gap,
                    texts.join(&format!(",{}", layout.gap))
                );
                Edit {
                    range: start..tree.nodes[node].end - 1,
                    text,
                }
            }
            None => Edit::insert(start, texts.join(", ")),
        };
        edits.push(added);
        Ok(edits)
    }

    fn flow_entry(
        &mut self,
        merged: &MergedEntry,
        copy: bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Unmergeable> {
        let (index, loaded) = merged.frame;
        let tree = &self.trees[index];
        let entry = self.map((index, loaded.map)).entries[loaded.entry];
        self.verbatim((index, entry.key), copy, edits)?;
        match &merged.outcome {
            Outcome::Keep(at) if *at == (index, entry.value) => return self.verbatim(*at, copy, edits),
            Outcome::Keep(at) if self.reads_alike(*at, (index, entry.value)) => {
                return self.verbatim((index, entry.value), copy, edits);
            }
            Outcome::Merge(merge)
                if merge.parts[0] == (index, entry.value) && self.frame(merge) == merge.parts[0] =>
            {
                edits.extend(self.flow_map(merge, copy)?);
                return Ok(());
            }
            Outcome::Keep(_) | Outcome::Merge(_) => {}
        }
        let value = &tree.nodes[entry.value];
        let lead = leading(tree.line_text(tree.nodes[entry.key].start));
        let text = self.flow_value(&merged.outcome, lead)?;
        let edit = match (entry.colon, value.start == value.end) {
            (false, _) => Edit::insert(entry.colon_end, format!(": {text}")),
            (true, true) => Edit::insert(entry.colon_end, format!(" {text}")),
            (true, false) => Edit {
                range: value.start..value.end,
                text,
            },
        };
        edits.push(edit);
        Ok(())
    }

    /// Writes a value for a place in braces, on a line with this indentation.
    pub(super) fn flow_value(&mut self, outcome: &Outcome, lead: &str) -> Result<String, Unmergeable> {
        let mut edits = Vec::new();
        let (index, node) = match outcome {
            Outcome::Keep(at) => {
                let at = (at.0, self.anchor_or_target(*at));
                self.verbatim(at, true, &mut edits)?;
                at
            }
            Outcome::Merge(merge) => {
                edits = self.flow_map(merge, true)?;
                self.frame(merge)
            }
        };
        let tree = &self.trees[index];
        let it = &tree.nodes[node];
        let text = self.copy(index, it.start..it.end, edits)?;
        if let (Some(theirs), Some(ours)) = (&tree.json_step, &self.trees[self.base].json_step) {
            return Ok(restep(
                &text,
                leading(tree.line_text(it.start)),
                theirs,
                lead,
                ours,
            ));
        }
        Ok(shift(
            &text,
            lead.len() as isize - tree.line_indent(it.start) as isize,
            lead.len(),
        ))
    }

    fn flow_new_entry(&mut self, merged: &MergedEntry, layout: &Layout) -> Result<String, Unmergeable> {
        let key = self.key(merged)?;
        let value = self.flow_value(&merged.outcome, &layout.lead)?;
        Ok(format!("{key}{}{value}", layout.colon))
    }

    /// Returns the layout of new entries of a mapping, which follows its last one.
    fn layout(&self, (index, node): NodeRef, new: &[&MergedEntry]) -> Layout {
        let tree = &self.trees[index];
        let map = self.map((index, node));
        let step = tree.json_step.clone().unwrap_or_default();
        if let Some(last) = map.entries.last() {
            let key = &tree.nodes[last.key];
            let between = &tree.text[key.end..tree.nodes[last.value].start];
            let usual =
                last.colon && !between.is_empty() && between.trim_end() == ":" && !between.contains('\n');
            // Only the quoted keys of JSON do not need a space before the value.
            let colon = if usual && (between.len() > 1 || tree.json_step.is_some()) {
                between
            } else {
                ": "
            };
            let lead = leading(tree.line_text(key.start)).to_owned();
            let gap = match tree.starts_line(key.start) {
                true => format!("\n{lead}"),
                false if tree.json_step.is_some() && !between.contains(' ') => String::new(),
                false => " ".to_owned(),
            };
            return Layout {
                gap,
                colon: colon.to_owned(),
                lead,
                step,
            };
        }
        let lines = !step.is_empty()
            && new.iter().any(|merged| {
                let theirs = &self.trees[merged.frame.0];
                theirs.starts_line(self.node((merged.frame.0, self.entry(merged.frame).key)).start)
            });
        let own = leading(tree.line_text(tree.nodes[node].start));
        let (gap, lead) = if lines {
            (format!("\n{own}{step}"), format!("{own}{step}"))
        } else {
            (String::new(), own.to_owned())
        };
        Layout {
            gap,
            colon: ": ".to_owned(),
            lead,
            step,
        }
    }

    /// Writes a node for a place inside brackets. A block is rewritten in brackets.
    pub(super) fn inline(&mut self, (index, node): NodeRef, lead: &str) -> Result<String, Unmergeable> {
        let tree = &self.trees[index];
        let target = tree.resolve(node);
        if target != node
            && let Some(name) = self.emitted.get(&(index, target))
        {
            return Ok(format!("*{name} "));
        }
        if self.fits(&Outcome::Keep((index, target))) {
            return self.flow_value(&Outcome::Keep((index, target)), lead);
        }
        let it = &tree.nodes[target];
        // The anchor is dropped, because its aliases are written out as well.
        let tag: String = tree.text[it.start..it.content]
            .split_ascii_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .filter(|word| word.starts_with('!'))
            .map(|word| format!("{word} "))
            .collect();
        let body = match &it.kind {
            Kind::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let (key, value) = (
                        self.inline((index, entry.key), lead)?,
                        self.inline((index, entry.value), lead)?,
                    );
                    entries.push(format!("{key}: {value}"));
                }
                format!("{{{}}}", entries.join(", "))
            }
            Kind::Sequence { .. } => {
                let mut items = Vec::new();
                let mut item = target + 1;
                while item < it.next {
                    let text = self.inline((index, item), lead)?;
                    items.push(if text.is_empty() { "~".to_owned() } else { text });
                    item = tree.nodes[item].next;
                }
                format!("[{}]", items.join(", "))
            }
            Kind::Scalar {
                style: Style::Plain, ..
            } if !tree.text[it.content..it.end].contains('\n') => {
                format!("'{}'", tree.text[it.content..it.end].replace('\'', "''"))
            }
            Kind::Scalar { .. } | Kind::Alias(_) => {
                return Err(self.refuse(Reason::LinesInBrackets, (index, target)));
            }
        };
        Ok(format!("{tag}{body}"))
    }

    /// Returns whether a value can keep its text inside braces.
    pub(super) fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Keep((index, node)) => {
                let tree = &self.trees[*index];
                let node = &tree.nodes[tree.resolve(*node)];
                let text = &tree.text[node.content..node.end];
                match node.kind {
                    Kind::Map(Map { flow, .. }) | Kind::Sequence { flow } => flow,
                    Kind::Scalar {
                        style: Style::Quoted, ..
                    } => true,
                    Kind::Scalar {
                        style: Style::Plain, ..
                    } if text.is_empty() => node.start == node.end,
                    Kind::Scalar {
                        style: Style::Plain, ..
                    } => {
                        node.in_flow
                            || !text.starts_with(':') && !text.contains([',', '[', ']', '{', '}', '?', '\n'])
                    }
                    Kind::Scalar {
                        style: Style::Block { .. },
                        ..
                    }
                    | Kind::Alias(_) => false,
                }
            }
            Outcome::Merge(merge) => self.map(self.frame(merge)).flow && self.fits_flow(merge),
        }
    }

    /// Returns whether a merged mapping can stay in braces.
    pub(super) fn fits_flow(&self, merge: &Merge) -> bool {
        merge.entries.iter().all(|merged| {
            let entry = self.entry(merged.frame);
            self.fits(&Outcome::Keep((merged.frame.0, entry.key))) && self.fits(&merged.outcome)
        })
    }
}

struct Layout {
    /// The text between a comma and the next key.
    gap: String,
    colon: String,
    /// The indentation of the key's line.
    lead: String,
    /// One level of indentation in JSON.
    step: String,
}

/// Changes the indentation of JSON. Strings do not span lines in JSON, so the blanks at the start
/// of a line have no meaning.
fn restep(text: &str, first: &str, theirs: &str, base: &str, ours: &str) -> String {
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let own = leading(line);
        let levels = own.len().saturating_sub(first.len()) / theirs.len().max(1);
        out.push_str(&format!("\n{base}{}{}", ours.repeat(levels), &line[own.len()..]));
    }
    out
}
