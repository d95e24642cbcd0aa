//! Output for GitHub Actions: annotations on the exact value in a config, log groups, the page of
//! the run and the outputs of the step.
//!
//! | module | holds |
//! |---|---|
//! | [`annotation`] | problems as annotations |
//! | [`checkout`] | the location of the operations repo in the repository that was checked out |
//! | [`command`] | the escapes in workflow commands |
//! | [`delivery`] | the results of a run: the plan on the run's page, the step's outputs |
//! | [`files`] | the environment files `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT` |
//! | [`group`] | log groups |
//! | [`guard`] | the protection against foreign text that looks like a command |
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
