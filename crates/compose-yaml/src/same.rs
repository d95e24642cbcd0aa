//! Comparing what two texts load as.

use crate::tree::{Kind, Loaded, NodeId, Tree};

impl Tree<'_> {
    /// Returns whether a node is loaded as the same value as one of another tree. The order of keys does not count, and
    /// keys at the paths in `skip` do not count at all.
    ///
    /// ```
    /// use compose_yaml::Tree;
    ///
    /// let (one, other) = (Tree::parse("a: 1\nb: [x]\nc: {}\n").unwrap(), Tree::parse("b: ['x'] # x\na: 0x1\n").unwrap());
    /// let (root, other_root) = (one.root().unwrap(), other.root().unwrap());
    /// assert!(one.loads_as(root, &other, other_root, &[&["c"]]));
    /// assert!(!one.loads_as(root, &other, other_root, &[]));
    /// ```
    pub fn loads_as(&self, node: NodeId, other: &Tree<'_>, other_node: NodeId, skip: &[&[&str]]) -> bool {
        if !self.spend(1) || !other.spend(1) {
            return false;
        }
        let (one, two) = (self.node(node), other.node(other_node));
        match (&one.kind, &two.kind) {
            (Kind::Scalar { .. }, Kind::Scalar { .. }) => {
                one.tag == two.tag && self.scalar(node) == other.scalar(other_node)
                    || one.tag.is_none() && two.tag.is_none() && self.scalar(node) == other.scalar(other_node)
            }
            (Kind::Sequence { .. }, Kind::Sequence { .. }) => {
                let items: Vec<NodeId> = self.items(self.resolve(node)).collect();
                let others: Vec<NodeId> = other.items(other.resolve(other_node)).collect();
                let same = |(one, two): (&NodeId, &NodeId)| self.loads_as(*one, other, *two, &[]);
                one.tag == two.tag && items.len() == others.len() && items.iter().zip(&others).all(same)
            }
            (Kind::Map(_), Kind::Map(_)) => {
                let entries = self.counted(node, skip);
                let others = other.counted(other_node, skip);
                let same = |one: &Loaded| {
                    let entry = self.entry(*one);
                    let key = self.key(entry.key);
                    let found = others.iter().map(|two| other.entry(*two)).find(|two| match &key {
                        Some(key) => other.key(two.key).as_ref() == Some(key),
                        None => self.loads_as(entry.key, other, two.key, &[]),
                    });
                    let below = self.below(entry.key, skip);
                    found.is_some_and(|two| self.loads_as(entry.value, other, two.value, &below))
                };
                one.tag == two.tag && entries.len() == others.len() && entries.iter().all(same)
            }
            _ => false,
        }
    }

    /// Returns the entries of a mapping that count.
    fn counted(&self, map: NodeId, skip: &[&[&str]]) -> Vec<Loaded> {
        let counts = |loaded: &Loaded| {
            let entry = self.entry(*loaded);
            let below = self.below(entry.key, skip);
            let is_map = matches!(self.node(entry.value).kind, Kind::Map(_));
            // Where only skipped keys are in it, a mapping counts as absent.
            !below.iter().any(|rest| rest.is_empty())
                && (below.is_empty() || !is_map || !self.counted(entry.value, &below).is_empty())
        };
        self.loaded(map).iter().copied().filter(counts).collect()
    }

    /// Returns what is left of the paths that begin with a key.
    fn below<'s>(&self, key: NodeId, skip: &[&'s [&'s str]]) -> Vec<&'s [&'s str]> {
        let text = self.value(key);
        let rest = |path: &&'s [&'s str]| {
            let (first, rest) = path.split_first()?;
            (text == Some(*first)).then_some(rest)
        };
        skip.iter().filter_map(rest).collect()
    }
}
