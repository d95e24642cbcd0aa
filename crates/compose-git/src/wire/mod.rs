//! Transfers bytes to and from a server, within bounds.
//!
//! gix's protocol code is blocking and accepts any transport. Its own HTTP backends, curl and
//! reqwest, end a blocked socket only at its timeout, do not bound bytes and share nothing between
//! repos; `docs/fetching.md` holds the measured comparison. Therefore [`http`] implements gix's
//! `Http` trait with one shared asynchronous client, and [`process`] runs `ssh` and `git
//! upload-pack` itself; gix would pass them the whole environment and print their output. Both feed
//! a [`body::Body`]: a task on the runtime moves chunks into a bounded channel and checks the
//! bounds, and the blocking side reads the channel. If the runtime goes away, the channel closes
//! and the reader fails; nothing panics.

mod answers;
mod body;
mod connection;
pub(crate) mod described;
mod exchange;
pub(crate) mod http;
pub(crate) mod net;
mod net_error;
mod no_proxy;
mod opening;
mod packets;
pub(crate) mod process;

mod pump;
mod reuse;
mod tls;

pub(crate) use connection::{Traffic, Wire};
pub(crate) use opening::HEAD_SYMREF;
pub(crate) use packets::MAX_SHOWN_MESSAGE;

/// Reads a server's answer as it arrives, in pieces of several lengths.
#[cfg(fuzzing)]
pub(crate) fn read_answer(bytes: &[u8]) {
    for length in [1, 7, usize::MAX] {
        let (mut scanner, mut opening) = (packets::PacketScanner::default(), opening::Opening::default());
        for chunk in bytes.chunks(length.min(bytes.len().max(1))) {
            let passed = opening.pass(bytes::Bytes::copy_from_slice(chunk), false);
            let _ = scanner.observe(&passed);
        }
        let _ = scanner.observe(&opening.pass(bytes::Bytes::new(), true));
        let _ = scanner.is_cut();
    }
}
