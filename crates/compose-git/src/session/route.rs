//! Resolves the address to connect to, and a login for it, by git's own configuration.

use compose_model::{RepoUrl, url::Scheme};
use reqwest::Url;

use crate::{
    credentials::{AddressLogin, Credential},
    error::{Detour, Error, SettingProblem},
    run::Run,
};

/// Returns the address to connect to, without a login: the repo's, or what git's configuration
/// rewrites it to. The login in it goes with it.
pub(crate) fn route(run: &Run, repo: &RepoUrl) -> Result<(RepoUrl, AddressLogin), Error> {
    let Some((url, credential)) = rewritten(run, repo)? else {
        return Ok(split_user(repo.clone()));
    };
    if !(run.options.allow)(&url) {
        return Err(Error::NotAllowed {
            repo: repo.clone(),
            to: url.to_string(),
            way: Detour::Rewrite,
        });
    }
    tracing::debug!(to = %url, "git's configuration rewrites the address");
    let (url, login) = split_user(url);
    Ok((url, AddressLogin { credential, ..login }))
}

/// Returns the address that git's configuration rewrites a repo's to, and the login that was in it.
/// Returns `None` if it rewrites nothing.
pub(crate) fn rewritten(run: &Run, repo: &RepoUrl) -> Result<Option<(RepoUrl, Option<Credential>)>, Error> {
    let Some(rewritten) = run.git_config().rewrite(repo.as_str()) else {
        return Ok(None);
    };
    let (address, credential) = split_login(&rewritten);
    // The rewritten address is not shown: it may hold a secret.
    let url = RepoUrl::parse(&address).map_err(|why| Error::Setting {
        repo: repo.clone(),
        source: SettingProblem::InsteadOf(why),
    })?;
    Ok(Some((url, credential)))
}

/// Splits the user name from an http address. With ssh it stays: it is a part of the connection.
fn split_user(url: RepoUrl) -> (RepoUrl, AddressLogin) {
    let is_http = matches!(url.scheme(), Scheme::Http | Scheme::Https);
    let user = url.user().filter(|_| is_http).map(decoded);
    let bare = user
        .as_ref()
        .and_then(|_| RepoUrl::parse(&url.without_user()).ok());
    (
        bare.unwrap_or(url),
        AddressLogin {
            user,
            credential: None,
        },
    )
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Splits the login from an address. `https://user:token@host/` is a common way to give CI jobs a
/// token, which is a credential and not a part of the address.
fn split_login(address: &str) -> (String, Option<Credential>) {
    let parsed = Url::parse(address)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && !url.username().is_empty());
    let Some(mut url) = parsed else {
        return (address.to_owned(), None);
    };
    let credential = match url.password() {
        Some(secret) => Credential::new(decoded(url.username()), decoded(secret)),
        None => Credential::new(decoded(url.username()), ""),
    };
    // Neither call fails for an address with a host.
    _ = url.set_username("");
    _ = url.set_password(None);
    (url.to_string(), Some(credential))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_rewritten_address_is_split_off() {
        let split = |text: &str| {
            let (address, given) = split_login(text);
            (address, given.is_some())
        };
        assert_eq!(
            split("https://me:t%40k@host/x"),
            ("https://host/x".to_owned(), true)
        );
        assert_eq!(split("https://token@host/x"), ("https://host/x".to_owned(), true));
        assert_eq!(split("https://host/x"), ("https://host/x".to_owned(), false));
        assert_eq!(split("git@host:x"), ("git@host:x".to_owned(), false));
    }
}
