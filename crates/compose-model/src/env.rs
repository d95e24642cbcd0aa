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
/// Prefix of per-host tokens: `BITOPS_COMPOSE_TOKEN_GITHUB_COM`.
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

/// The variable that holds a host's token: `git.example-corp.com` → `BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE_CORP_COM`.
pub fn token_variable(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("{TOKEN_PREFIX}{host}")
}
