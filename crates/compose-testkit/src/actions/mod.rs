//! A runner of GitHub Actions for the project's own YAML files, which executes their steps.
//!
//! | module | holds |
//! |---|---|
//! | [`expression`] | `${{ }}`: contexts, comparisons, `&&`, `||`, `!`, calls of `hashFiles`, `always` and the like |
//! | [`files`] | the environment files of a step: outputs, variables, paths, the summary |
//! | [`runner`] | [`Runner`]: steps of jobs and of composite actions, on this machine, in containers, in a job container |
//!
//! Paths, mounts, variables and shells are those of the real runner (`actions/runner`: `ScriptHandler`,
//! `ContainerActionHandler`, `ContainerOperationProvider`).

mod expression;
mod files;
mod runner;

pub use runner::{Done, Runner};
