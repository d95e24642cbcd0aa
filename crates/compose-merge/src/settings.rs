//! Lists what YAML and JSON files set, for comparing files of different names that a tool loads one
//! after the other.

use super::{
    identity,
    key_path::key_component,
    tree::{Kind, NodeId, Tree},
    value::{ValueId, Values},
    yaml,
};

/// The keys that count when a tool loads several files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The keys of the root. A later file replaces their values as a whole.
    Root,
    /// The leaf keys. Mappings of several files are merged.
    Leaves,
}

/// A key that a file sets.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The path of the key.
    pub key: String,
    value: ValueId,
}

impl Setting {
    /// Returns whether another setting of the same call has another value.
    pub fn differs(&self, other: &Self) -> bool {
        self.value != other.value
    }
}

/// Lists what each of several texts sets. A text that cannot be read, or that is encrypted, sets
/// nothing.
pub fn settings<'t>(texts: impl IntoIterator<Item = &'t [u8]>, keys: Keys) -> Vec<Vec<Setting>> {
    let mut values = Values::default();
    texts
        .into_iter()
        .map(|text| of_text(text, keys, &mut values).unwrap_or_default())
        .collect()
}

fn of_text(text: &[u8], keys: Keys, values: &mut Values) -> Option<Vec<Setting>> {
    if identity::encrypted(text).is_some() {
        return None;
    }
    let tree = yaml::parse(text, values).ok()?;
    let mut found = Vec::new();
    let root = tree.root().filter(|root| tree.is_mergeable(*root))?;
    list(&tree, root, "", keys, &mut found);
    let whole = identity::find_whole(&[tree]).is_some();
    (!whole).then_some(found)
}

/// Lists the entries of a mapping. Values that are aliases count as a whole, because following them
/// may take exponential time.
fn list(tree: &Tree<'_>, map: NodeId, above: &str, keys: Keys, found: &mut Vec<Setting>) {
    for loaded in tree.loaded(map).iter() {
        let entry = tree.entry(*loaded);
        let Some(name) = tree.value(entry.key).map(key_component) else {
            continue;
        };
        let key = if above.is_empty() {
            name
        } else {
            format!("{above}.{name}")
        };
        if !tree.spend(key.len()) {
            return;
        }
        let is_alias = matches!(tree.nodes[entry.value].kind, Kind::Alias(_));
        if keys == Keys::Leaves && !is_alias && tree.is_mergeable(entry.value) {
            list(tree, entry.value, &key, keys, found);
        } else {
            let value = tree.values[entry.value];
            found.push(Setting { key, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str, keys: Keys) -> String {
        let all = settings([text.as_bytes()], keys).remove(0);
        let names: Vec<String> = all.into_iter().map(|setting| setting.key).collect();
        names.join(" ")
    }

    #[test]
    fn keys_are_those_of_the_root_or_the_leaves() {
        let text = "a: {b: 1, c: {d: [x], 'e f': {}}}\ng: &g {h: 1}\ni: {<<: *g, j: 2}\nk: *g\n";
        assert_eq!(keys(text, Keys::Root), "a g i k");
        assert_eq!(keys(text, Keys::Leaves), "a.b a.c.d g.h i.h i.j k");
        assert_eq!(keys("{\"a\": {\"b\": 1}}", Keys::Leaves), "a.b");
    }

    #[test]
    fn what_cannot_be_compared_sets_nothing() {
        for text in [
            "",
            "- a\n",
            "a: [\n",
            "$ANSIBLE_VAULT;1.1;AES256\n6133\n",
            "a: ENC[x]\nsops:\n  mac: ENC[x]\n  version: 3.9.0\n",
        ] {
            assert_eq!(keys(text, Keys::Root), "", "{text}");
        }
        // An alias bomb ends.
        let mut bomb = "a0: &a0 {x: 1, y: 2}\n".to_owned();
        for level in 1..60 {
            let below = level - 1;
            bomb.push_str(&format!(
                "a{level}: &a{level} {{x: {{<<: *a{below}}}, y: {{<<: *a{below}}}}}\n"
            ));
        }
        keys(&bomb, Keys::Leaves);
    }

    #[test]
    fn values_are_compared_as_they_are_loaded() {
        let all = settings(
            ["a: yes\n", "a: true # on\n", "a: 'yes'\n"].map(str::as_bytes),
            Keys::Root,
        );
        assert!(!all[0][0].differs(&all[1][0]));
        assert!(all[0][0].differs(&all[2][0]));
    }
}
