//! Faults of a server, or of the network in front of it.

use std::time::Duration;

use super::log::RequestKind;

/// A byte of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOffset {
    /// Counted from the start of the body.
    Body(u64),
    /// Counted from the `P` of the pack's signature `PACK`, including side-band framing. If there
    /// is no pack, there is no such byte.
    Pack(u64),
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset instead of being answered.
    Reset,
    /// The request is read and never answered.
    Stall,
    /// The connection is reset before the given byte of the body.
    ResetAt(BodyOffset),
    /// The connection is closed regularly before the given byte; the response is incomplete.
    CloseAt(BodyOffset),
    /// The body ends before the given byte as if it were complete: valid HTTP, but a truncated
    /// pack.
    TruncateAt(BodyOffset),
    /// Nothing is sent from the given byte on, and the connection stays open.
    StallAt(BodyOffset),
    /// The lowest bit of the given byte is flipped.
    FlipBit(BodyOffset),
    /// The bytes at the given place are replaced: `Overwrite(BodyOffset::Pack(8), vec![0xff; 4])` announces
    /// 2^32-1 objects.
    Overwrite(BodyOffset, Vec<u8>),
    /// The body is sent one byte at a time, with this pause before each.
    Drip(Duration),
    /// A status without a useful body; 401 comes with a challenge for Basic credentials.
    Status {
        /// The status, such as 503.
        code: u16,
        /// The value of `Retry-After`, if any.
        retry_after: Option<String>,
    },
    /// Status 200 with an HTML page that asks the user to log in.
    LoginPage,
    /// An `ERR` packet with this text.
    Error(String),
    /// A fetch is answered with this text on side-band 3, which carries fatal errors.
    SideBandError(String),
    /// A redirect to this address with the request's path and query appended. With the server's own
    /// address it is a loop.
    Redirect {
        /// The status: 301, 302, 307 or 308.
        code: u16,
        /// The address, such as `http://127.0.0.1:8080` or `file://`.
        to: String,
    },
    /// A ref advertisement that never ends.
    EndlessRefs,
    /// A fetch is answered with this pack, whatever was requested.
    Pack(Vec<u8>),
    /// Status 200 with any content.
    Answer {
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
}

impl Fault {
    /// Returns whether the fault applies to requests of this kind.
    fn concerns(&self, kind: RequestKind) -> bool {
        match self {
            Self::SideBandError(_) | Self::Pack(_) => kind == RequestKind::Fetch,
            Self::EndlessRefs => matches!(kind, RequestKind::InfoRefs | RequestKind::LsRefs),
            Self::ResetAt(at)
            | Self::CloseAt(at)
            | Self::TruncateAt(at)
            | Self::StallAt(at)
            | Self::FlipBit(at)
            | Self::Overwrite(at, _) => matches!(at, BodyOffset::Body(_)) || kind == RequestKind::Fetch,
            _ => true,
        }
    }
}

/// A fault, and the requests of a repo that it applies to: all possible ones, or fewer.
///
/// ```
/// # use compose_testkit::server::{Fault, RequestKind, Rule};
/// // The second and the third fetch.
/// let rule = Rule::from(Fault::Reset).on(RequestKind::Fetch).after(1).times(2);
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    kind: Option<RequestKind>,
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
    /// Limits the rule to requests of this kind.
    pub fn on(mut self, kind: RequestKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Skips the first `count` requests.
    pub fn after(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Limits the rule to `count` requests; later ones are answered normally.
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    /// Returns the fault for a request, if the rule applies, and counts the request.
    pub(crate) fn apply(&mut self, kind: RequestKind) -> Option<Fault> {
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
    fn a_rule_counts_only_requests_of_its_kind() {
        let mut rule = Rule::from(Fault::Stall).on(RequestKind::Fetch).after(1).times(2);
        let suffered: Vec<bool> = [
            RequestKind::InfoRefs,
            RequestKind::Fetch,
            RequestKind::LsRefs,
            RequestKind::Fetch,
            RequestKind::Fetch,
            RequestKind::Fetch,
        ]
        .into_iter()
        .map(|kind| rule.apply(kind).is_some())
        .collect();
        assert_eq!(suffered, [false, false, false, true, true, false]);
    }

    #[test]
    fn faults_in_a_pack_do_not_apply_to_handshakes() {
        assert_eq!(
            Rule::from(Fault::TruncateAt(BodyOffset::Pack(9))).apply(RequestKind::InfoRefs),
            None
        );
        assert!(
            Rule::from(Fault::TruncateAt(BodyOffset::Body(9)))
                .apply(RequestKind::InfoRefs)
                .is_some()
        );
    }
}
