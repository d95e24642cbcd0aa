//! Patterns of addresses in the section names of git's configuration.

use percent_encoding::percent_decode_str;

/// Returns whether `credential.<pattern>.…` applies to a URL: scheme and port must be equal, the
/// host too (a component may be `*`), and the path must be a prefix.
///
/// For `credential`, git also accepts patterns without a scheme, and the scheme alone
/// ([`matches_partially`]).
pub(super) fn matches(pattern: &str, url: &reqwest::Url) -> bool {
    // `*` is not valid in a parsed host name.
    let Ok(parsed) = reqwest::Url::parse(&pattern.replace('*', "__any__")) else {
        return false;
    };
    let (Some(host), Some(wanted)) = (url.host_str(), parsed.host_str()) else {
        return false;
    };
    let (mut parts, mut wanted) = (host.split('.'), wanted.split('.'));
    let hosts = loop {
        match (parts.next(), wanted.next()) {
            (None, None) => break true,
            (Some(part), Some(want)) if want == "__any__" || want == part => {}
            _ => break false,
        }
    };
    let path = parsed.path().trim_end_matches('/');
    let below = url
        .path()
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    hosts
        && below
        && parsed.scheme() == url.scheme()
        && parsed.port_or_known_default() == url.port_or_known_default()
}

/// Returns whether `credential.<pattern>.…` applies to a URL. A pattern without a scheme
/// (`github.com`) is for every scheme, and one that is only a scheme (`https://`) for every host.
/// One with a user name is for that `user` only.
pub(super) fn matches_partially(pattern: &str, url: &reqwest::Url, user: Option<&str>) -> bool {
    let authority = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let authority = authority.trim_start_matches('/').split('/').next();
    if let Some((wanted, _)) = authority.and_then(|authority| authority.rsplit_once('@')) {
        let wanted = percent_decode_str(wanted).decode_utf8_lossy();
        if user != Some(wanted.as_ref()) {
            return false;
        }
    }
    match pattern.split_once("://") {
        Some((scheme, "" | "/")) => scheme == url.scheme(),
        Some(_) => matches(pattern, url),
        None => matches(
            &format!("{}://{}", url.scheme(), pattern.trim_start_matches('/')),
            url,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_git() {
        let url = reqwest::Url::parse("https://git.example.com/org/repo/info/refs").unwrap();
        for (pattern, whole, partial) in [
            ("https://git.example.com", true, true),
            ("https://Git.Example.COM/org", true, true),
            ("https://*.example.com", true, true),
            ("https://git.example.com:443/", true, true),
            ("https://git.example.com/or", false, false),
            ("https://example.com", false, false),
            ("http://git.example.com", false, false),
            ("https://git.example.com:8443", false, false),
            ("git.example.com", false, true),
            ("//git.example.com/org", false, true),
            ("example.com", false, false),
            ("https://", false, true),
            ("http://", false, false),
            ("", false, false),
        ] {
            assert_eq!(matches(pattern, &url), whole, "{pattern}");
            assert_eq!(matches_partially(pattern, &url, None), partial, "{pattern}");
        }
        for (pattern, user, applies) in [
            ("https://m%40e@git.example.com", Some("m@e"), true),
            ("me@git.example.com/org", Some("me"), true),
            ("https://me@git.example.com", Some("you"), false),
            ("https://me@git.example.com", None, false),
            ("https://git.example.com", Some("me"), true),
            ("https://git.example.com/org@x", None, false),
            ("https://git.example.com/org", None, true),
        ] {
            let found = matches_partially(pattern, &url, user);
            assert_eq!(found, applies, "{pattern} {user:?}");
        }
    }
}
