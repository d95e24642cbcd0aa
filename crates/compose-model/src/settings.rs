//! The values of the program's own environment variables, checked.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::{Cause, ExitCode, duration, env, size, text};

/// Default of [`env::OPS_REPO`].
pub const DEFAULT_OPS_REPO: &str = "/opt/bitops_deployment";
/// Default of [`env::HOME`].
pub const DEFAULT_HOME: &str = "/opt/bitops-compose";
/// Default of [`env::PIPELINE`].
pub const DEFAULT_PIPELINE: &str = "python3 /opt/bitops/scripts/main.py deploy";
/// Default of [`env::PIPELINE_DIR`].
pub const DEFAULT_PIPELINE_DIR: &str = "/opt/bitops";
/// Default of [`env::CACHE_LIMIT`] in bytes: enough for thousands of environments, and small enough
/// for a CI runner's disk.
pub const DEFAULT_CACHE_LIMIT: u64 = 2 << 30;

/// The memory that a run takes besides the largest file of a source, in bytes.
const MEMORY_BESIDES_A_FILE: u64 = 16 << 20;

/// Default of [`env::GRACE`]: together with SIGTERM and SIGKILL it stays below the ten seconds of
/// `docker stop`.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(8);

/// The settings, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`env::OPS_REPO`]
    pub ops_repo: PathBuf,
    /// [`env::HOME`]
    pub home: PathBuf,
    /// [`env::CACHE`], if set.
    pub cache: Option<PathBuf>,
    /// [`env::CACHE_LIMIT`] in bytes; `None` for no limit.
    pub cache_limit: Option<u64>,
    /// [`env::PIPELINE`], in shell words.
    pub pipeline: String,
    /// [`env::PIPELINE_DIR`]
    pub pipeline_dir: PathBuf,
    /// [`env::SUPERVISE`], if set.
    pub supervise: Option<bool>,
    /// [`env::GRACE`]
    pub grace: Duration,
    /// [`env::LOCKED`]
    pub locked: bool,
    /// [`env::OFFLINE`]
    pub offline: bool,
    /// [`env::TIMEOUT`]
    pub timeout: Duration,
    /// [`env::JOBS`]
    pub jobs: usize,
    /// [`env::ALLOW`]; empty for all.
    pub allow: Vec<String>,
    /// [`env::VERIFY_KEYS`]
    pub verify_keys: Option<PathBuf>,
    /// Whether [`env::LOG_FORMAT`] is `json`.
    pub log_json: bool,
    /// Budgets per source.
    pub budget: Budget,
    /// [`env::MAX_MEMORY`], in bytes.
    pub memory: u64,
}

/// The bounds on the files of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// [`env::MAX_FILES`]
    pub files: u64,
    /// [`env::MAX_FILE_SIZE`], in bytes.
    pub file_size: u64,
    /// [`env::MAX_TOTAL_SIZE`], in bytes.
    pub total_size: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            files: 100_000,
            file_size: 256 << 20,
            total_size: 1 << 30,
        }
    }
}

/// A variable with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`, which is not {expected}")]
pub struct InvalidSetting {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value, escaped.
    pub value: String,
    /// The values that it accepts.
    pub expected: &'static str,
}

impl Cause for InvalidSetting {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Looks up an environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Settings {
    /// Reads all settings. An empty value counts as unset. All invalid values are reported.
    pub fn from_env(lookup: Lookup<'_>) -> Result<Self, Vec<InvalidSetting>> {
        match Self::with_defaults(lookup) {
            (settings, invalid) if invalid.is_empty() => Ok(settings),
            (_, invalid) => Err(invalid),
        }
    }

