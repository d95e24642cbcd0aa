//! Writes the result: the text of the lowest file, with pieces of the other files spliced in.

use std::collections::{HashMap, HashSet};

use compose_yaml::{Edit, MAX_BYTES, apply, leading, line_break};

use super::{
    deep::{Merge, MergedEntry, Outcome},
    refusal::{Expansion, KeyProblem, Reason, Refusal, Unmergeable},
    tree::{Kind, Loaded, Map, MapEntry, Node, NodeId, NodeRef, Tree},
    value::ValueId,
};

/// Writes one merge.
pub(super) struct Emitter<'a, 't> {
    pub(super) trees: &'a [Tree<'t>],
    /// The contribution whose text frames the whole result.
    pub(super) base: usize,
    /// The names of anchors that are already used.
    names: HashSet<String>,
    /// The anchored nodes that are in the result so far, unchanged, with their names there.
    pub(super) emitted: HashMap<NodeRef, String>,
    /// The number of copied bytes: aliases can make it far larger than the files.
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
            copied: 0,
        }
    }

    /// Writes the whole result.
    pub(super) fn file(&mut self, merge: &Merge) -> Result<String, Unmergeable> {
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
            let lines = self.unfolded(merge, 0)?;
            let lines = lines.strip_prefix('\n').unwrap_or(&lines);
            let end = tree.line_end(root.end);
            let keeps = merge
                .entries
                .last()
                .is_some_and(|last| self.last_block(&last.outcome) == Some(true));
            vec![Edit {
                range: root.start..if keeps { tree.blank_end(end) } else { end },
                text: format!("{start}{comment}{lines}"),
            }]
        };
        let eol = line_break(&tree.text);
        if eol != "\n" {
            for edit in &mut edits {
                edit.text = edit.text.replace('\n', eol);
            }
        }
        let bom = if tree.bom { "\u{feff}" } else { "" };
        Ok(format!("{bom}{}", apply(&tree.text, 0..tree.text.len(), edits)))
    }

    pub(super) fn node(&self, (index, node): NodeRef) -> &'a Node {
        &self.trees[index].nodes[node]
    }

    /// Returns the error that a node's text cannot be written in its new place.
    pub(super) fn refuse(&self, reason: impl Into<Reason>, (index, node): NodeRef) -> Unmergeable {
        let tree = &self.trees[index];
        let place = tree.line_column(tree.nodes[node].start);
        Refusal::new(reason.into(), place).of(index)
    }

    fn value(&self, (index, node): NodeRef) -> ValueId {
        self.trees[index].values[node]
    }

    pub(super) fn map(&self, (index, node): NodeRef) -> &'a Map {
        self.trees[index].map(node).expect("only mappings are merged")
    }

    /// Returns the mapping of the first part of a merge, after following aliases.
    pub(super) fn frame(&self, merge: &Merge) -> NodeRef {
        let (index, node) = merge.parts[0];
        (index, self.trees[index].resolve(node))
    }

    pub(super) fn entry(&self, (index, loaded): (usize, Loaded)) -> MapEntry {
        self.map((index, loaded.map)).entries[loaded.entry]
    }

    /// Returns the entries that are neither in the frame's text nor inherited there, with their
    /// value, through a merge key.
    pub(super) fn new_entries<'m>(&self, merge: &'m Merge, frame: NodeRef) -> Vec<&'m MergedEntry> {
        let is_there = |merged: &&MergedEntry| {
            let (index, loaded) = merged.frame;
            let value = match &merged.outcome {
                Outcome::Keep(at) => self.value(*at),
                Outcome::Merge(merge) => merge.value,
            };
            let inherited = || self.value((index, self.entry(merged.frame).value)) == value;
            index == frame.0 && (loaded.map == frame.1 || inherited())
        };
        merge.entries.iter().filter(|merged| !is_there(merged)).collect()
    }

    /// Handles the anchor of a merged mapping. A copy loses the anchor. A mapping in its own place
    /// keeps it, and aliases may refer to it only if the value is unchanged.
    pub(super) fn frame_anchor(&mut self, merge: &Merge, copy: bool, edits: &mut Vec<Edit>) {
        let (index, node) = self.frame(merge);
        let tree = &self.trees[index];
        let Some(anchor) = tree.nodes[node].anchor.clone() else {
            return;
        };
        if copy {
            edits.push(tree.without_anchor(anchor));
        } else if merge.value == tree.values[node] {
            self.emitted
                .insert((index, node), tree.text[anchor.start + 1..anchor.end].to_owned());
        }
    }

    /// Returns whether two values are equal and have the same text, so that the frame's text can
    /// stay.
    pub(super) fn reads_alike(&self, theirs: NodeRef, own: NodeRef) -> bool {
        let text = |(index, node): NodeRef| {
            let tree = &self.trees[index];
            let it = &tree.nodes[node];
            let comment = tree.comment_behind(node).map(|comment| &tree.text[comment]);
            (
                &tree.text[it.start..it.end],
                comment,
                it.parent_indent,
                it.in_flow,
            )
        };
        let (their_text, own_text) = (text(theirs), text(own));
        let comments = their_text.1.is_none() || their_text.1 == own_text.1;
        self.value(theirs) == self.value(own)
            && comments
            && (their_text.0, their_text.2, their_text.3) == (own_text.0, own_text.2, own_text.3)
    }

    /// Writes a key for a place in another mapping.
    pub(super) fn key(&mut self, merged: &MergedEntry) -> Result<String, Unmergeable> {
        let entry = self.entry(merged.frame);
        if entry.explicit {
            return Err(self.refuse(KeyProblem::ExplicitMoves, (merged.frame.0, entry.key)));
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

    /// Returns the alias itself if its anchor is in the result, else its target.
    pub(super) fn anchor_or_target(&self, (index, node): NodeRef) -> NodeId {
        let target = self.trees[index].resolve(node);
        if self.emitted.contains_key(&(index, target)) {
            node
        } else {
            target
        }
    }

    /// Adds the edits that keep a node's text valid: anchors stay unique, and aliases keep their meaning.
    pub(super) fn verbatim(
        &mut self,
        (index, node): NodeRef,
        copy: bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Unmergeable> {
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
                    edits.push(tree.without_anchor(anchor));
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

    /// Replaces an alias by its target.
    fn expanded(&mut self, (index, alias): NodeRef, there: NodeId) -> Result<Edit, Unmergeable> {
        let tree = &self.trees[index];
        let it = &tree.nodes[alias];
        if it.in_flow || it.is_key {
            let text = self.inline((index, there), leading(tree.line_text(it.start)))?;
            if it.is_key && text.contains('\n') {
                return Err(self.refuse(KeyProblem::LostAnchor, (index, alias)));
            }
            return Ok(Edit {
                range: it.start..it.end,
                text,
            });
        }
        let target = Outcome::Keep((index, there));
        let text = self.block_value(&target, it.parent_indent, it.in_sequence)?;
        let comment = tree
            .comment_behind(alias)
            .map_or("", |comment| &tree.text[comment]);
        let mut end = if comment.is_empty() {
            it.end
        } else {
            tree.line_end(it.end)
        };
        let mut text = match comment {
            _ if comment.is_empty() || text.contains(comment) => text,
            _ if text.starts_with('\n') => format!(" {comment}{text}"),
            _ => text,
        };
        if self.last_block(&target).is_some() {
            let indent = usize::try_from(it.parent_indent).unwrap_or(0);
            let tail = self.behind_block(index, tree.line_end(it.end), indent, &target);
            text.push_str(&tail.text);
            end = tail.range.end;
        }
        Ok(Edit {
            range: it.lead..end,
            text,
        })
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

    /// Copies an edited piece of a file for another place.
    pub(super) fn copy(
        &mut self,
        index: usize,
        region: std::ops::Range<usize>,
        edits: Vec<Edit>,
    ) -> Result<String, Unmergeable> {
        // An edit that removes blank lines may reach beyond the piece.
        let end = edits
            .iter()
            .map(|edit| edit.range.end)
            .chain([region.end])
            .max()
            .unwrap_or(region.end);
        let text = apply(&self.trees[index].text, region.start..end, edits);
        self.copied += text.len();
        if self.copied > 16 * MAX_BYTES {
            return Err(Refusal::from(Reason::from(Expansion::Text)).of(index));
        }
        Ok(text)
    }
}

/// Returns the entries of a merge that are in its frame's text, by their index there.
pub(super) fn own_entries(merge: &Merge, frame: NodeRef) -> HashMap<usize, &MergedEntry> {
    let own = merge
        .entries
        .iter()
        .filter(|merged| (merged.frame.0, merged.frame.1.map) == frame);
    own.map(|merged| (merged.frame.1.entry, merged)).collect()
}
