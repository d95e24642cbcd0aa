//! Signatures made by the real `git`, `ssh-keygen` and `gpg`, judged by this crate.

mod commits;
mod hostile;
mod keys;
#[cfg(feature = "openpgp")]
mod openpgp;
mod repo;
mod tags;