    /// Reads all settings, with defaults in the place of invalid values, which are returned as well.
    pub fn with_defaults(lookup: Lookup<'_>) -> (Self, Vec<InvalidSetting>) {
        let mut read = VariableReader {
            lookup,
            errors: Vec::new(),
        };
        let budget = Budget::default();
        let budget = Budget {
            files: read.number(env::MAX_FILES, budget.files),
            file_size: read.size_above_zero(env::MAX_FILE_SIZE, budget.file_size),
            total_size: read.size_above_zero(env::MAX_TOTAL_SIZE, budget.total_size),
        };
        let largest = budget.file_size.max(Budget::default().file_size);
        let settings = Self {
            ops_repo: read
                .path(env::OPS_REPO)
                .unwrap_or_else(|| DEFAULT_OPS_REPO.into()),
            home: read.path(env::HOME).unwrap_or_else(|| DEFAULT_HOME.into()),
            cache: read.path(env::CACHE),
            cache_limit: Some(read.size(env::CACHE_LIMIT, DEFAULT_CACHE_LIMIT)).filter(|limit| *limit > 0),
            pipeline: read
                .utf8(env::PIPELINE)
                .unwrap_or_else(|| DEFAULT_PIPELINE.into()),
            pipeline_dir: read
                .path(env::PIPELINE_DIR)
                .unwrap_or_else(|| DEFAULT_PIPELINE_DIR.into()),
            supervise: read.switch(env::SUPERVISE),
            grace: read.duration(env::GRACE, DEFAULT_GRACE),
            locked: read.flag(env::LOCKED),
            offline: read.flag(env::OFFLINE),
            timeout: read.duration_above_zero(env::TIMEOUT, Duration::from_secs(300)),
            jobs: usize::try_from(read.number(env::JOBS, 16)).unwrap_or(16).min(256),
            allow: read.list(env::ALLOW),
            verify_keys: read.path(env::VERIFY_KEYS),
            log_json: read.choice(env::LOG_FORMAT, &["text", "json"], "`text` or `json`") == Some(1),
            budget,
            memory: read.size_above_zero(env::MAX_MEMORY, largest.saturating_add(MEMORY_BESIDES_A_FILE)),
        };
        (settings, read.errors)
    }
}

/// Returns whether [`env::COMPOSE`] is `off`, which is checked before everything else. Returns an
/// error if it is neither `on` nor `off`.
pub fn is_off(lookup: Lookup<'_>) -> Result<bool, InvalidSetting> {
    let mut read = VariableReader {
        lookup,
        errors: Vec::new(),
    };
    let words = ["off", "false", "0", "no", "on", "true", "1", "yes"];
    let off = read
        .choice(env::COMPOSE, &words, "`on` or `off`")
        .is_some_and(|index| index < 4);
    read.errors.pop().map_or(Ok(off), Err)
}

/// Returns [`env::SUPERVISE`] if it is set. It is also read if there is nothing to compose.
pub fn supervise(lookup: Lookup<'_>) -> Result<Option<bool>, InvalidSetting> {
    let mut read = VariableReader {
        lookup,
        errors: Vec::new(),
    };
    let supervise = read.switch(env::SUPERVISE);
    read.errors.pop().map_or(Ok(supervise), Err)
}

/// Returns [`env::GRACE`].
pub fn grace(lookup: Lookup<'_>) -> Result<Duration, InvalidSetting> {
    let mut read = VariableReader {
        lookup,
        errors: Vec::new(),
    };
    let grace = read.duration(env::GRACE, DEFAULT_GRACE);
    read.errors.pop().map_or(Ok(grace), Err)
}

/// Returns the variables that would restrict what may be deployed, and are set to nothing. They restrict
/// nothing then, which is rarely meant: the value may have come from a variable of the CI that does
/// not exist.
pub fn empty_policies(lookup: Lookup<'_>) -> Vec<&'static str> {
    let is_empty = |name: &&str| lookup(name).is_some_and(|value| value.is_empty());
    [env::ALLOW, env::LOCKED, env::VERIFY_KEYS]
        .into_iter()
        .filter(is_empty)
        .collect()
}

/// A variable that looks like one of this program and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name, escaped.
    pub name: String,
    /// The variable that is probably meant.
    pub meant: Option<&'static str>,
    /// Whether it is near to a variable that restricts what may be deployed or contacted: the user relies on it.
    pub is_policy: bool,
}

/// Returns the variables of this program's prefix that it does not know, sorted.
pub fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<UnknownVariable> {
    const PREFIX: &str = "BITOPS_COMPOSE_";
    const POLICIES: [&str; 4] = [env::LOCKED, env::ALLOW, env::VERIFY_KEYS, env::OFFLINE];
    let is_known = |name: &str| {
        env::OWN.contains(&name)
            || name.starts_with(env::TOKEN_PREFIX)
            || env::OF_THE_PROJECT.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut unknown: Vec<UnknownVariable> = names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && !is_known(name))
        .map(|name| {
            let word = &name[PREFIX.len()..];
            let is_near = |own: &&&str| {
                let own = &own[PREFIX.len()..];
                text::edit_distance(word, own) <= 2
                    || word.contains(own)
                    || own.contains(word) && word.len() > 3
            };
            let policy = POLICIES.iter().find(is_near);
            let meant = policy.or_else(|| env::OWN.iter().find(is_near)).copied();
            UnknownVariable {
                meant,
                is_policy: policy.is_some(),
                name: text::escape(&name, 120),
            }
        })
        .collect();
    unknown.sort_by(|a, b| a.name.cmp(&b.name));
    unknown
}

// Reads variables and collects the invalid ones.
struct VariableReader<'a> {
    lookup: Lookup<'a>,
    errors: Vec<InvalidSetting>,
}

