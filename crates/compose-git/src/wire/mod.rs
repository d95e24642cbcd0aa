//! Getting bytes to and from a server, under bounds.
//!
//! gix's protocol code is blocking and takes any transport. Its own HTTP backends, curl and reqwest, end a blocked socket only at its
//! timeout, bound no bytes and share nothing between repos; the measured comparison stands in `docs/fetching.md`.
//! So [`http`] implements gix's `Http` seam over one shared asynchronous client, and [`process`] runs `ssh` and
//! `git upload-pack` itself instead of through gix, which hands the whole environment to them and prints what they say.
//! Both feed a [`body::Body`]: a task on the runtime moves chunks into a bounded channel and watches the bounds, the blocking side
//! reads the channel. When the runtime goes away the channel closes and the reader fails; nothing panics.

mod answers;
mod body;
mod connection;
mod exchange;
pub(crate) mod http;
pub(crate) mod net;
mod net_error;
mod packets;
pub(crate) mod process;
mod pump;

pub(crate) use connection::{Traffic, Wire};
pub(crate) use packets::SAID;
