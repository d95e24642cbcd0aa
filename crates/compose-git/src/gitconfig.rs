//! The parts of git's own configuration that apply here: `url.*.insteadOf`, `credential.*` and some
//! of `http.*`, `core.*` and `ssh.*`, from the user's and the system's files and from
//! `GIT_CONFIG_COUNT`. A repository's configuration is not read: a checkout's own `.git/config` is
//! meant for that checkout's remote.

mod files;
mod http;
mod injected;
mod pattern;

use std::path::PathBuf;

use gix::{bstr::ByteSlice as _, config::file::SectionRef};

use crate::options::Options;
pub(crate) use http::TlsFiles;
use pattern::matches_partially;

/// The settings of git's configuration. They are read once per run, when the first connection is
/// made.
#[derive(Debug, Default)]
pub(crate) struct GitConfig {
    /// The prefixes of addresses, and what replaces them.
    rewrites: Vec<(String, String)>,
    /// The `credential.*` settings in the order of the files, each with the address that it is for.
    credential: Vec<(Option<String>, CredentialKey)>,
    http: http::HttpConfig,
    /// `core.sshCommand`, `core.askPass` and `ssh.variant`.
    ssh_command: Option<String>,
    askpass: Option<String>,
    ssh_variant: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CredentialKey {
    /// An empty helper clears the list so far.
    Helper(String),
    Username(String),
    UsePath(bool),
}

/// The `credential.*` settings for one address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CredentialConfig {
    pub(crate) helpers: Vec<String>,
    pub(crate) username: Option<String>,
    pub(crate) use_path: bool,
}

impl GitConfig {
    /// Reads the files, and then the values in the environment.
    pub(crate) fn load(options: &Options) -> Self {
        let mut config = Self::default();
        let home = options.variable("HOME").map(PathBuf::from);
        let mut take = |section: &SectionRef<'_>| {
            config.take(section);
            config.http.take(section, home.as_deref());
        };
        let mut reader = files::Reader::new(home.as_deref());
        for path in files::of_user(options, home.as_deref()) {
            reader.read(&path, &mut take);
        }
        for file in injected::files(options) {
            file.sections().for_each(|section| take(&section));
        }
        config
    }

    fn take(&mut self, section: &SectionRef<'_>) {
        let text = |value: &gix::bstr::BStr| value.to_str_lossy().into_owned();
        let header = section.header();
        let subsection = header.subsection_name().map(text);
        if header.name().eq_ignore_ascii_case(b"url") {
            for prefix in section.values("insteadOf") {
                self.rewrites
                    .push((text(prefix.as_ref()), subsection.clone().unwrap_or_default()));
            }
        }
        let last = |key: &str| Some(text(section.value(key)?.as_ref())).filter(|value| !value.is_empty());
        if subsection.is_none() && header.name().eq_ignore_ascii_case(b"core") {
            self.ssh_command = last("sshCommand").or(self.ssh_command.take());
            self.askpass = last("askPass").or(self.askpass.take());
        }
        if subsection.is_none() && header.name().eq_ignore_ascii_case(b"ssh") {
            self.ssh_variant = last("variant").or(self.ssh_variant.take());
        }
        if header.name().eq_ignore_ascii_case(b"credential") {
            for key in section.value_names() {
                let value = section
                    .value(&key)
                    .map(|value| text(value.as_ref()))
                    .unwrap_or_default();
                let key = match key.to_ascii_lowercase().as_str() {
                    "username" => CredentialKey::Username(value),
                    // A key without `=` is true, one without a value is false.
                    "usehttppath" => CredentialKey::UsePath(match section.value_implicit(&key) {
                        Some(None) => true,
                        _ => is_true(&value),
                    }),
                    // Helpers are read below, because one section may hold several.
                    _ => continue,
                };
                self.credential.push((subsection.clone(), key));
            }
            for helper in section.values("helper") {
                self.credential
                    .push((subsection.clone(), CredentialKey::Helper(text(helper.as_ref()))));
            }
        }
    }

    /// Replaces the longest matching prefix of the address. Returns `None` if none matches.
    pub(crate) fn rewrite(&self, address: &str) -> Option<String> {
        let (prefix, base) = self
            .rewrites
            .iter()
            .filter(|(prefix, _)| !prefix.is_empty() && address.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len())?;
        Some(format!("{base}{}", &address[prefix.len()..]))
    }

    /// Returns the `credential.*` settings for an address and the user name in it.
    pub(crate) fn credential(&self, url: &reqwest::Url, user: Option<&str>) -> CredentialConfig {
        let mut config = CredentialConfig::default();
        for (pattern, key) in &self.credential {
            if !pattern
                .as_deref()
                .is_none_or(|pattern| matches_partially(pattern, url, user))
            {
                continue;
            }
            match key {
                CredentialKey::Helper(helper) if helper.is_empty() => config.helpers.clear(),
                CredentialKey::Helper(helper) => config.helpers.push(helper.clone()),
                CredentialKey::Username(name) => config.username = Some(name.clone()),
                CredentialKey::UsePath(yes) => config.use_path = *yes,
            }
        }
        config
    }
}

