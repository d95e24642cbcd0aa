//! From configs, refs and listed trees to a composition. Pure: what must be read comes in through traits.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | `bitops.config.yaml` to checked sources, every mistake with its place |
//! | [`resolve`] | a request and a repo's refs to a commit |
//! | [`lock`] | `bitops.lock.yaml` |
//! | [`layer`] | what each source and the local environment contribute |
//! | [`compose`](mod@compose) | layers to a composition: files, conflicts, warnings, deployments, provenance |

pub mod compose;
pub mod config;
pub mod layer;
pub mod lock;
pub mod resolve;
