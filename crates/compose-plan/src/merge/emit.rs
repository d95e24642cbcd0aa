//! The result's text: the lowest file's own, with pieces of the others spliced in.

use std::collections::{HashMap, HashSet};

use super::{
    deep::{Merge, MergedEntry, Outcome},
    flow::leading,
    text::{Edit, apply, says, shift, spaces},
    tree::{At, Entry, Kind, Loaded, MAX_BYTES, Map, Node, NodeId, Style, Tree},
};

/// Why a text cannot be put where it belongs.
pub(super) type Refused = String;

/// Writes one merge.
pub(super) struct Emitter<'a, 't> {
    pub(super) trees: &'a [Tree<'t>],
    /// The contribution whose text is the frame of all.
    pub(super) base: usize,
    /// Names of anchors that must not be given again.
    names: HashSet<String>,
    /// Anchored nodes that stand in the result so far, unchanged, and the name they have there.
    emitted: HashMap<At, String>,
    pub(super) notes: Vec<String>,
    /// Bytes copied: aliases can make it many more than there are in the files.
    copied: usize,
}

impl<'a, 't> Emitter<'a, 't> {
    pub(super) fn new(trees: &'a [Tree<'t>], base: usize) -> Self {
        let tree = &trees[base];
        let anchors = tree.nodes.iter().filter_map(|node| node.anchor.clone());
        let names = anchors
            .map(|anchor| tree.text[anchor.start + 1..anchor.end].to_owned())
            .collect();
        Self {
            trees,
            base,
            names,
            emitted: HashMap::new(),
            notes: Vec::new(),
            copied: 0,
        }
    }

    /// The whole result.
    pub(super) fn file(&mut self, merge: &Merge) -> Result<String, Refused> {
        let tree = &self.trees[self.base];
        let root = &tree.nodes[0];
        let flow = tree.map(0).is_some_and(|map| map.flow);
        let mut edits = if !flow {
            let mut edits = self.block_map(merge, false)?;
            self.header(&mut edits);
            edits
        } else if self.fits_flow(merge) {
            self.flow_map(merge, false)?
        } else {
            let comment = tree
                .comment_behind(0)
                .map(|comment| format!("{}\n", &tree.text[comment]))
                .unwrap_or_default();
            let start = if tree.starts_line(root.start) { "" } else { "\n" };
            self.note_comments(self.base, root.start..root.end);
            let lines = self.unfolded(merge, 0)?;
            let lines = lines.strip_prefix('\n').unwrap_or(&lines);
            vec![Edit {
                range: root.start..tree.line_end(root.end),
                text: format!("{start}{comment}{lines}"),
            }]
        };
        let eol = tree.line_break();
        if eol != "\n" {
            for edit in &mut edits {
                edit.text = edit.text.replace('\n', eol);
            }
        }
        let bom = if tree.bom { "\u{feff}" } else { "" };
        Ok(format!("{bom}{}", apply(&tree.text, 0..tree.text.len(), edits)))
    }

    pub(super) fn node(&self, (index, node): At) -> &'a Node {
        &self.trees[index].nodes[node]
    }

    pub(super) fn map(&self, (index, node): At) -> &'a Map {
        self.trees[index].map(node).expect("only mappings are merged")
    }

    /// The mapping behind the first part of a merge, aliases followed.
    pub(super) fn frame(&self, merge: &Merge) -> At {
        let (index, node) = merge.parts[0];
        (index, self.trees[index].resolve(node))
    }

    pub(super) fn entry(&self, (index, loaded): (usize, Loaded)) -> Entry {
        self.map((index, loaded.map)).entries[loaded.entry]
    }

    /// Edits of a block mapping in its own file. `copy`: the text will stand elsewhere.
    fn block_map(&mut self, merge: &Merge, copy: bool) -> Result<Vec<Edit>, Refused> {
        let (index, node) = self.frame(merge);
        let map = self.map((index, node));
        let tree = &self.trees[index];
        let mut edits = Vec::new();
        let own = own_entries(merge, (index, node));
        for (at, entry) in map.entries.iter().enumerate() {
            match own.get(&at) {
                Some(merged) => self.block_entry(merged, copy, &mut edits)?,
                // A merge key, or a key that a later one of the same file replaces.
                None => {
                    self.verbatim((index, entry.key), copy, &mut edits)?;
                    self.verbatim((index, entry.value), copy, &mut edits)?;
                }
            }
        }
        let mut added = String::new();
        for merged in self.new_entries(merge, (index, node)) {
            let chunk = self.new_entry(merged, map.indent)?;
            added.push('\n');
            // Blank lines behind a block scalar with `+` would become part of it.
            let keep =
                added == "\n" && tree.ends_with_keep(node) || self.ends_with_keep_before(merge, merged);
            added.push_str(if keep {
                chunk.trim_start_matches('\n')
            } else {
                &chunk
            });
        }
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
            if !says(known, &tail) && !says(&added, &tail) {
                let delta = map.indent as isize - theirs.indent as isize;
                added.push_str(&shift(&format!("\n{tail}"), delta, 0));
            }
        }
        if !added.is_empty() {
            edits.push(Edit::insert(end, added));
        }
        if merge.value == tree.nodes[node].value && !copy {
            self.anchor_stays((index, node));
        }
        Ok(edits)
    }

    /// The entries that neither stand in the frame's text nor come, as they are, through a merge key that stands there.
    pub(super) fn new_entries<'m>(&self, merge: &'m Merge, frame: At) -> Vec<&'m MergedEntry> {
        let is_there = |merged: &&MergedEntry| {
            let (index, loaded) = merged.frame;
            let inherited = || matches!(merged.outcome, Outcome::Keep(at) if at == (index, self.entry(merged.frame).value));
            index == frame.0 && (loaded.map == frame.1 || inherited())
        };
        merge.entries.iter().filter(|merged| !is_there(merged)).collect()
    }

    /// Does the new entry before this one end with a block scalar that owns the blank lines behind it?
    fn ends_with_keep_before(&self, merge: &Merge, merged: &MergedEntry) -> bool {
        let place = merge
            .entries
            .iter()
            .position(|it| std::ptr::eq(it, merged))
            .unwrap_or(0);
        place > 0 && self.outcome_keeps(&merge.entries[place - 1].outcome)
    }

    fn outcome_keeps(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Keep((index, node)) => {
                let tree = &self.trees[*index];
                tree.ends_with_keep(tree.resolve(*node))
            }
            Outcome::Merge(merge) => merge
                .entries
                .last()
                .is_some_and(|last| self.outcome_keeps(&last.outcome)),
        }
    }

    /// Edits of one entry of a block mapping, in its own file.
    fn block_entry(
        &mut self,
        merged: &MergedEntry,
        copy: bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refused> {
        let (index, loaded) = merged.frame;
        let tree = &self.trees[index];
        let map = self.map((index, loaded.map));
        let entry = map.entries[loaded.entry];
        self.verbatim((index, entry.key), copy, edits)?;
        if let Outcome::Keep(at) = merged.outcome {
            if at == (index, entry.value) {
                return self.verbatim(at, copy, edits);
            }
        }
        if entry.explicit {
            return Err("an explicit key (`?`) whose value changes".to_owned());
        }
        self.lead_comments(merged, edits);
        if let Outcome::Merge(merge) = &merged.outcome {
            if merge.parts[0] == (index, entry.value) && self.frame(merge) == merge.parts[0] {
                if !self.map(merge.parts[0]).flow {
                    edits.extend(self.block_map(merge, copy)?);
                    return Ok(());
                }
                if self.fits_flow(merge) {
                    edits.extend(self.flow_map(merge, copy)?);
                    return Ok(());
                }
            }
        }
        let value = &tree.nodes[entry.value];
        let end = tree.line_end(value.end);
        let comment = tree.entry_comment(entry);
        let mut text = self.block_value(&merged.outcome, map.indent as isize, false)?;
        let kept = comment.filter(|comment| match &tree.text[comment.clone()] {
            said if text.contains(said) => true,
            said if text.starts_with('\n') => {
                text = format!(" {said}{text}");
                true
            }
            said if !text.contains(['\n', '#']) => {
                text = format!("{text} {said}");
                true
            }
            _ => false,
        });
        for lost in tree.comments_in(&(entry.colon_end..end)) {
            if Some(lost) != kept.as_ref() {
                self.note_comments(index, lost.clone());
            }
        }
        // Blank lines behind a block scalar with `+` would become part of it.
        let mut region = entry.colon_end..end;
        if self.outcome_keeps(&merged.outcome) {
            let rest = &tree.text[end..];
            let blank = rest.len() - rest.trim_start().len();
            let last = rest[..blank].rfind('\n').unwrap_or(0);
            region.end += if rest[..last].ends_with('\r') {
                last - 1
            } else {
                last
            };
        }
        edits.push(Edit { range: region, text });
        Ok(())
    }

    /// Comments above a key in the other files that count for it.
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
            if !says(&known, comment) {
                let delta = indent as isize - map.indent as isize;
                let moved = shift(&format!("\n{comment}"), delta, 0);
                known.push_str(&moved[1..]);
                edits.push(Edit::insert(place, moved[1..].to_owned()));
            }
        }
    }

    /// Comments below a mapping's last entry, at the mapping's own depth.
    fn tail_comments(&self, index: usize, map: &Map) -> String {
        let tree = &self.trees[index];
        let (false, Some(last)) = (map.flow, map.entries.last()) else {
            return String::new();
        };
        let (from, to) = (tree.tail_end(map, *last), tree.map_end(map));
        tree.text[from..to].trim_start_matches(['\n', '\r']).to_owned()
    }

    /// Headers of the other files.
    fn header(&mut self, edits: &mut Vec<Edit>) {
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
            if !says(&known, comment) {
                let text = shift(&format!("{comment}\n\n"), 0, 0);
                known.push_str(&text);
                edits.push(Edit::insert(place, text));
            }
        }
    }

    /// Whole lines of an entry that its new mapping lacks, comments included; its last line without a break.
    fn new_entry(&mut self, merged: &MergedEntry, indent: usize) -> Result<String, Refused> {
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
        Ok(shift(&format!("{first}{text}"), delta, indent)[1..].to_owned())
    }

    /// A key's text, for a place where it stands alone.
    pub(super) fn key(&mut self, merged: &MergedEntry) -> Result<String, Refused> {
        let entry = self.entry(merged.frame);
        if entry.explicit {
            return Err("an explicit key (`?`) that would have to move".to_owned());
        }
        let mut edits = Vec::new();
        let at = (merged.frame.0, entry.key);
        self.verbatim(at, true, &mut edits)?;
        let node = self.node(at);
        let text = self.copy(at.0, node.start..node.end, edits)?;
        Ok(if text.starts_with('*') {
            format!("{text} ")
        } else {
            text
        })
    }

    /// A value behind a `:` (or a `-`) at column `indent`: from behind the sign to the end of the last line.
    fn block_value(
        &mut self,
        outcome: &Outcome,
        indent: isize,
        in_sequence: bool,
    ) -> Result<String, Refused> {
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
                        self.note_comments(at.0, self.node(at).start..self.node(at).end);
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

    /// The text of a node, edited, as a value at another place.
    fn block_text(
        &mut self,
        (index, node): At,
        end: Option<usize>,
        edits: Vec<Edit>,
        indent: isize,
        in_sequence: bool,
    ) -> Result<String, Refused> {
        let tree = &self.trees[index];
        let it = &tree.nodes[node];
        let floor = usize::try_from(indent).unwrap_or(0);
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

    /// A merged mapping that was in braces, as lines at `indent`, each after a line break.
    fn unfolded(&mut self, merge: &Merge, indent: usize) -> Result<String, Refused> {
        let frame = self.frame(merge);
        let map = self.map(frame);
        let own = own_entries(merge, frame);
        let mut out = String::new();
        for (at, entry) in map.entries.iter().enumerate() {
            let Some(merged) = own.get(&at) else {
                // A merge key; a key that is replaced by a later one has nothing to say here.
                let key = self.node((frame.0, entry.key));
                if self.trees[frame.0].text[key.content..key.end] == *"<<" {
                    let value =
                        self.block_value(&Outcome::Keep((frame.0, entry.value)), indent as isize, false)?;
                    out.push_str(&format!("\n{}<<:{value}", spaces(indent)));
                }
                continue;
            };
            out.push('\n');
            out.push_str(&self.new_entry(merged, indent)?);
        }
        for merged in self.new_entries(merge, frame) {
            out.push('\n');
            out.push_str(&self.new_entry(merged, indent)?);
        }
        Ok(out)
    }

    /// The alias itself when its anchor is in the result, else what it stands for.
    pub(super) fn anchor_or_target(&self, (index, node): At) -> NodeId {
        let target = self.trees[index].resolve(node);
        if self.emitted.contains_key(&(index, target)) {
            node
        } else {
            target
        }
    }

    fn anchor_stays(&mut self, (index, node): At) {
        let tree = &self.trees[index];
        if let Some(anchor) = &tree.nodes[node].anchor {
            self.emitted
                .insert((index, node), tree.text[anchor.start + 1..anchor.end].to_owned());
        }
    }

    /// Edits that a node's own text needs at its place: anchors without doubles, aliases that mean the same.
    pub(super) fn verbatim(
        &mut self,
        (index, node): At,
        copy: bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refused> {
        let tree = &self.trees[index];
        let mut at = node;
        while at < tree.nodes[node].next {
            let it = &tree.nodes[at];
            if let Some(anchor) = it.anchor.clone() {
                let name = &tree.text[anchor.start + 1..anchor.end];
                if !copy && index == self.base {
                    self.emitted.insert((index, at), name.to_owned());
                } else if self.emitted.contains_key(&(index, at))
                    || index == self.base && tree.aliases.get(&at) <= Some(&1)
                {
                    let blank = tree.text[anchor.end..]
                        .bytes()
                        .take_while(|byte| *byte == b' ')
                        .count();
                    edits.push(Edit {
                        range: anchor.start..anchor.end + blank,
                        text: String::new(),
                    });
                } else {
                    let free = self.free_name(name);
                    edits.push(Edit {
                        range: anchor,
                        text: format!("&{free}"),
                    });
                    self.emitted.insert((index, at), free);
                }
            }
            if let Kind::Alias(target) = it.kind {
                match self.emitted.get(&(index, target)) {
                    Some(name) => edits.push(Edit {
                        range: it.start..it.end,
                        text: format!("*{name}"),
                    }),
                    None => edits.push(self.expanded((index, at), target)?),
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// An alias replaced by what it stands for.
    fn expanded(&mut self, (index, alias): At, target: NodeId) -> Result<Edit, Refused> {
        let tree = &self.trees[index];
        let it = &tree.nodes[alias];
        let there = &tree.nodes[target];
        let target = Outcome::Keep((index, target));
        if it.in_flow || it.is_key {
            let fits = self.fits(&target) && !(it.is_key && tree.text[there.start..there.end].contains('\n'));
            if !fits {
                return Err(format!(
                    "line {}: an alias in brackets whose anchor another contribution replaces",
                    tree.line(it.start)
                ));
            }
            let text = self.flow_value(&target, leading(tree.line_text(it.start)))?;
            return Ok(Edit {
                range: it.start..it.end,
                text,
            });
        }
        let text = self.block_value(&target, it.parent_indent, it.in_sequence)?;
        let comment = tree
            .comment_behind(alias)
            .map_or("", |comment| &tree.text[comment]);
        let (range, text) = match comment {
            "" => (it.lead..it.end, text),
            _ if text.starts_with('\n') => (it.lead..tree.line_end(it.end), format!(" {comment}{text}")),
            _ => {
                self.note_comments(index, it.end..tree.line_end(it.end));
                (it.lead..tree.line_end(it.end), text)
            }
        };
        Ok(Edit { range, text })
    }

    fn free_name(&mut self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|name| !self.names.contains(name));
        let free = free.expect("numbers do not end");
        self.names.insert(free.clone());
        free
    }

    /// An edited piece of a file for another place.
    pub(super) fn copy(
        &mut self,
        index: usize,
        region: std::ops::Range<usize>,
        edits: Vec<Edit>,
    ) -> Result<String, Refused> {
        let text = apply(&self.trees[index].text, region, edits);
        self.copied += text.len();
        if self.copied > 16 * MAX_BYTES {
            return Err("aliases that expand to too much text".to_owned());
        }
        Ok(text)
    }

    /// Says of the comments in a range that they are lost.
    pub(super) fn note_comments(&mut self, index: usize, range: std::ops::Range<usize>) {
        let tree = &self.trees[index];
        for comment in tree.comments_in(&range) {
            let text = compose_model::text::escape(&tree.text[comment.clone()], 60);
            let line = tree.line(comment.start);
            self.notes.push(format!(
                "the comment `{text}` (contribution {index}, line {line}) has no place in the merged file"
            ));
        }
    }
}

/// A merge's entries that stand in its frame's own text, by their place there.
pub(super) fn own_entries(merge: &Merge, frame: At) -> HashMap<usize, &MergedEntry> {
    let own = merge
        .entries
        .iter()
        .filter(|merged| (merged.frame.0, merged.frame.1.map) == frame);
    own.map(|merged| (merged.frame.1.entry, merged)).collect()
}

impl Emitter<'_, '_> {
    /// Can a value stand in braces with its own text?
    pub(super) fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Keep((index, node)) => {
                let tree = &self.trees[*index];
                let node = &tree.nodes[tree.resolve(*node)];
                let text = &tree.text[node.content..node.end];
                match node.kind {
                    Kind::Map(Map { flow, .. }) | Kind::Sequence { flow } => flow,
                    Kind::Scalar(Style::Block { .. }) => false,
                    Kind::Scalar(Style::Quoted) => true,
                    Kind::Scalar(Style::Plain) if text.is_empty() => node.start == node.end,
                    Kind::Scalar(Style::Plain) => {
                        node.in_flow || !text.contains([',', '[', ']', '{', '}', '?', ':', '\n'])
                    }
                    Kind::Alias(_) => false,
                }
            }
            Outcome::Merge(merge) => self.map(self.frame(merge)).flow && self.fits_flow(merge),
        }
    }

    /// Can a merged mapping that is in braces stay there?
    pub(super) fn fits_flow(&self, merge: &Merge) -> bool {
        merge.entries.iter().all(|merged| {
            let entry = self.entry(merged.frame);
            self.fits(&Outcome::Keep((merged.frame.0, entry.key))) && self.fits(&merged.outcome)
        })
    }
}
