//! What a request leaves out, and what is tried after a refusal.

use crate::want::Want;

/// What the first request leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Everything below the trees on the way to the wanted directories.
    #[default]
    Trees,
    /// All blobs.
    Blobs,
    /// Nothing: the server knows no filter.
    Nothing,
    /// Nothing, and the server hands out what it advertised only.
    Advertised,
}

impl Strategy {
    /// The filter for the commits `which` of the wants.
    pub(crate) fn filter(self, wants: &[Want], which: &[usize]) -> Option<String> {
        match self {
            Strategy::Trees => {
                // A depth of 1 is the top directory with its names, which is enough to know the trees there.
                let roots = which.iter().flat_map(|at| &wants[*at].roots);
                let depth = roots.map(|root| root.dir.components().count()).max().unwrap_or(1);
                Some(format!("tree:{depth}"))
            }
            Strategy::Blobs => Some("blob:none".to_owned()),
            Strategy::Nothing | Strategy::Advertised => None,
        }
    }

    /// What to try when the server answered with this text.
    pub(crate) fn after_refusal(self, said: &str) -> Option<Self> {
        let about_filters = said.contains("filter");
        match self {
            Strategy::Trees if about_filters => Some(Strategy::Blobs),
            Strategy::Blobs if about_filters => Some(Strategy::Nothing),
            Strategy::Trees | Strategy::Blobs | Strategy::Nothing => Some(Strategy::Advertised),
            Strategy::Advertised => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_leads_to_the_next_strategy_and_then_to_an_end() {
        let mut strategy = Strategy::default();
        let mut seen = vec![strategy];
        for said in [
            "filter 'tree' not supported",
            "filter 'blob:none' not supported",
            "not our ref",
            "not our ref",
        ] {
            let Some(next) = strategy.after_refusal(said) else {
                break;
            };
            strategy = next;
            seen.push(strategy);
        }
        assert_eq!(
            seen,
            [
                Strategy::Trees,
                Strategy::Blobs,
                Strategy::Nothing,
                Strategy::Advertised
            ]
        );
        assert_eq!(
            Strategy::Trees.after_refusal("not our ref"),
            Some(Strategy::Advertised)
        );
    }
}
