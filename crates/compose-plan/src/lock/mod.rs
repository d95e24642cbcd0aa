//! `bitops.lock.yaml`: the commits that an environment's sources stand for.
//!
//! | module | holds |
//! |---|---|
//! | `locked` | a lock and its sources |
//! | `answer` | what a lock says to a request |
//! | `write` | the file's text, the same for the same lock |
//! | `read` | the file read back, with the place of every mistake |
//! | `changes` | two locks compared |
//! | `moved` | tags that do not point any more to where they pointed when they were locked |
//! | `outdated` | what a repo's refs say of a lock |

mod answer;
mod changes;
mod locked;
mod moved;
mod outdated;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use answer::Answer;
pub use changes::Change;
pub use locked::{FORMAT, Lock, Locked, LockedRef, Via};
pub use moved::MovedTag;
pub use outdated::{Now, Row, outdated, to_json, to_table};
pub use read::{RESTORE, schema};
