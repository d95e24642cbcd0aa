//! The names of credentials, without the credentials.

use compose_model::text::escape;
use reqwest::Url;

use super::{Candidate, Keyring, authority, netrc::netrc};
use crate::sync::lock_unpoisoned;

/// The most characters of a program's name or of a path in a message.
const SHOWN: usize = 200;

impl Keyring {
    /// Returns the name of the credential that the last request to the host carried.
    pub(crate) fn current_name(&self, url: &Url) -> Option<String> {
        let slots = lock_unpoisoned(&self.slots);
        let current = slots.get(&authority(url))?.current.as_ref()?;
        Some(current.of.clone())
    }

    /// Returns the names of the credentials that would be tried at the host, in this order. No program is asked for its
    /// own: a helper may have none for this host.
    pub(crate) fn names(&self, url: &Url) -> Vec<String> {
        let slot = self.slot(url);
        let user = self.user(url);
        let options = &self.run.options;
        let mut names: Vec<String> = slot.current.iter().map(|current| current.of.clone()).collect();
        for candidate in &slot.left {
            match candidate {
                Candidate::Known(named) => names.push(named.of.clone()),
                Candidate::Helpers => {
                    let config = self.run.git_config().credential(url, user.as_deref());
                    let helpers = config.helpers.iter().map(|helper| helper_name(helper));
                    names.extend(helpers.map(|name| format!("git's credential helper {name}")));
                }
                Candidate::Netrc => {
                    let home = options.variable("HOME").map(|home| home.display().to_string());
                    let place = escape(&home.unwrap_or_default(), SHOWN);
                    let found = netrc(options, url, user.as_deref());
                    names.extend(found.map(|_| format!("the login from {place}/.netrc")));
                }
                Candidate::Askpass => {
                    if options.variable("GIT_ASKPASS").is_some() {
                        names.push("the program of GIT_ASKPASS".to_owned());
                    } else if self.run.git_config().askpass().is_some() {
                        names.push("the program of core.askPass".to_owned());
                    }
                }
                Candidate::Nothing => {}
            }
        }
        names
    }
}

/// Returns a helper's name. The rest of its line may hold a secret, and a command of the shell is nothing else.
fn helper_name(helper: &str) -> String {
    let helper = helper.trim();
    if helper.starts_with('!') {
        return "(a command of git's configuration)".to_owned();
    }
    let program = helper.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    format!("`{}`", escape(name, SHOWN))
}

#[cfg(test)]
mod tests {
    use super::helper_name;

    #[test]
    fn a_helpers_name_is_that_of_its_program() {
        for (helper, name) in [
            ("store --file /home/me/hunter2", "`store`"),
            (
                "/usr/lib/git-core/git-credential-cache --timeout 9",
                "`git-credential-cache`",
            ),
            (
                "!f() { echo password=hunter2; }; f",
                "(a command of git's configuration)",
            ),
            (" osxkeychain ", "`osxkeychain`"),
        ] {
            assert_eq!(helper_name(helper), name);
        }
    }
}
