//! What each environment variable means: the one table from which help, manual pages and the README are made.
//!
//! Texts are Markdown of which only backticks are used.

use crate::env;

/// A variable, as it is explained to people.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name. One that is the beginning of several ends with a placeholder in angle brackets.
    pub name: &'static str,
    /// What holds without it; may be empty.
    pub default: &'static str,
    /// What it is for: a phrase without a full stop.
    pub meaning: &'static str,
    /// The page of the documentation with more about it, from the root of the project; may be empty.
    pub page: &'static str,
}

/// Variables that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What they have in common.
    pub title: &'static str,
    /// The variables, the most important ones first.
    pub variables: &'static [Variable],
}

/// All variables. The first group are the program's own.
pub const GROUPS: [Group; 6] = [
    Group {
        title: "Variables of bitops-compose",
        variables: &OWN,
    },
    Group {
        title: "Variables of BitOps, which mean the same here",
        variables: &BITOPS,
    },
    Group {
        title: "Set for BitOps and its hooks",
        variables: &[variable(
            env::MANIFEST,
            "",
            "the path of a JSON file with the origin of every composed file",
        )],
    },
    Group {
        title: "Credentials, proxies and certificates",
        variables: &NETWORK,
    },
    Group {
        title: "CI",
        variables: &CI,
    },
    Group {
        title: "Colours and terminals",
        variables: &TERMINAL,
    },
];

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
        meaning,
        page: "",
    }
}

impl Variable {
    const fn page(self, page: &'static str) -> Self {
        Self { page, ..self }
    }
}

/// The program's own variables, which its user sets.
pub const OWN: [Variable; 22] = [
    variable(env::COMPOSE, "`on`", "`off`: start the pipeline untouched"),
    variable(
        env::OPS_REPO,
        "`/opt/bitops_deployment`",
        "where the pipeline looks; the symlink that is switched",
    ),
    variable(
        env::WORKSPACE,
        "the CI's checkout",
        "where the operations repo is where none is mounted",
    )
    .page("docs/image.md#without-a-mount"),
    variable(
        env::HOME,
        "`/opt/bitops-compose`",
        "holds `active`, `mount` and compositions",
    ),
    variable(
        env::CACHE,
        "`/var/cache/bitops-compose` in the image, else the XDG cache",
        "object cache",
    )
    .page("docs/cache.md"),
    variable(
        env::CACHE_LIMIT,
        "`2GiB`",
        "what the cache may take after a run that fetched something (`500M`, `1GiB`; `0`: anything)",
    ),
    variable(
        env::PIPELINE,
        "`python3 /opt/bitops/scripts/main.py deploy`",
        "what is started (shell words)",
    ),
    variable(env::PIPELINE_DIR, "`/opt/bitops`", "its working directory"),
    variable(
        env::SUPERVISE,
        "with a composition",
        "`false`: never stay as the pipeline's parent; `true`: always stay, even with nothing to compose",
    )
    .page("docs/parent.md"),
    variable(
        env::GRACE,
        "`8`",
        "the time (`8`, `90s`, `2m`) that tools have to finish after SIGTERM, SIGINT, SIGHUP or SIGQUIT",
    ),
    variable(env::LOCKED, "`false`", "`true`: a complete lock file is required"),
    variable(env::OFFLINE, "`false`", "`true`: no network, the cache alone"),
    variable(
        env::TIMEOUT,
        "`300`",
        "time (`300`, `5m`) for a run up to the pipeline's start",
    ),
    variable(env::JOBS, "`16`", "repos at once"),
    variable(
        env::ALLOW,
        "all",
        "comma-separated globs of repo URLs; anything else is refused",
    ),
    variable(env::LOG_FORMAT, "`text`", "`json`: logs and errors as JSON lines"),
    variable(
        "BITOPS_COMPOSE_TOKEN_<HOST>",
        "",
        "a token for that host, and for no other: `.` is `_` and `-` is `__` \
         (`BITOPS_COMPOSE_TOKEN_GIT_MY__CORP_COM` for `git.my-corp.com`); `TOKEN` or `USER:TOKEN`",
    )
    .page("docs/fetching.md#credentials"),
    variable(
        env::VERIFY_KEYS,
        "",
        "a file of keys, by one of which every source must be signed",
    ),
    variable(env::MAX_FILES, "`100000`", "the files that one source may hold"),
    variable(
        env::MAX_FILE_SIZE,
        "`256MiB`",
        "the size that one file of a source may have (`256MiB`, `500M`, or bytes)",
    ),
    variable(
        env::MAX_TOTAL_SIZE,
        "`1GiB`",
        "the size that all files of a source may have together",
    ),
    variable(
        env::MAX_MEMORY,
        "`272MiB`, or 16 MiB more than `BITOPS_COMPOSE_MAX_FILE_SIZE`",
        "the memory of a run up to the pipeline's start, as a size",
    ),
];

