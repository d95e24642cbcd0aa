//! Writes the lock as text.
//!
//! Each source is a block of lines with one value per line, so that a review shows exactly what
//! changed. The last key marks the end, so that a truncated file is refused. Tools that rewrite
//! YAML keep the key and its place, because its name is the last one in alphabetical order.

use std::fmt::Write as _;

use compose_model::Requested;
use compose_yaml::{double_quote as quoted, quote as scalar};

use super::locked::{FORMAT, Lock, Locked, LockedRef};

/// The last key, whose value is `true`.
pub(super) const END_KEY: &str = "the-end";

const HEADER: &str = "\
# Which commits the default-environments of this environment stand for: deployments use these, and nothing newer.
# Written by `bitops-compose lock` and `bitops-compose update`. Commit it; do not edit it by hand, change
# bitops.config.yaml instead. `bitops-compose outdated` lists newer versions and moved tags.
";

impl Lock {
    /// Returns the file's text. The same lock always gives the same text.
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}format: {FORMAT}\n");
        out.push_str(if self.sources.is_empty() {
            "sources: []\n"
        } else {
            "sources:\n"
        });
        for source in &self.sources {
            write_source(&mut out, source);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{END_KEY}: true");
        out
    }
}

fn write_source(out: &mut String, source: &Locked) {
    let mut line = |start: &str, key: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{start} {key}: {value}");
    };
    line("-", "repo", scalar(source.repo.as_str()));
    line(" ", "environment", scalar(source.environment.as_str()));
    match &source.requested {
        Requested::Version(version) => line(" ", "version", quoted(version.as_str())),
        Requested::Ref(name) => line(" ", "ref", quoted(name)),
    }
    match &source.resolved {
        LockedRef::Tag(tag) => line(" ", "tag", quoted(tag)),
        LockedRef::Branch(branch) => line(" ", "branch", quoted(branch)),
        // The request names it.
        LockedRef::Commit | LockedRef::Other(_) => {}
    }
    line(" ", "commit", quoted(&source.commit.to_string()));
    line(" ", "tree", quoted(&source.tree.to_string()));
    if let Some(signer) = &source.signer {
        line(" ", "signer", quoted(signer));
    }
    if let Some(tag) = &source.tag_object {
        line(" ", "tag-object", quoted(&tag.to_string()));
    }
    if !source.via.is_empty() {
        out.push_str("  via:\n");
        for via in &source.via {
            let (repo, environment) = (scalar(via.repo.as_str()), scalar(via.environment.as_str()));
            let _ = writeln!(out, "  - repo: {repo}\n    environment: {environment}");
        }
    }
}
