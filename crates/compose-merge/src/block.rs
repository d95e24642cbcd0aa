//! Splices lines into YAML's block mappings.

use compose_yaml::Edit;

use super::{
    deep::{Merge, MergedEntry, Outcome},
    emit::{Emitter, own_entries},
    refusal::{KeyProblem, Unmergeable},
    splice::{contains_comment, pull_comments, shift, spaces},
    tree::{Map, NodeRef},
};

impl Emitter<'_, '_> {
    /// Returns the edits of a block mapping in its own file. `copy` says whether the text goes
    /// elsewhere.
    pub(super) fn block_map(&mut self, merge: &Merge, copy: bool) -> Result<Vec<Edit>, Unmergeable> {
        let (index, node) = self.frame(merge);
        let map = self.map((index, node));
        let tree = &self.trees[index];
        let mut edits = Vec::new();
        let own = own_entries(merge, (index, node));
        for (at, entry) in map.entries.iter().enumerate() {
            match own.get(&at) {
                Some(merged) => self.block_entry(merged, copy, &mut edits)?,
                // A merge key, or a key that a later one in the same file overrides.
                None => {
                    self.verbatim((index, entry.key), copy, &mut edits)?;
                    self.verbatim((index, entry.value), copy, &mut edits)?;
                }
            }
        }
        let new = self.new_entries(merge, (index, node));
        let last = map.entries.len().checked_sub(1).and_then(|last| own.get(&last));
        let before = last.map_or(tree.last_block(node), |merged| self.last_block(&merged.outcome));
        let mut added = self.new_lines(&new, map.indent, before == Some(true))?;
        let end = tree.map_end(map);
        for (other, part) in merge
            .parts
            .iter()
            .skip(1)
            .map(|at| (at.0, self.trees[at.0].resolve(at.1)))
        {
            let theirs = self.map((other, part));
            let tail = self.tail_comments(other, theirs);
            let known = &tree.text[map.entries.last().map_or(0, |last| tree.nodes[last.value].end)..end];
            if !contains_comment(known, &tail) && !contains_comment(&added, &tail) {
                let delta = map.indent as isize - theirs.indent as isize;
                added.push_str(&shift(&format!("\n{tail}"), delta, 0));
            }
        }
        if !added.is_empty() {
            let keeps = merge
                .entries
                .last()
                .is_some_and(|last| self.last_block(&last.outcome) == Some(true));
            let region = if keeps { end..tree.blank_end(end) } else { end..end };
            edits.push(Edit {
                range: region,
                text: added,
            });
        }
        self.frame_anchor(merge, copy, &mut edits);
        Ok(edits)
    }

    /// Writes entries as new lines of a block mapping, each after a line break. `keeps` says
    /// whether the text before them ends with a block scalar that owns the blank lines after it.
    fn new_lines(
        &mut self,
        entries: &[&MergedEntry],
        indent: usize,
        mut keeps: bool,
    ) -> Result<String, Unmergeable> {
        let mut out = String::new();
        for merged in entries {
            let text = self.new_entry(merged, indent)?;
            out.push('\n');
            out.push_str(if keeps {
                text.trim_start_matches('\n')
            } else {
                &text
            });
            keeps = self.last_block(&merged.outcome) == Some(true);
        }
        Ok(out)
    }

    /// Returns [`Tree::last_block`] of the text that an outcome is written as.
    pub(super) fn last_block(&self, outcome: &Outcome) -> Option<bool> {
        match outcome {
            Outcome::Keep((index, node)) => {
                let tree = &self.trees[*index];
                tree.last_block(tree.resolve(*node))
            }
            Outcome::Merge(merge) => merge
                .entries
                .last()
                .and_then(|last| self.last_block(&last.outcome)),
        }
    }

