//! The one user of gix: refs, fetch, cache, credentials, retry.
