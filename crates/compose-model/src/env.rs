//! The environment variables that the program reads, by name.

/// `off`: exec the pipeline unchanged. Default `on`.
pub const COMPOSE: &str = "BITOPS_COMPOSE";
/// The path at which the pipeline looks for the operations repo: the link that is switched. Default
/// `/opt/bitops_deployment`.
pub const OPS_REPO: &str = "BITOPS_COMPOSE_OPS_REPO";
/// The directory of `active`, `mount` and compositions. Default `/opt/bitops-compose`.
pub const HOME: &str = "BITOPS_COMPOSE_HOME";
/// The object cache. Default `/var/cache/bitops-compose` in the image, elsewhere the XDG cache.
pub const CACHE: &str = "BITOPS_COMPOSE_CACHE";
/// The size limit of the cache after a run that fetched something: a size (`500M`, `2GiB`), or `0`
/// for no limit. Default 2 GiB.
pub const CACHE_LIMIT: &str = "BITOPS_COMPOSE_CACHE_LIMIT";
/// The pipeline's command, in shell words. Default `python3 /opt/bitops/scripts/main.py deploy`.
pub const PIPELINE: &str = "BITOPS_COMPOSE_PIPELINE";
/// The pipeline's working directory. Default `/opt/bitops`.
pub const PIPELINE_DIR: &str = "BITOPS_COMPOSE_PIPELINE_DIR";
/// `false`: always exec the pipeline. `true`: stay as its parent even with nothing to compose.
/// Default: stay with a composition.
pub const SUPERVISE: &str = "BITOPS_COMPOSE_SUPERVISE";
/// The time that tools may take to finish after SIGTERM, SIGINT, SIGHUP or SIGQUIT: a duration
/// (`8`, `90s`, `2m`). Default 8 seconds.
pub const GRACE: &str = "BITOPS_COMPOSE_GRACE";
/// `true`: a complete lock file is required. Default `false`.
pub const LOCKED: &str = "BITOPS_COMPOSE_LOCKED";
/// `true`: do not use the network. Default `false`.
pub const OFFLINE: &str = "BITOPS_COMPOSE_OFFLINE";
/// The time for a run up to the pipeline's start: a duration (`300`, `5m`). Default 300 seconds.
pub const TIMEOUT: &str = "BITOPS_COMPOSE_TIMEOUT";
/// The number of repos that are fetched at once. Default 16.
pub const JOBS: &str = "BITOPS_COMPOSE_JOBS";
/// The allowed repos, as comma-separated globs of URLs; others are refused. Default: all.
pub const ALLOW: &str = "BITOPS_COMPOSE_ALLOW";
/// A file of trusted keys, by one of which every source must be signed. Default: only sources with
/// `verify` are verified.
pub const VERIFY_KEYS: &str = "BITOPS_COMPOSE_VERIFY_KEYS";
/// The format of the log: `text` or `json`. Default `text`.
pub const LOG_FORMAT: &str = "BITOPS_COMPOSE_LOG_FORMAT";
/// The prefix of tokens per host, such as `BITOPS_COMPOSE_TOKEN_GITHUB_COM`; see
/// [`token_variable`].
pub const TOKEN_PREFIX: &str = "BITOPS_COMPOSE_TOKEN_";
/// Set for the pipeline: the path of a JSON file with the origin of every composed path.
pub const MANIFEST: &str = "BITOPS_COMPOSE_MANIFEST";
/// The most files of a source. Default 100,000.
pub const MAX_FILES: &str = "BITOPS_COMPOSE_MAX_FILES";
/// The most bytes of one file of a source: a size (`256MiB`). Default 256 MiB.
pub const MAX_FILE_SIZE: &str = "BITOPS_COMPOSE_MAX_FILE_SIZE";
/// The most bytes of all files of a source: a size. Default 1 GiB.
pub const MAX_TOTAL_SIZE: &str = "BITOPS_COMPOSE_MAX_TOTAL_SIZE";
/// The most bytes of memory that a run takes: a size. Default 272 MiB, or 16 MiB more than the most bytes of one file.
pub const MAX_MEMORY: &str = "BITOPS_COMPOSE_MAX_MEMORY";

/// The program's own variables, besides [`COMPOSE`] and the tokens.
pub const OWN: [&str; 21] = [
    OPS_REPO,
    HOME,
    CACHE,
    CACHE_LIMIT,
    PIPELINE,
    PIPELINE_DIR,
    SUPERVISE,
    GRACE,
    LOCKED,
    OFFLINE,
    TIMEOUT,
    JOBS,
    ALLOW,
    VERIFY_KEYS,
    LOG_FORMAT,
    MANIFEST,
    MAX_FILES,
    MAX_FILE_SIZE,
    MAX_TOTAL_SIZE,
    MAX_MEMORY,
    WORKSPACE,
];
/// The prefixes of variables that the project's scripts, tests and image builds read.
pub const OF_THE_PROJECT: [&str; 5] = [
    "BITOPS_COMPOSE_TEST_",
    "BITOPS_COMPOSE_PROFILE",
    "BITOPS_COMPOSE_BUILD_",
    "BITOPS_COMPOSE_COMMIT",
    "BITOPS_COMPOSE_IMAGE",
];

