//! The contents of a fetch request, in gix's terms.

use compose_model::ObjectId;
use gix::protocol::fetch::{self, Arguments, Negotiate, negotiate};

use crate::ids::to_gix;

/// The objects that a pack should hold.
pub(crate) struct PackRequest<'a> {
    pub(crate) ids: &'a [ObjectId],
    /// The `filter` argument of the protocol; servers without the feature ignore it.
    pub(crate) filter: Option<String>,
    /// Leave out the history of the commits.
    pub(crate) shallow: bool,
}

/// Requests all objects in one round, without negotiating common commits.
pub(super) struct WantAll<'a> {
    pub(super) ask: &'a PackRequest<'a>,
    /// Suppresses progress lines: nobody reads them, and each one is a separate packet.
    pub(super) no_progress: bool,
}

impl Negotiate for WantAll<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate {
            remote_ref_target_known: Vec::new(),
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        if self.no_progress {
            arguments.add_feature("no-progress");
        }
        for id in self.ask.ids {
            arguments.want(to_gix(id));
        }
        // The filter follows the wants: in protocol 0, the first want sends the capabilities.
        if let Some(filter) = self.ask.filter.as_deref().filter(|_| arguments.can_use_filter()) {
            arguments.filter(filter);
        }
        !self.ask.ids.is_empty()
    }

    fn one_round(
        &mut self,
        _state: &mut negotiate::one_round::State,
        _arguments: &mut Arguments,
        _previous: Option<&fetch::Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        let round = negotiate::Round {
            haves_sent: 0,
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}
