//! GitHub Actions: annotations on the config's very value, log groups, the run's page, the step's outputs.
//!
//! | module | holds |
//! |---|---|
//! | [`annotation`] | problems as annotations |
//! | [`checkout`] | where the operations repo is in the repository that was checked out |
//! | [`command`] | how a workflow command is written |
//! | [`delivery`] | what a run leaves: the plan on the run's page, the step's outputs |
//! | [`files`] | the environment files `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT` |
//! | [`group`] | log groups |
//! | [`guard`] | other people's text, which must not be taken for a command |
//!
//! Source: GitHub's "Workflow commands for GitHub Actions", and the runner's own `ActionCommand` and
//! `FileCommandManager`.

mod annotation;
mod checkout;
mod command;
mod delivery;
mod files;
mod group;
mod guard;

pub(super) use annotation::annotate;
pub(crate) use checkout::Checkout;
pub(crate) use delivery::deliver;
pub(super) use delivery::failures;
pub(crate) use group::Group;
pub(super) use group::close;
pub(super) use guard::guard;
