//! Every environment variable the program reads, by name.

/// `off`: exec the pipeline untouched. Default `on`.
pub const COMPOSE: &str = "BITOPS_COMPOSE";
/// Where the pipeline looks; the symlink that is switched. Default `/opt/bitops_deployment`.
pub const OPS_REPO: &str = "BITOPS_COMPOSE_OPS_REPO";
/// Holds `active`, `mount` and compositions. Default `/opt/bitops-compose`.
pub const HOME: &str = "BITOPS_COMPOSE_HOME";
/// The object cache. Default `/var/cache/bitops-compose` in the image, else the XDG cache.
pub const CACHE: &str = "BITOPS_COMPOSE_CACHE";
/// What the cache may take after a run that fetched something: a size (`500M`, `2GiB`), or `0` for any. Default 2 GiB.
pub const CACHE_LIMIT: &str = "BITOPS_COMPOSE_CACHE_LIMIT";
/// What is exec'd, in shell words. Default `python3 /opt/bitops/scripts/main.py deploy`.
pub const PIPELINE: &str = "BITOPS_COMPOSE_PIPELINE";
/// The pipeline's working directory. Default `/opt/bitops`.
pub const PIPELINE_DIR: &str = "BITOPS_COMPOSE_PIPELINE_DIR";
/// `false`: become the pipeline in every case. `true`: stay as its parent, also with nothing to compose. Default: stay with a composition.
pub const SUPERVISE: &str = "BITOPS_COMPOSE_SUPERVISE";
/// How long tools may take to finish after SIGTERM, SIGINT, SIGHUP or SIGQUIT: a duration (`8`, `90s`, `2m`). Default 8 seconds.
pub const GRACE: &str = "BITOPS_COMPOSE_GRACE";
/// `true`: a complete lock file is required. Default `false`.
pub const LOCKED: &str = "BITOPS_COMPOSE_LOCKED";
/// `true`: no network. Default `false`.
pub const OFFLINE: &str = "BITOPS_COMPOSE_OFFLINE";
/// Seconds for all fetching. Default 300.
pub const TIMEOUT: &str = "BITOPS_COMPOSE_TIMEOUT";
/// Repos at once. Default 16.
pub const JOBS: &str = "BITOPS_COMPOSE_JOBS";
/// Comma-separated globs of repo URLs; anything else is refused. Default: all.
pub const ALLOW: &str = "BITOPS_COMPOSE_ALLOW";
/// A file of trusted keys: every source must be signed by one of them. Default: only sources with `verify` are verified.
pub const VERIFY_KEYS: &str = "BITOPS_COMPOSE_VERIFY_KEYS";
/// `text` or `json`. Default `text`.
pub const LOG_FORMAT: &str = "BITOPS_COMPOSE_LOG_FORMAT";
/// Prefix of per-host tokens: `BITOPS_COMPOSE_TOKEN_GITHUB_COM`, see [`token_variable`].
pub const TOKEN_PREFIX: &str = "BITOPS_COMPOSE_TOKEN_";
/// Set for the pipeline: a JSON file that tells where every composed path came from.
pub const MANIFEST: &str = "BITOPS_COMPOSE_MANIFEST";
/// Budgets per source: files. Default 100,000.
pub const MAX_FILES: &str = "BITOPS_COMPOSE_MAX_FILES";
/// Budgets per source: bytes of one file. Default 256 MiB.
pub const MAX_FILE_SIZE: &str = "BITOPS_COMPOSE_MAX_FILE_SIZE";
/// Budgets per source: bytes in all. Default 1 GiB.
pub const MAX_TOTAL_SIZE: &str = "BITOPS_COMPOSE_MAX_TOTAL_SIZE";

/// BitOps' name of the environment.
pub const BITOPS_ENVIRONMENT: &str = "BITOPS_ENVIRONMENT";
/// BitOps' deprecated name of the environment.
pub const ENVIRONMENT: &str = "ENVIRONMENT";
/// BitOps' log level (`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL`).
pub const BITOPS_LOGGING_LEVEL: &str = "BITOPS_LOGGING_LEVEL";
/// BitOps' other build config.
pub const BITOPS_BUILD_CONFIG_YAML: &str = "BITOPS_BUILD_CONFIG_YAML";

/// Where the operations repo is, where none is mounted. Default: the CI's checkout, see [`CHECKOUTS`].
pub const WORKSPACE: &str = "BITOPS_COMPOSE_WORKSPACE";

