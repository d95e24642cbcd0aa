//! `NO_PROXY`: the hosts that are contacted without a proxy, as in curl.

use std::net::IpAddr;

use reqwest::Url;

/// Returns whether the list names the URL's host. Items are separated by commas or white space: `*`
/// for all, a domain (with all below it; a leading dot means the same), an address, a network as
/// `10.0.0.0/8`, or one of the first two with a port.
pub(super) fn is_exempt(list: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let host = host.trim_end_matches('.');
    let port = url.port_or_known_default();
    list.split([',', ' ', '\t', '\r', '\n'])
        .filter(|item| !item.is_empty())
        .any(|item| names(item, host, port))
}

fn names(item: &str, host: &str, port: Option<u16>) -> bool {
    if item == "*" {
        return true;
    }
    if let Some((network, bits)) = item.split_once('/') {
        return match (parse(network), host.parse(), bits.parse()) {
            (Some(network), Ok(host), Ok(bits)) => contains(network, bits, host),
            _ => false,
        };
    }
    if let Some(address) = parse(item) {
        return host.parse() == Ok(address);
    }
    let (item, wanted) = match item.rsplit_once(':') {
        Some((item, digits)) => match digits.parse::<u16>() {
            Ok(wanted) => (item, Some(wanted)),
            Err(_) => return false,
        },
        None => (item, None),
    };
    if wanted.is_some() && wanted != port {
        return false;
    }
    if let Some(address) = parse(item) {
        return host.parse() == Ok(address);
    }
    let item = item.trim_start_matches('.').trim_end_matches('.');
    if item.is_empty() || host.parse::<IpAddr>().is_ok() {
        return false;
    }
    let (item, host) = (item.to_ascii_lowercase(), host.to_ascii_lowercase());
    host.strip_suffix(&item)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn parse(address: &str) -> Option<IpAddr> {
    address.trim_matches(['[', ']']).parse().ok()
}

fn contains(network: IpAddr, bits: u32, host: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || a >> (width - bits) == b >> (width - bits))
    };
    match (network, host) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exempt_as_in_curl() {
        for (list, host, exempt) in [
            ("*", "a.b", true),
            ("x, *", "a.b", true),
            ("corp.example", "corp.example", true),
            ("corp.example", "git.corp.example", true),
            (".corp.example", "corp.example", true),
            (".corp.example", "git.corp.example", true),
            ("corp.example.", "git.CORP.example", true),
            ("Corp.Example", "git.corp.example", true),
            ("corp.example", "evilcorp.example", false),
            ("corp.example", "corp.example.evil", false),
            ("a.b  corp.example\n", "corp.example", true),
            (" , ,corp.example", "corp.example", true),
            (".", "corp.example", false),
            ("corp.example:443", "corp.example", true),
            ("corp.example:8443", "corp.example", false),
            ("corp.example:8443", "corp.example:8443", true),
            ("corp.example:x", "corp.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/0", "11.1.2.3", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.0/8", "10.example", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("0.0.1", "127.0.0.1", false),
            ("::1", "[::1]", true),
            ("[::1]:8080", "[::1]:8080", true),
            ("fd00::/8", "[fd12::1]", true),
            ("fd00::/8", "10.0.0.1", false),
            ("", "a.b", false),
        ] {
            let url = Url::parse(&format!("https://{host}/repo")).unwrap();
            assert_eq!(is_exempt(list, &url), exempt, "{list:?} {host}");
        }
    }
}
