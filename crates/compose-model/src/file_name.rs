//! The names of files that any environment may have.

macro_rules! config {
    () => {
        "bitops.config.yaml"
    };
}

/// The config of an environment and of each of its deployments.
pub const CONFIG: &str = config!();

/// A glob for configs in any directory.
pub const CONFIG_GLOB: &str = concat!("**/", config!());

/// A name that looks like the config's, which BitOps does not read.
pub const CONFIG_MISNAMED: &str = "bitops.config.yml";

/// The lock file of an environment.
pub const LOCK: &str = "bitops.lock.yaml";
