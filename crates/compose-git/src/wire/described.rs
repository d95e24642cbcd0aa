//! The settings of the network, in words that may be shown.

use reqwest::Url;

use super::{net, tls::TlsSettings};
use crate::{error::SettingProblem, run::Run};

/// An address that no setting is for.
const ANY: &str = "https://bitops-compose.invalid/";

fn any() -> Option<Url> {
    Url::parse(ANY).ok()
}

/// Returns the name of the setting whose proxy an address is contacted through.
pub(crate) fn proxy_setting(run: &Run, url: &Url) -> Option<&'static str> {
    net::proxy_setting(&run.options, run.git_config(), url)
}

/// Returns the proxies of all settings for all hosts, without their logins.
pub(crate) fn proxies(run: &Run) -> Vec<(&'static str, Result<String, SettingProblem>)> {
    any().map_or_else(Vec::new, |url| {
        net::proxy_settings(&run.options, run.git_config(), &url)
    })
}

/// Returns the variable with the hosts that are contacted without a proxy, and its value.
pub(crate) fn exempt(run: &Run) -> Option<(&'static str, &str)> {
    net::exempt(&run.options)
}

/// Returns where the trusted certificates come from, and their number.
pub(crate) fn certificates(run: &Run) -> Result<(String, usize), SettingProblem> {
    let settings = any().map(|url| TlsSettings::of(&run.options, run.git_config(), &url));
    settings.unwrap_or_default().described()
}
