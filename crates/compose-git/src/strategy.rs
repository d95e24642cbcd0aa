//! The filters of fetch requests, and the fallbacks after a refusal.

use crate::want::Want;

/// The objects that the first request leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Everything below the trees that lead to the wanted directories.
    #[default]
    Trees,
    /// All blobs.
    Blobs,
    /// Nothing, because the server does not support filters.
    Nothing,
    /// Nothing, and only ids that the server advertised are requested.
    Advertised,
}

impl Strategy {
    /// Returns the filter for the commits of the wants at the indices `which`.
    pub(crate) fn filter(self, wants: &[Want], which: &[usize]) -> Option<String> {
        match self {
            Strategy::Trees => {
                // A depth of 1 includes the top directory with its names, which is enough to know
                // the trees there.
                let roots = which.iter().flat_map(|index| &wants[*index].roots);
                let depth = roots.map(|root| root.dir.components().count()).max().unwrap_or(1);
                Some(format!("tree:{depth}"))
            }
            Strategy::Blobs => Some("blob:none".to_owned()),
            Strategy::Nothing | Strategy::Advertised => None,
        }
    }

    /// Returns the strategy to try after the server refused with this message, or `None` if none is
    /// left.
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
    fn refusals_lead_through_all_strategies() {
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
