//! The credentials that were sent to a host, in words.

use compose_model::env;

/// Names the token of a variable.
pub(crate) fn token_of(variable: &str) -> String {
    format!("the token of `{variable}`")
}

/// The credentials that were sent to a host, and how to provide one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The origins of the credentials that were sent, such as a variable's name, in the order in
    /// which they were tried; never the credentials themselves.
    pub sent: Vec<String>,
    /// Whether the host is the one that `GITHUB_TOKEN` is for.
    pub is_github: bool,
    /// The variable for a token of that host, which after a redirect is not the repo's own. `None`
    /// if no variable can name the host.
    pub variable: Option<String>,
}

impl Access {
    /// Returns whether only the workflow's own token was sent, which can usually read only the
    /// workflow's repository.
    pub(super) fn is_workflow_token(&self) -> bool {
        self.sent == [token_of(env::GITHUB_TOKEN)]
    }

    /// Names what was sent, as the subject of a verb in the singular or plural.
    fn subject(&self, singular: &str, plural: &str) -> String {
        let verb = if self.sent.len() == 1 { singular } else { plural };
        format!("{} {verb}", listed(&self.sent))
    }

    /// Returns the advice to set a variable, for a host that received no credential.
    pub(super) fn variables(&self) -> Option<String> {
        let github = self.is_github.then_some(env::GITHUB_TOKEN);
        let variables: Vec<&str> = github.into_iter().chain(self.variable.as_deref()).collect();
        (!variables.is_empty()).then(|| format!("set {}", variables.join(" or ")))
    }

    /// Returns the variable for a token with more rights than the workflow's own.
    pub(super) fn own_variable(&self) -> &str {
        self.variable.as_deref().unwrap_or("a git credential helper")
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no credential".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// Names the credential that was sent: a host does not reveal whether a repo does not exist or is
/// hidden from that credential.
pub(super) fn may_not_read(access: &Access) -> String {
    if access.sent.is_empty() {
        return String::new();
    }
    format!(", or {} no access to it", access.subject("has", "have"))
}

pub(super) fn although_sent(access: &Access) -> String {
    if access.sent.is_empty() {
        return String::new();
    }
    format!(", although {} sent", access.subject("was", "were"))
}

pub(super) fn why_refused(access: &Access, why: &str) -> String {
    if access.sent.is_empty() {
        return why.to_owned();
    }
    format!(
        "{} refused, and there is no other credential for the host",
        access.subject("was", "were")
    )
}