/// `true` in a GitHub Actions step.
pub const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// The checkout in a GitHub Actions step.
pub const GITHUB_WORKSPACE: &str = "GITHUB_WORKSPACE";
/// A CI's checkout, and the variable that marks a job of that CI: the first one's name alone says too little (`WORKSPACE`).
pub const CHECKOUTS: [(&str, &str); 6] = [
    (GITHUB_WORKSPACE, GITHUB_ACTIONS),
    ("CI_PROJECT_DIR", "GITLAB_CI"),
    // Jenkins.
    ("WORKSPACE", "JENKINS_URL"),
    ("BITBUCKET_CLONE_DIR", "BITBUCKET_BUILD_NUMBER"),
    // Azure Pipelines.
    ("BUILD_SOURCESDIRECTORY", "TF_BUILD"),
    // It may begin with `~`.
    ("CIRCLE_WORKING_DIRECTORY", "CIRCLECI"),
];
/// GitHub's address: the one host that `GITHUB_TOKEN` is for.
pub const GITHUB_SERVER_URL: &str = "GITHUB_SERVER_URL";
/// GitHub's token.
pub const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// A file that takes Markdown for the run's page.
pub const GITHUB_STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";
/// A file that takes the outputs of a step.
pub const GITHUB_OUTPUT: &str = "GITHUB_OUTPUT";
/// A directory of the runner that lasts for the job.
pub const RUNNER_TEMP: &str = "RUNNER_TEMP";

/// The variable that holds a host's token: `git.example-corp.com` → `BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE__CORP_COM`.
///
/// A name stands for one host: `.` is `_`, `-` is `__` and `_` is `___`. `None` for a host that another one could be taken for, or
/// that a name cannot hold (an IPv6 address).
pub fn token_variable(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    let mut name = String::with_capacity(host.len());
    for c in host.chars() {
        match c {
            '.' => name.push('_'),
            '-' => name.push_str("__"),
            '_' => name.push_str("___"),
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_uppercase()),
            _ => return None,
        }
    }
    (host_of(&name)? == host).then(|| format!("{TOKEN_PREFIX}{name}"))
}

/// The one host that a name stands for: a run of underscores is a dot, an underscore, or hyphens.
fn host_of(name: &str) -> Option<String> {
    let mut host = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('_') {
        host.push_str(&rest[..at]);
        let after = rest[at..].trim_start_matches('_');
        match rest.len() - at - after.len() {
            1 => host.push('.'),
            3 => host.push('_'),
            run if run % 2 == 0 => host.extend(std::iter::repeat_n('-', run / 2)),
            _ => return None,
        }
        rest = after;
    }
    host.push_str(rest);
    host.make_ascii_lowercase();
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_name_stands_for_one_host() {
        for (host, name) in [
            ("github.com", "GITHUB_COM"),
            ("dev.azure.com", "DEV_AZURE_COM"),
            ("dev-azure.com", "DEV__AZURE_COM"),
            ("git.example-corp.com", "GIT_EXAMPLE__CORP_COM"),
            ("Git.Example.com", "GIT_EXAMPLE_COM"),
            ("xn--mnchen-3ya.de", "XN____MNCHEN__3YA_DE"),
            ("git_server", "GIT___SERVER"),
            ("127.0.0.1", "127_0_0_1"),
            ("localhost", "LOCALHOST"),
        ] {
            let name = format!("{TOKEN_PREFIX}{name}");
            assert_eq!(token_variable(host), Some(name), "{host}");
        }
        for host in ["[::1]", "a-.b", "a..b", "a__b", "a._b", "mün.de", "a b"] {
            assert_eq!(token_variable(host), None, "{host}");
        }
    }

    /// Every host of up to seven characters, of which each name has one.
    #[test]
    fn no_two_hosts_share_a_name() {
        let mut hosts = vec![String::new()];
        let mut names = std::collections::HashMap::new();
        for _ in 0..7 {
            let longer = |host: &String| ["a", ".", "-", "_"].map(|c| format!("{host}{c}"));
            hosts = hosts.iter().flat_map(longer).collect();
            for host in &hosts {
                if let Some(name) = token_variable(host) {
                    assert_eq!(names.insert(name, host.clone()), None, "{host}");
                }
            }
        }
        assert!(names.len() > 100);
    }
}