impl VariableReader<'_> {
    fn lookup_set(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.lookup_set(name).map(PathBuf::from)
    }

    fn utf8(&mut self, name: &'static str) -> Option<String> {
        match self.lookup_set(name)?.into_string() {
            Ok(text) => Some(text),
            Err(value) => {
                self.record_invalid(name, &value.to_string_lossy(), "valid UTF-8");
                None
            }
        }
    }

    fn flag(&mut self, name: &'static str) -> bool {
        self.switch(name) == Some(true)
    }

    /// Returns `None` if the variable is not set.
    fn switch(&mut self, name: &'static str) -> Option<bool> {
        let words = ["true", "1", "yes", "on", "false", "0", "no", "off"];
        self.choice(name, &words, "`true` or `false`")
            .map(|index| index < 4)
    }

    fn duration(&mut self, name: &'static str, default: Duration) -> Duration {
        let Some(text) = self.utf8(name) else {
            return default;
        };
        duration::parse(&text).unwrap_or_else(|| {
            self.record_invalid(name, &text, duration::EXPECTED);
            default
        })
    }

    fn duration_above_zero(&mut self, name: &'static str, default: Duration) -> Duration {
        let duration = self.duration(name, default);
        if duration.is_zero() {
            self.record_invalid(name, "0", "a time above 0");
        }
        duration
    }

    fn choice(&mut self, name: &'static str, words: &[&str], expected: &'static str) -> Option<usize> {
        let text = self.utf8(name)?;
        let found = words
            .iter()
            .position(|word| text.trim().eq_ignore_ascii_case(word));
        if found.is_none() {
            self.record_invalid(name, &text, expected);
        }
        found
    }

    fn number(&mut self, name: &'static str, default: u64) -> u64 {
        let Some(text) = self.utf8(name) else {
            return default;
        };
        match text.trim().parse::<u64>() {
            Ok(number) if number > 0 => number,
            _ => {
                self.record_invalid(name, &text, "a whole number above 0");
                default
            }
        }
    }

    fn size(&mut self, name: &'static str, default: u64) -> u64 {
        let Some(text) = self.utf8(name) else {
            return default;
        };
        size::parse(&text).unwrap_or_else(|| {
            self.record_invalid(name, &text, size::EXPECTED);
            default
        })
    }

    fn size_above_zero(&mut self, name: &'static str, default: u64) -> u64 {
        let size = self.size(name, default);
        if size == 0 {
            self.record_invalid(name, "0", "a size above 0");
        }
        size
    }

    /// A list without items (`,` from two empty variables) is an error: it must not mean "no
    /// restriction".
    fn list(&mut self, name: &'static str) -> Vec<String> {
        let Some(text) = self.utf8(name) else {
            return Vec::new();
        };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items: Vec<String> = items.map(ToOwned::to_owned).collect();
        if items.is_empty() {
            self.record_invalid(name, &text, "a list of globs");
        }
        items
    }

    fn record_invalid(&mut self, variable: &'static str, value: &str, expected: &'static str) {
        self.errors.push(InvalidSetting {
            variable,
            value: crate::text::escape(value, 80),
            expected,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Vec<InvalidSetting>> {
        Settings::from_env(&|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn defaults_are_those_of_the_image() {
        let settings = settings(&[("BITOPS_COMPOSE_JOBS", "")]).unwrap();
        assert_eq!(settings.ops_repo, PathBuf::from("/opt/bitops_deployment"));
        assert_eq!((settings.jobs, settings.timeout.as_secs()), (16, 300));
        assert_eq!(settings.cache_limit, Some(2 << 30));
    }

    #[test]
    fn unknown_variables_are_listed_with_the_one_that_is_meant() {
        let unknown = |name: &str| {
            let found = unknown_variables([OsString::from(name)]).pop()?;
            Some((
                found.meant.map(|name| &name["BITOPS_COMPOSE_".len()..]),
                found.is_policy,
            ))
        };
        for (name, expected) in [
            ("BITOPS_COMPOSE_LOCK", Some((Some("LOCKED"), true))),
            ("BITOPS_COMPOSE_ALLOWED", Some((Some("ALLOW"), true))),
            ("BITOPS_COMPOSE_ALLOW_LIST", Some((Some("ALLOW"), true))),
            ("BITOPS_COMPOSE_VERIFY_KEY", Some((Some("VERIFY_KEYS"), true))),
            ("BITOPS_COMPOSE_OFLINE", Some((Some("OFFLINE"), true))),
            ("BITOPS_COMPOSE_JOB", Some((Some("JOBS"), false))),
            ("BITOPS_COMPOSE_TIME_OUT", Some((Some("TIMEOUT"), false))),
            ("BITOPS_COMPOSE_COLOUR", Some((None, false))),
            ("BITOPS_COMPOSE_TOKEN_GITHUB_COM", None),
            ("BITOPS_COMPOSE_TEST_IMAGE", None),
            ("BITOPS_COMPOSE_CACHE_LIMIT", None),
            ("BITOPS_COMPOSER", None),
            ("BITOPS_COMPOSE", None),
        ] {
            assert_eq!(unknown(name), expected, "{name}");
        }
    }

    #[test]
    fn policies_without_a_value_are_listed() {
        let empty = |pairs: &[(&str, &str)]| {
            empty_policies(&|name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            })
        };
        assert_eq!(empty(&[]), [""; 0]);
        assert_eq!(
            empty(&[
                ("BITOPS_COMPOSE_ALLOW", ""),
                ("BITOPS_COMPOSE_LOCKED", "true"),
                ("BITOPS_COMPOSE_VERIFY_KEYS", ""),
                ("BITOPS_COMPOSE_JOBS", "")
            ]),
            ["BITOPS_COMPOSE_ALLOW", "BITOPS_COMPOSE_VERIFY_KEYS"]
        );
    }

    #[test]
    fn the_grace_may_be_zero_and_supervise_may_be_unset() {
        let read = |grace, supervise| {
            settings(&[
                ("BITOPS_COMPOSE_GRACE", grace),
                ("BITOPS_COMPOSE_SUPERVISE", supervise),
            ])
            .unwrap()
        };
        assert_eq!(read("", "").grace, DEFAULT_GRACE);
        assert_eq!(read("0", "").grace, Duration::ZERO);
        assert_eq!(read("1m", "").grace, Duration::from_secs(60));
        assert_eq!(read("", "").supervise, None);
        assert_eq!(read("", "false").supervise, Some(false));
        assert!(settings(&[("BITOPS_COMPOSE_GRACE", "long")]).is_err());
    }

    #[test]
    fn the_cache_limit_is_a_size_or_zero_for_none() {
        let limit = |text| {
            settings(&[("BITOPS_COMPOSE_CACHE_LIMIT", text)])
                .unwrap()
                .cache_limit
        };
        assert_eq!(limit("500M"), Some(500_000_000));
        assert_eq!(limit("2GiB"), Some(2 << 30));
        assert_eq!(limit("0"), None);
    }

    #[test]
    fn times_and_sizes_have_one_grammar() {
        let read = settings(&[
            ("BITOPS_COMPOSE_TIMEOUT", "5m"),
            ("BITOPS_COMPOSE_MAX_FILE_SIZE", "300MiB"),
            ("BITOPS_COMPOSE_MAX_TOTAL_SIZE", "500M"),
            ("BITOPS_COMPOSE_MAX_MEMORY", "1000"),
        ])
        .unwrap();
        assert_eq!(read.timeout, Duration::from_secs(300));
        assert_eq!(read.budget.file_size, 300 << 20);
        assert_eq!((read.budget.total_size, read.memory), (500_000_000, 1000));
        for name in ["TIMEOUT", "MAX_FILE_SIZE", "MAX_TOTAL_SIZE", "MAX_MEMORY"] {
            let name = format!("BITOPS_COMPOSE_{name}");
            for value in ["0", "-1", "plenty"] {
                let wrong = settings(&[(&name, value)]).unwrap_err();
                assert_eq!(wrong[0].variable, name, "{value}");
            }
        }
    }

    #[test]
    fn an_allow_list_without_items_is_an_error() {
        for text in [",", " ", " , ,"] {
            let wrong = settings(&[("BITOPS_COMPOSE_ALLOW", text)]).unwrap_err();
            assert_eq!(wrong[0].variable, "BITOPS_COMPOSE_ALLOW", "{text:?}");
        }
        let settings = settings(&[("BITOPS_COMPOSE_ALLOW", " a, ,b")]).unwrap();
        assert_eq!(settings.allow, ["a", "b"]);
    }

    #[test]
    fn all_invalid_values_are_reported() {
        let wrong = settings(&[
            ("BITOPS_COMPOSE_JOBS", "many"),
            ("BITOPS_COMPOSE_LOCKED", "perhaps"),
            ("BITOPS_COMPOSE_LOG_FORMAT", "xml"),
            ("BITOPS_COMPOSE_CACHE_LIMIT", "plenty"),
        ])
        .unwrap_err();
        let names: Vec<_> = wrong.iter().map(|error| error.variable).collect();
        assert_eq!(
            names,
            [
                "BITOPS_COMPOSE_CACHE_LIMIT",
                "BITOPS_COMPOSE_LOCKED",
                "BITOPS_COMPOSE_JOBS",
                "BITOPS_COMPOSE_LOG_FORMAT"
            ]
        );
    }
}
