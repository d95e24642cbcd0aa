//! What is asked for, in gix's terms.

use compose_model::ObjectId;
use gix::protocol::fetch::{self, Arguments, Negotiate, negotiate};

use crate::ids::to_gix;

/// What a pack is to hold.
pub(crate) struct Ask<'a> {
    pub(crate) ids: &'a [ObjectId],
    /// `filter` of the protocol; ignored by servers that know none.
    pub(crate) filter: Option<String>,
    /// Commits without their history.
    pub(crate) shallow: bool,
}

/// Wants some objects and has none: one round, no negotiation.
pub(super) struct Wants<'a> {
    pub(super) ask: &'a Ask<'a>,
    /// The server need not tell how far it has come. Nobody reads that, and each line of it is a piece of the answer of its own.
    pub(super) in_silence: bool,
}

impl Negotiate for Wants<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate {
            remote_ref_target_known: Vec::new(),
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        if self.in_silence {
            arguments.add_feature("no-progress");
        }
        for id in self.ask.ids {
            arguments.want(to_gix(id));
        }
        // After the wants: in protocol 0 the first of them turns the capability on.
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
