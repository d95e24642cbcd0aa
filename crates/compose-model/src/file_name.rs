//! The names of files that any environment may have.

/// The config of an environment and of each of its deployments.
pub const CONFIG: &str = "bitops.config.yaml";

/// A name that looks like the config's, which BitOps does not read.
pub const CONFIG_MISNAMED: &str = "bitops.config.yml";

/// The lock file of an environment.
pub const LOCK: &str = "bitops.lock.yaml";
