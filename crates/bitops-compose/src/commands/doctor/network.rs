//! Proxies and certificates.

use compose_git::Git;
use compose_model::{Diagnostic, Settings};

use super::check::{Checks, Group};
use crate::report::Printer;

/// Looks at the settings of the network.
pub(super) fn look(git: &Git, settings: &Settings) -> Checks {
    let mut checks = Checks::new(Group::Network);
    let printer = Printer::plain();
    if settings.offline {
        checks.ok("offline", "offline: only the cache is used");
    }
    let proxies = git.proxies();
    for proxy in &proxies {
        match &proxy.address {
            Ok(address) => checks.ok("proxy", format!("the proxy of {} is {address}", proxy.name)),
            Err(problem) => {
                let problem = Diagnostic::from(problem.clone()).hint("correct it, or unset it");
                checks.problem("proxy", &printer, &problem);
            }
        }
    }
    if proxies.is_empty() {
        checks.ok("proxy", "no proxy is set");
    } else if let Some((name, hosts)) = git.no_proxy() {
        checks.ok("no-proxy", format!("without a proxy, by {name}: {hosts}"));
    }
    match git.certificates() {
        Ok(certificates) => checks.ok(
            "certificates",
            format!(
                "{} certificates are trusted, of {}",
                certificates.count, certificates.origin
            ),
        ),
        Err(problem) => {
            let problem = Diagnostic::from(problem)
                .hint("name a file of certificates in PEM format, or unset the setting");
            checks.problem("certificates", &printer, &problem);
        }
    }
    checks
}
