//! Versions, addresses and paths, as people write them.

#![no_main]

use compose_model::{PastedAddress, RepoUrl, TreePath, VersionRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = VersionRequest::parse(text);
    if let Ok(path) = TreePath::new(text) {
        assert!(path.components().all(|part| !part.is_empty() && part != ".."));
    }
    if let Ok(repo) = RepoUrl::parse(text) {
        assert_eq!(RepoUrl::parse(repo.as_str()), Ok(repo));
    }
    let _ = PastedAddress::parse(text);
});