impl GitConfig {
    /// Returns the proxy for an address. An empty one means no proxy, whatever the variables say.
    pub(crate) fn proxy(&self, url: &reqwest::Url) -> Option<String> {
        self.http.proxy(url)
    }

    /// Returns the files of certificates for an address.
    pub(crate) fn tls(&self, url: &reqwest::Url) -> TlsFiles {
        self.http.tls(url)
    }

    /// Returns `core.sshCommand`, which a shell runs.
    pub(crate) fn ssh_command(&self) -> Option<&str> {
        self.ssh_command.as_deref()
    }

    /// Returns `ssh.variant`: which options the ssh program takes.
    pub(crate) fn ssh_variant(&self) -> Option<&str> {
        self.ssh_variant.as_deref()
    }

    /// Returns `core.askPass`, a program.
    pub(crate) fn askpass(&self) -> Option<&str> {
        self.askpass.as_deref()
    }

    /// Returns the extra headers for requests to an address, as pairs of name and value.
    pub(crate) fn extra_headers(&self, url: &reqwest::Url) -> Vec<(String, String)> {
        self.http.extra_headers(url)
    }

    /// Returns the seconds and the bytes per second below which git gives up.
    pub(crate) fn low_speed(&self) -> (Option<u64>, Option<u64>) {
        self.http.low_speed()
    }
}