/// The environment's name, as BitOps reads it.
pub const BITOPS_ENVIRONMENT: &str = "BITOPS_ENVIRONMENT";
/// The environment's name, as BitOps reads it by a deprecated variable.
pub const ENVIRONMENT: &str = "ENVIRONMENT";
/// BitOps' log level (`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL`).
pub const BITOPS_LOGGING_LEVEL: &str = "BITOPS_LOGGING_LEVEL";
/// Another build config for BitOps.
pub const BITOPS_BUILD_CONFIG_YAML: &str = "BITOPS_BUILD_CONFIG_YAML";

/// The operations repo's path if none is mounted. Default: the CI's checkout, see [`CHECKOUTS`].
pub const WORKSPACE: &str = "BITOPS_COMPOSE_WORKSPACE";

/// `true` in a GitHub Actions step.
pub const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// The path of the checkout in a GitHub Actions step.
pub const GITHUB_WORKSPACE: &str = "GITHUB_WORKSPACE";
/// The variables with the path of a CI's checkout, each with a variable that only that CI sets: the
/// first one's name alone (such as `WORKSPACE`) could mean anything.
pub const CHECKOUTS: [(&str, &str); 6] = [
    (GITHUB_WORKSPACE, GITHUB_ACTIONS),
    ("CI_PROJECT_DIR", "GITLAB_CI"),
    // Jenkins.
    ("WORKSPACE", "JENKINS_URL"),
    ("BITBUCKET_CLONE_DIR", "BITBUCKET_BUILD_NUMBER"),
    // Azure Pipelines.
    ("BUILD_SOURCESDIRECTORY", "TF_BUILD"),
    // The path may begin with `~`.
    ("CIRCLE_WORKING_DIRECTORY", "CIRCLECI"),
];
/// The variables by which a CI is known whose runner takes some lines of a job's output for commands:
/// GitHub Actions, Azure Pipelines and TeamCity.
pub const COMMANDED_BY_OUTPUT: [&str; 3] = [GITHUB_ACTIONS, "TF_BUILD", "TEAMCITY_VERSION"];
/// GitHub's address; `GITHUB_TOKEN` is sent to this host only.
pub const GITHUB_SERVER_URL: &str = "GITHUB_SERVER_URL";
/// GitHub's token.
pub const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// The address of GitLab in one of its jobs; `CI_JOB_TOKEN` is sent to this host only.
pub const CI_SERVER_URL: &str = "CI_SERVER_URL";
/// The host of GitLab, where `CI_SERVER_URL` is not set.
pub const CI_SERVER_HOST: &str = "CI_SERVER_HOST";
/// The token of a GitLab job.
pub const CI_JOB_TOKEN: &str = "CI_JOB_TOKEN";
/// The path of a file for Markdown, which GitHub shows on the run's page.
pub const GITHUB_STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";
/// The path of a file for the step's outputs.
pub const GITHUB_OUTPUT: &str = "GITHUB_OUTPUT";
/// The path of a directory that lasts for the job.
pub const RUNNER_TEMP: &str = "RUNNER_TEMP";

/// Returns the variable for a host's token: `git.example-corp.com` →
/// `BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE__CORP_COM`.
///
/// `.` is written as `_`, `-` as `__` and `_` as `___`, so that a name stands for one host. Returns
/// `None` for a host whose name would be ambiguous, or cannot be written (an IPv6 address).
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

/// Returns the host that a token's variable is for; `None` for a variable that is for none.
pub fn token_host(variable: &str) -> Option<String> {
    let host = host_of(variable.strip_prefix(TOKEN_PREFIX)?)?;
    (!host.is_empty() && token_variable(&host)? == variable).then_some(host)
}

/// Returns the one host that a name stands for, if any: a run of underscores is a dot, an
/// underscore, or hyphens.
fn host_of(name: &str) -> Option<String> {
    let mut host = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find('_') {
        host.push_str(&rest[..start]);
        let after = rest[start..].trim_start_matches('_');
        match rest.len() - start - after.len() {
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
    fn a_tokens_variable_stands_for_one_host() {
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
            assert_eq!(token_variable(host).as_ref(), Some(&name), "{host}");
            assert_eq!(token_host(&name), Some(host.to_ascii_lowercase()), "{name}");
        }
        for host in ["[::1]", "a-.b", "a..b", "a__b", "a._b", "mün.de", "a b"] {
            assert_eq!(token_variable(host), None, "{host}");
        }
        for name in [
            "BITOPS_COMPOSE_TOKEN_",
            "BITOPS_COMPOSE_TOKEN_A_____B",
            "BITOPS_COMPOSE_TOKEN_github_com",
        ] {
            assert_eq!(token_host(name), None, "{name}");
        }
    }

    /// All hosts of up to seven of these characters have different names.
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
