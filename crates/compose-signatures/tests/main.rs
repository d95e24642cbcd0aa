//! Verifies signatures that the real `git`, `ssh-keygen` and `gpg` made.

mod commits;
mod hostile;
mod keys;
#[cfg(feature = "openpgp")]
mod openpgp;
mod repo;
mod tags;