/// Returns whether a value is true to git: `true`, `yes` and `on` in any case, and all numbers but 0.
fn is_true(value: &str) -> bool {
    let value = value.trim();
    let is_word = ["true", "yes", "on"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    is_word || value.parse::<i64>().is_ok_and(|number| number != 0)
}

#[cfg(fuzzing)]
impl GitConfig {
    /// Reads a file's bytes. Nothing that it includes is read.
    pub(crate) fn read_bytes(bytes: &[u8]) {
        let metadata = gix::config::file::Metadata::from(gix::config::Source::User);
        if let Ok(file) = gix::config::File::from_bytes_no_includes(bytes, metadata, Default::default()) {
            let mut config = Self::default();
            for section in file.sections() {
                config.take(&section);
                config.http.take(&section, None);
            }
            let url = "https://host:8443/org/repo".parse().expect("a URL");
            let _ = (
                config.credential(&url, Some("user")),
                config.rewrite(url.as_str()),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    /// Loads the configuration of a user whose `.gitconfig` holds `text`. The directory is the
    /// user's home; while it exists, the file can be read again.
    pub(in crate::gitconfig) fn in_home(text: &str) -> (tempfile::TempDir, GitConfig) {
        let dir = tempfile::tempdir().unwrap();
        let config = reread(&dir, text);
        (dir, config)
    }

    /// Loads the configuration again with another text.
    pub(in crate::gitconfig) fn reread(dir: &tempfile::TempDir, text: &str) -> GitConfig {
        std::fs::write(dir.path().join(".gitconfig"), text).unwrap();
        let mut options = Options::new(dir.path());
        options.environment.insert("HOME".into(), dir.path().into());
        options
            .environment
            .insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
        GitConfig::load(&options)
    }

    fn config(text: &str) -> GitConfig {
        in_home(text).1
    }

    #[test]
    fn the_longest_prefix_is_replaced() {
        let config = config(
            "[url \"ssh://git@host/\"]\n insteadOf = https://host/\n\
             [url \"https://mirror/org/\"]\n insteadOf = https://host/org/\n insteadOf = gh:\n",
        );
        assert_eq!(
            config.rewrite("https://host/a"),
            Some("ssh://git@host/a".to_owned())
        );
        assert_eq!(
            config.rewrite("https://host/org/a"),
            Some("https://mirror/org/a".to_owned())
        );
        assert_eq!(config.rewrite("https://other/a"), None);
    }

    #[test]
    fn credential_settings_apply_to_their_address() {
        let config = config(
            "[credential]\n helper = store\n[credential \"https://*.corp.example\"]\n helper =\n helper = !f\n username = me\n\
             [credential \"https://host/org\"]\n useHttpPath = true\n",
        );
        let of = |url: &str| config.credential(&reqwest::Url::parse(url).unwrap(), None);
        assert_eq!(of("https://github.com/x").helpers, ["store"]);
        let corp = of("https://git.corp.example/x");
        assert_eq!(
            (corp.helpers, corp.username.as_deref()),
            (vec!["!f".to_owned()], Some("me"))
        );
        assert!(of("https://host/org/x").use_path && !of("https://host/organ").use_path);
        assert_eq!(of("http://git.corp.example/x").helpers, ["store"]);
    }

    #[test]
    fn booleans_are_those_of_git() {
        for (line, expected) in [
            ("useHttpPath", true),
            ("useHttpPath = true", true),
            ("usehttppath = Yes", true),
            ("useHttpPath = ON", true),
            ("useHttpPath = 1", true),
            ("useHttpPath = 2", true),
            ("useHttpPath = 0", false),
            ("useHttpPath =", false),
            ("useHttpPath = no", false),
            ("useHttpPath = true\n useHttpPath = False", false),
        ] {
            let config = config(&format!("[credential]\n {line}\n"));
            let found = config.credential(&reqwest::Url::parse("https://host/x").unwrap(), None);
            assert_eq!(found.use_path, expected, "{line}");
        }
    }

    #[test]
    fn injected_values_come_after_the_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(".gitconfig"),
            "[core]\n sshCommand = of the file\n",
        )
        .unwrap();
        let mut options = Options::new(dir.path());
        for (name, value) in [
            ("HOME", dir.path().to_str().unwrap()),
            ("GIT_CONFIG_NOSYSTEM", "True"),
            ("GIT_CONFIG_COUNT", "7"),
            ("GIT_CONFIG_KEY_0", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_0", "ssh -i \"a key\" \\ # no comment; x\n\t"),
            ("GIT_CONFIG_KEY_1", "url.https://Mirror.example/\"a\\.insteadOf"),
            ("GIT_CONFIG_VALUE_1", "https://a/"),
            ("GIT_CONFIG_KEY_2", "no dot"),
            ("GIT_CONFIG_VALUE_2", "x"),
            ("GIT_CONFIG_KEY_3", "http.https://host/.extraHeader"),
            ("GIT_CONFIG_VALUE_3", "AUTHORIZATION: basic x"),
            // There is no key 4, and key 5 has no value.
            ("GIT_CONFIG_KEY_5", "core.askPass"),
            ("GIT_CONFIG_KEY_6", "credential.https://host.example.username"),
            ("GIT_CONFIG_VALUE_6", "me"),
            ("GIT_CONFIG_KEY_7", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_7", "beyond the count"),
        ] {
            options.environment.insert(name.into(), value.into());
        }
        let config = GitConfig::load(&options);
        assert_eq!(
            config.ssh_command(),
            Some("ssh -i \"a key\" \\ # no comment; x\n\t")
        );
        assert_eq!(
            config.rewrite("https://a/x").as_deref(),
            Some("https://Mirror.example/\"a\\x")
        );
        let url = reqwest::Url::parse("https://host/x").unwrap();
        assert_eq!(
            config.extra_headers(&url),
            [("authorization".to_owned(), "basic x".to_owned())]
        );
        let url = reqwest::Url::parse("https://host.example/x").unwrap();
        assert_eq!(config.credential(&url, None).username.as_deref(), Some("me"));
        assert_eq!(config.askpass(), None);
    }

    #[test]
    fn includes_are_followed_and_broken_files_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("more"),
            "[url \"https://b/\"]\n insteadOf = https://a/\n",
        )
        .unwrap();
        std::fs::write(dir.path().join(".gitconfig"), "[include]\n path = ~/more\n").unwrap();
        std::fs::write(dir.path().join("system"), "[url \"\n").unwrap();
        let mut options = Options::new(dir.path());
        options.environment.insert("HOME".into(), dir.path().into());
        options
            .environment
            .insert("GIT_CONFIG_SYSTEM".into(), dir.path().join("system").into());
        assert_eq!(
            GitConfig::load(&options).rewrite("https://a/x"),
            Some("https://b/x".to_owned())
        );
    }

    #[test]
    fn damaged_files_are_skipped_or_read() {
        let seeds = [
            "[url \"ssh://git@host/\"]\n insteadOf = https://host/\n[credential \"https://*.corp.example\"]\n helper =\n \
             helper = \"!f \\\"x\\\"\" # why\n username = me\n useHttpPath\n",
            "[http]\n proxy = http://me:secret@all:3128\n lowSpeedTime = 5\n[http \"https://host/org\"]\n extraHeader = X-Team: \\\n  a\n\
             sslCAInfo = ~/ca.pem\n[include]\n path = ~/.gitconfig\n",
        ];
        let pieces = [
            "[",
            "]",
            "\"",
            "\\",
            "\\\n",
            "=",
            "\n",
            "\r\n",
            ";",
            "#",
            "\0",
            "\u{feff}",
            "\t",
            "[url \"",
            "[http.https://host]\n",
            "[include]\n path = ~/.gitconfig\n",
            "[includeIf \"onbranch:**\"]\n path = ~/.gitconfig\n",
            "insteadOf = \n",
            "path = ~nobody/x\n",
            "path = %(prefix)/x\n",
            "*",
            "99999999999999999999k",
            "://",
            "\u{1f600}",
        ];
        let home = tempfile::tempdir().unwrap();
        let mut options = Options::new(home.path());
        let set = |options: &mut Options, name: &str, value: &std::ffi::OsStr| {
            options.environment.insert(name.into(), value.into());
        };
        set(&mut options, "HOME", home.path().as_os_str());
        set(&mut options, "GIT_CONFIG_NOSYSTEM", "1".as_ref());
        let url = reqwest::Url::parse("https://host/org/repo").unwrap();
        feed(500, &seeds, &pieces, |text, _| {
            std::fs::write(home.path().join(".gitconfig"), text).unwrap();
            let config = GitConfig::load(&options);
            let _ = config.rewrite(url.as_str());
            let _ = (
                config.credential(&url, None),
                config.proxy(&url),
                config.tls(&url),
                config.low_speed(),
            );
            for (name, _) in config.extra_headers(&url) {
                assert!(!name.contains([':', '\n']), "{name}");
            }
        });
    }
}
