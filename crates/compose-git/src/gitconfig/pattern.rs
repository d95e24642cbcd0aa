//! Patterns of addresses in the section names of git's configuration.

/// Returns whether `credential.<pattern>.…` applies to a URL: scheme and port must be equal, the
/// host too (a component may be `*`), and the path must be a prefix.
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