    /// Returns the edits of one entry of a block mapping in its own file.
    fn block_entry(
        &mut self,
        merged: &MergedEntry,
        copy: bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Unmergeable> {
        let (index, loaded) = merged.frame;
        let tree = &self.trees[index];
        let map = self.map((index, loaded.map));
        let entry = map.entries[loaded.entry];
        self.verbatim((index, entry.key), copy, edits)?;
        if let Outcome::Keep(at) = merged.outcome {
            if at == (index, entry.value) {
                return self.verbatim(at, copy, edits);
            }
            if self.reads_alike(at, (index, entry.value)) {
                self.lead_comments(merged, edits);
                return self.verbatim((index, entry.value), copy, edits);
            }
        }
        if entry.explicit {
            return Err(self.refuse(KeyProblem::ExplicitChanges, (index, entry.key)));
        }
        self.lead_comments(merged, edits);
        if let Outcome::Merge(merge) = &merged.outcome
            && merge.parts[0] == (index, entry.value)
            && self.frame(merge) == merge.parts[0]
        {
            if !self.map(merge.parts[0]).flow {
                edits.extend(self.block_map(merge, copy)?);
                return Ok(());
            }
            if self.fits_flow(merge) {
                edits.extend(self.flow_map(merge, copy)?);
                return Ok(());
            }
        }
        let value = &tree.nodes[entry.value];
        let end = tree.line_end(value.end);
        let comment = tree.entry_comment(entry);
        let mut text = self.block_value(&merged.outcome, map.indent as isize, false)?;
        if let Some(comment) = comment.filter(|comment| !text.contains(&tree.text[comment.clone()])) {
            let said = &tree.text[comment.clone()];
            if text.starts_with('\n') {
                text = format!(" {said}{text}");
            } else if !text.contains(['\n', '#']) {
                // The spaces before the comment stay.
                let before = &tree.text[entry.colon_end..comment.start];
                text.push_str(&before[before.trim_end_matches([' ', '\t']).len()..]);
                text.push_str(said);
            }
        }
        let mut region = entry.colon_end..end;
        if self.last_block(&merged.outcome).is_some() {
            let tail = self.behind_block(index, end, map.indent, &merged.outcome);
            text.push_str(&tail.text);
            region.end = tail.range.end;
        }
        edits.push(Edit { range: region, text });
        Ok(())
    }

    /// Adds the comments above a key in the other files that contribute to it.
    fn lead_comments(&mut self, merged: &MergedEntry, edits: &mut Vec<Edit>) {
        let (index, loaded) = merged.frame;
        let tree = &self.trees[index];
        let key = tree.nodes[self.entry(merged.frame).key].start;
        let place = tree.line_start(key);
        let start = tree.lead_start(loaded.map, loaded.entry);
        if start > place {
            return;
        }
        let mut known = tree.text[start..place].to_owned();
        let indent = self.map((index, loaded.map)).indent;
        for (other, theirs) in &merged.others {
            let their_tree = &self.trees[*other];
            let map = self.map((*other, theirs.map));
            if map.flow {
                continue;
            }
            let from = their_tree.lead_start(theirs.map, theirs.entry);
            let to = their_tree.line_start(self.node((*other, self.entry((*other, *theirs)).key)).start);
            if from >= to {
                continue;
            }
            let comment = their_tree.text[from..to].trim_start_matches(['\n', '\r']);
            if !contains_comment(&known, comment) {
                let delta = indent as isize - map.indent as isize;
                let moved = pull_comments(&shift(&format!("\n{comment}"), delta, 0)[1..], indent);
                known.push_str(&moved);
                edits.push(Edit::insert(place, moved));
            }
        }
    }

    /// Returns the comments below a mapping's last entry, at the mapping's own depth.
    fn tail_comments(&self, index: usize, map: &Map) -> String {
        let tree = &self.trees[index];
        let (false, Some(last)) = (map.flow, map.entries.last()) else {
            return String::new();
        };
        let (from, to) = (tree.tail_end(map, *last), tree.map_end(map));
        tree.text[from..to].trim_start_matches(['\n', '\r']).to_owned()
    }

    /// Adds the headers of the other files.
    pub(super) fn header(&mut self, edits: &mut Vec<Edit>) {
        let tree = &self.trees[self.base];
        let (start, place) = (tree.header_start(), tree.header_end());
        let mut known = tree.text[start..place].to_owned();
        for other in (0..self.trees.len()).filter(|other| *other != self.base) {
            let theirs = &self.trees[other];
            let end = if theirs.root().is_some() {
                theirs.header_end()
            } else {
                theirs.body_end
            };
            let comment = theirs
                .text
                .get(theirs.header_start()..end)
                .unwrap_or_default()
                .trim();
            if !contains_comment(&known, comment) {
                let text = shift(&format!("{comment}\n\n"), 0, 0);
                known.push_str(&text);
                edits.push(Edit::insert(place, text));
            }
        }
    }

    /// Returns the whole lines of an entry that the target mapping lacks, with their comments,
    /// without the last line break.
    fn new_entry(&mut self, merged: &MergedEntry, indent: usize) -> Result<String, Unmergeable> {
        let (index, loaded) = merged.frame;
        let tree = &self.trees[index];
        let map = self.map((index, loaded.map));
        let entry = map.entries[loaded.entry];
        let key = &tree.nodes[entry.key];
        if map.flow || entry.explicit {
            let key = self.key(merged)?;
            let value = self.block_value(&merged.outcome, indent as isize, false)?;
            return Ok(format!("{}{key}:{value}", spaces(indent)));
        }
        let mut edits = Vec::new();
        self.block_entry(merged, true, &mut edits)?;
        let start = tree.lead_start(loaded.map, loaded.entry);
        let text = self.copy(index, start..tree.tail_end(map, entry), edits)?;
        let delta = indent as isize - map.indent as isize;
        let first = if start == key.start {
            format!("\n{}", spaces(map.indent))
        } else {
            "\n".to_owned()
        };
        Ok(pull_comments(
            &shift(&format!("{first}{text}"), delta, indent)[1..],
            indent,
        ))
    }

    /// Writes a value after a `:` (or a `-`) at column `indent`: from the end of the indicator to
    /// the end of the last line.
    pub(super) fn block_value(
        &mut self,
        outcome: &Outcome,
        indent: isize,
        in_sequence: bool,
    ) -> Result<String, Unmergeable> {
        let mut edits = Vec::new();
        let at = match outcome {
            Outcome::Keep(at) => {
                let at = (at.0, self.anchor_or_target(*at));
                self.verbatim(at, true, &mut edits)?;
                at
            }
            Outcome::Merge(merge) => {
                let at = self.frame(merge);
                if self.map(at).flow {
                    if !self.fits_flow(merge) {
                        return self.unfolded(merge, usize::try_from(indent + 2).unwrap_or(0));
                    }
                    edits = self.flow_map(merge, true)?;
                } else {
                    edits = self.block_map(merge, true)?;
                }
                at
            }
        };
        let end = match outcome {
            Outcome::Merge(merge) if !self.map(at).flow => {
                Some(self.trees[at.0].map_end(self.map(at))).filter(|_| !merge.entries.is_empty())
            }
            _ => None,
        };
        self.block_text(at, end, edits, indent, in_sequence)
    }

    /// Writes the edited text of a node as a value in another place.
    fn block_text(
        &mut self,
        (index, node): NodeRef,
        end: Option<usize>,
        edits: Vec<Edit>,
        indent: isize,
        in_sequence: bool,
    ) -> Result<String, Unmergeable> {
        let tree = &self.trees[index];
        let it = &tree.nodes[node];
        // Text in brackets or quotes must be indented beyond the column; the lines of a block may start at it.
        let floor = usize::try_from(indent + isize::from(!tree.is_block(node))).unwrap_or(0);
        if it.in_flow || it.is_key {
            let text = self.copy(index, it.start..it.end, edits)?;
            let delta = indent + 2 - tree.line_indent(it.start) as isize;
            let space = if text.is_empty() { "" } else { " " };
            return Ok(format!("{space}{}", shift(&text, delta, floor)));
        }
        let column = tree.text[tree.line_start(it.content)..it.content].chars().count();
        let is_block = tree.is_block(node);
        let mut delta = indent - it.parent_indent;
        if is_block && in_sequence && column as isize <= it.parent_indent {
            delta += 2;
        }
        let end = end.unwrap_or_else(|| tree.line_end(it.end));
        if is_block && !tree.text[it.lead..it.content].contains('\n') {
            let text = self.copy(index, it.content..end, edits)?;
            return Ok(shift(&format!("\n{}{text}", spaces(column)), delta, floor));
        }
        let text = self.copy(index, it.lead..end, edits)?;
        Ok(shift(&text, delta, floor))
    }

    /// Writes a merged mapping that was in braces as lines at `indent`, each after a line break.
    pub(super) fn unfolded(&mut self, merge: &Merge, indent: usize) -> Result<String, Unmergeable> {
        let frame = self.frame(merge);
        let map = self.map(frame);
        let own = own_entries(merge, frame);
        let mut out = String::new();
        let mut entries = Vec::new();
        for (at, entry) in map.entries.iter().enumerate() {
            let key = self.node((frame.0, entry.key));
            match own.get(&at) {
                Some(merged) => entries.push(*merged),
                None if self.trees[frame.0].text[key.content..key.end] == *"<<" => {
                    let value = Outcome::Keep((frame.0, entry.value));
                    out = format!(
                        "\n{}<<:{}",
                        spaces(indent),
                        self.block_value(&value, indent as isize, false)?
                    );
                }
                // A key that a later one in the same file overrides.
                None => {}
            }
        }
        entries.extend(self.new_entries(merge, frame));
        out.push_str(&self.new_lines(&entries, indent, false)?);
        Ok(out)
    }

    /// Adjusts the blank lines and comments after a line where a block scalar now ends. Deeper
    /// comments would become part of it, and so would blank lines if it keeps them (`+`).
    pub(super) fn behind_block(
        &self,
        index: usize,
        line_end: usize,
        indent: usize,
        outcome: &Outcome,
    ) -> Edit {
        let tree = &self.trees[index];
        let keeps = self.last_block(outcome) == Some(true);
        let end = tree.comments_behind(line_end, indent + 1);
        if end == line_end {
            let end = if keeps { tree.blank_end(line_end) } else { line_end };
            return Edit {
                range: line_end..end,
                text: String::new(),
            };
        }
        let tail = tree.text[line_end..end].replace("\r\n", "\n");
        let tail = if keeps {
            tail.trim_start_matches('\n')
        } else {
            &tail[1..]
        };
        Edit {
            range: line_end..end,
            text: format!("\n{}", pull_comments(tail, indent)),
        }
    }
}
