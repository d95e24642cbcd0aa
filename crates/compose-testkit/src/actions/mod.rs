//! A runner of GitHub Actions, as far as the project's own YAML files need one: their steps are run, not read.
//!
//! | module | holds |
//! |---|---|
//! | [`expression`] | `${{ }}`: contexts, comparison, `&&`, `||`, `!`, calls of `hashFiles`, `always` and the like |
//! | [`files`] | a step's environment files: outputs, variables, paths, the summary |
//! | [`runner`] | [`Runner`]: steps of jobs and of composite actions, on this machine, in containers, in a job container |
//!
//! Paths, mounts, variables and shells are those of the real runner (`actions/runner`: `ScriptHandler`,
//! `ContainerActionHandler`, `ContainerOperationProvider`).

mod expression;
mod files;
mod runner;

pub use runner::{Done, Runner};
