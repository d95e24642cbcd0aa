//! What the fuzz targets feed and what is private otherwise. It exists only in their builds (`--cfg fuzzing`).

mod packs;

use crate::{credentials, gitconfig::GitConfig, tree_object, wire};

pub use packs::{Kind, object_id, pack, sealed};

/// Reads a server's answer as it arrives, in pieces.
pub fn answer(bytes: &[u8]) {
    wire::read_answer(bytes);
}

/// Decodes a tree object.
pub fn tree(bytes: &[u8]) {
    let _ = tree_object::parse(bytes);
}

/// Looks for a host in a `.netrc`.
pub fn netrc(bytes: &[u8]) {
    credentials::look_into_netrc(&String::from_utf8_lossy(bytes));
}

/// Reads a file of git's configuration.
pub fn git_config(bytes: &[u8]) {
    GitConfig::read_bytes(bytes);
}