const BITOPS: [Variable; 4] = [
    variable(
        env::BITOPS_ENVIRONMENT,
        "",
        "the environment that is deployed; of commands, the one that is meant where none is named",
    ),
    variable(
        env::ENVIRONMENT,
        "",
        "the same where `BITOPS_ENVIRONMENT` is not set; deprecated",
    ),
    variable(
        env::BITOPS_LOGGING_LEVEL,
        "`bitops.logging.level` of the config, else `INFO`",
        "what is logged: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
    ),
    variable(
        env::BITOPS_BUILD_CONFIG_YAML,
        "the image's own config",
        "another build config, whose deployments run where no config lists any",
    ),
];

const NETWORK: [Variable; 12] = [
    variable(
        env::GITHUB_TOKEN,
        "",
        "a token for GitHub: for the host of `GITHUB_SERVER_URL`",
    ),
    variable(
        env::GITHUB_SERVER_URL,
        "`https://github.com`",
        "the address of a GitHub of one's own",
    ),
    variable(
        env::CI_JOB_TOKEN,
        "",
        "a token for GitLab, in its jobs: for the host of `CI_SERVER_URL`, or `CI_SERVER_HOST`",
    ),
    variable(
        "GIT_ASKPASS",
        "",
        "git's program that is asked for passwords, after git's credential helpers and `~/.netrc`",
    ),
    variable(
        "GIT_SSH_COMMAND",
        "`core.sshCommand`, else `ssh`",
        "the program for addresses of ssh; `GIT_SSH`, `GIT_SSH_VARIANT` and `SSH_AUTH_SOCK` as in git",
    ),
    variable(
        "HTTPS_PROXY",
        "git's `http.proxy`",
        "the proxy for `https://`; `HTTP_PROXY` for `http://`, `ALL_PROXY` for both",
    ),
    variable(
        "NO_PROXY",
        "",
        "hosts, networks and ports that are reached without a proxy",
    ),
    variable(
        "SSL_CERT_FILE",
        "the machine's certificates",
        "the certificates that servers are trusted by",
    ),
    variable(
        "GIT_SSL_CAINFO",
        "git's `http.sslCAInfo`",
        "the same for repos alone; `GIT_SSL_CAPATH` for a directory of them",
    ),
    variable(
        "GIT_SSL_CERT",
        "git's `http.sslCert`",
        "a client's own certificate; `GIT_SSL_KEY` for its key",
    ),
    variable(
        "GIT_HTTP_LOW_SPEED_LIMIT",
        "git's `http.lowSpeedLimit`",
        "bytes per second below which a transfer is given up after `GIT_HTTP_LOW_SPEED_TIME` seconds",
    ),
    variable(
        "GIT_CONFIG_GLOBAL",
        "`~/.gitconfig`",
        "git's configuration, as `GIT_CONFIG_SYSTEM`, `GIT_CONFIG_NOSYSTEM` and `GIT_CONFIG_COUNT`",
    ),
];

const CI: [Variable; 3] = [
    variable(
        env::GITHUB_ACTIONS,
        "",
        "`true`: problems are annotations, and stages are groups of the log",
    ),
    variable(
        env::GITHUB_WORKSPACE,
        "",
        "the checkout in a step of GitHub Actions, and so the operations repo where none is mounted; `CI_PROJECT_DIR`, \
         `WORKSPACE`, `BITBUCKET_CLONE_DIR`, `BUILD_SOURCESDIRECTORY` and `CIRCLE_WORKING_DIRECTORY` in other CIs",
    ),
    variable(
        env::GITHUB_STEP_SUMMARY,
        "",
        "the file of the run's page, to which the plan and all failures are added; `GITHUB_OUTPUT` for the step's outputs",
    ),
];

const TERMINAL: [Variable; 4] = [
    variable("NO_COLOR", "", "set to anything: no colours"),
    variable(
        "FORCE_COLOR",
        "",
        "set to anything but `0`: colours everywhere; `CLICOLOR_FORCE` as well",
    ),
    variable("TERM", "", "`dumb`: no colours"),
    variable(
        "XDG_CACHE_HOME",
        "`~/.cache`",
        "where the cache is outside of the image",
    ),
];
