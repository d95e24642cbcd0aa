//! From configs, refs and listed trees to a composition. Pure: what must be read comes in through traits.
//!
//! ```
//! use std::sync::Arc;
//!
//! use compose_model::Nesting;
//! use compose_plan::config;
//!
//! let file: Arc<str> = "dev/bitops.config.yaml".into();
//! let text = "default-environments:\n\
//!             - {repo: 'https://git.example.com/org/kubernetes', environment: eks, version: ^1.2}\n";
//! let sources = config::parse(&file, &text.into(), Nesting::Root).unwrap();
//! assert_eq!(sources[0].environment.as_str(), "eks");
//!
//! // Every mistake has its place and is reported with all others.
//! let text = text.replace("version:", "hook: false, version:");
//! let mistakes = config::parse(&file, &text.into(), Nesting::Root).unwrap_err();
//! assert_eq!(mistakes[0].message, "unknown key `hook` in a source");
//! assert_eq!(mistakes[0].place.as_ref().unwrap().line_column(), (2, 70));
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | `bitops.config.yaml` to checked sources, every mistake with its place |
//! | [`resolve`] | a request and a repo's refs to a commit |
//! | [`lock`] | `bitops.lock.yaml` |
//! | [`adopt`] | a copied directory compared with what it was copied from |
//! | [`catalog`] | the environments that a repo offers |
//! | [`layer`] | what each source and the local environment contribute |
//! | [`compose`](mod@compose) | layers to a composition: files, conflicts, warnings, deployments, provenance |
//!
//! Messages are in few places: conflicts in `compose::wording` and [`compose::report::overview`],
//! their remedies in `compose::remedy_words`, unanswered requests in [`resolve::ResolveError`], refused repos in
//! [`resolve::NotAllowed`], and mistakes in a config or a lock beside the key that they are about
//! (`config::keys`, `lock::read`).

pub mod adopt;
pub mod catalog;
pub mod compose;
pub mod config;
pub mod layer;
pub mod lock;
pub mod resolve;
