//! What several fuzz targets share, and what is too long for one of them.

pub mod packs;

use compose_merge::{Class, Contribution, Input, Precedence, class};
use compose_model::TreePath;

/// Merges layers of a file under each of these names. The layers are separated by bytes that no text has.
///
/// The merger itself reads its result again, and compares what it means.
pub fn merge(names: &[&str], bytes: &[u8]) {
    let layers: Vec<&[u8]> = bytes.split(|byte| *byte == 0xff).take(4).collect();
    let contributions: Vec<Contribution<'_>> = layers.iter().map(|bytes| Contribution { bytes }).collect();
    for name in names {
        let path = TreePath::new(name).expect("a path");
        let Class::Merge(merger) = class(&path) else {
            panic!("{name} is merged");
        };
        let precedences: [&dyn Fn(usize, usize) -> Precedence; 2] =
            [&|_, _| Precedence::HigherWins, &|_, _| Precedence::Conflict];
        for precedence in precedences {
            let _ = merger.merge(&Input {
                path: &path,
                contributions: &contributions,
                precedence,
            });
        }
    }
}
