//! What a server or the network in front of it does wrong.

use std::time::Duration;

use super::log::Kind;

/// A byte of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Counted from the start of the body.
    Body(u64),
    /// Counted from the `P` of the pack's signature `PACK`. Side-band framing counts too; without a pack there is no
    /// such byte.
    Pack(u64),
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset instead of a response.
    Reset,
    /// The request is taken and never answered.
    Stall,
    /// The connection is reset before the given byte of the body.
    ResetAt(At),
    /// The connection is closed in good order before the given byte, the response unfinished.
    CloseAt(At),
    /// The body ends before the given byte, as if that were all there is: correct HTTP, a truncated pack.
    TruncateAt(At),
    /// Nothing comes from the given byte on, and the connection stays open.
    StallAt(At),
    /// The lowest bit of the given byte is the other one.
    FlipBit(At),
    /// Other bytes stand at the given place: `Overwrite(At::Pack(8), vec![0xff; 4])` announces 2^32-1 objects.
    Overwrite(At, Vec<u8>),
    /// The body comes one byte at a time, with this pause before each.
    Drip(Duration),
    /// A status without a useful body; for 401 with a challenge for Basic credentials.
    Status {
        /// Such as 503.
        code: u16,
        /// The value of `Retry-After`, if there is to be one.
        retry_after: Option<String>,
    },
    /// 200 with an HTML page that asks to log in.
    LoginPage,
    /// An `ERR` packet with this text.
    Error(String),
    /// A fetch is answered with this text on side-band 3, the channel of fatal errors.
    SideBandError(String),
    /// A redirect to this address with the request's path and query appended. To the server's own address it is a
    /// loop.
    Redirect {
        /// 301, 302, 307, 308.
        code: u16,
        /// Such as `http://127.0.0.1:8080`, `file://`.
        to: String,
    },
    /// A ref advertisement that never ends.
    EndlessRefs,
    /// A fetch is answered with this pack, whatever was asked.
    Pack(Vec<u8>),
    /// 200 with this.
    Answer {
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
}

impl Fault {
    /// Whether requests of this kind can suffer it.
    fn concerns(&self, kind: Kind) -> bool {
        match self {
            Self::SideBandError(_) | Self::Pack(_) => kind == Kind::Fetch,
            Self::EndlessRefs => matches!(kind, Kind::InfoRefs | Kind::LsRefs),
            Self::ResetAt(at)
            | Self::CloseAt(at)
            | Self::TruncateAt(at)
            | Self::StallAt(at)
            | Self::FlipBit(at)
            | Self::Overwrite(at, _) => matches!(at, At::Body(_)) || kind == Kind::Fetch,
            _ => true,
        }
    }
}

/// A fault, and which requests of a repo suffer it: all that can, or fewer.
///
/// ```
/// # use compose_testkit::server::{Fault, Kind, Rule};
/// // The second and the third fetch.
/// let rule = Rule::from(Fault::Reset).on(Kind::Fetch).after(1).times(2);
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    kind: Option<Kind>,
    skip: u32,
    times: Option<u32>,
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            kind: None,
            skip: 0,
            times: None,
        }
    }
}

impl Rule {
    /// Only requests of this kind.
    pub fn on(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Not the first `count` of them.
    pub fn after(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Only `count` of them; then all is well.
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    /// The fault that a request suffers by this rule, if any; counts the request.
    pub(crate) fn apply(&mut self, kind: Kind) -> Option<Fault> {
        if !self.fault.concerns(kind) || self.kind.is_some_and(|only| only != kind) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match &mut self.times {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_only_the_requests_that_it_is_about() {
        let mut rule = Rule::from(Fault::Stall).on(Kind::Fetch).after(1).times(2);
        let suffered: Vec<bool> = [
            Kind::InfoRefs,
            Kind::Fetch,
            Kind::LsRefs,
            Kind::Fetch,
            Kind::Fetch,
            Kind::Fetch,
        ]
        .into_iter()
        .map(|kind| rule.apply(kind).is_some())
        .collect();
        assert_eq!(suffered, [false, false, false, true, true, false]);
    }

    #[test]
    fn a_handshake_has_no_pack_to_be_cut() {
        assert_eq!(
            Rule::from(Fault::TruncateAt(At::Pack(9))).apply(Kind::InfoRefs),
            None
        );
        assert!(
            Rule::from(Fault::TruncateAt(At::Body(9)))
                .apply(Kind::InfoRefs)
                .is_some()
        );
    }
}
