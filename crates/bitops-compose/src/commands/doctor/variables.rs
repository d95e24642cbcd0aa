//! The variables of this program that are set.

use compose_model::{Diagnostic, ExitCode, env, settings::is_off};

use super::check::{Checks, Group};
use crate::{report::Printer, settings};

/// Looks at the variables. `invalid` are the errors of those with wrong values.
pub(super) fn look(invalid: &[Diagnostic]) -> Checks {
    let mut checks = Checks::new(Group::Settings);
    let printer = Printer::plain();
    match is_off(&|name| std::env::var_os(name)) {
        Ok(true) => checks.warning(
            "variable",
            format!(
                "{} is off: `deploy` starts BitOps with the operations repo as it is",
                env::COMPOSE
            ),
            "unset it to compose",
        ),
        Ok(false) => {}
        Err(error) => checks.problem("variable", &printer, &error.into()),
    }
    for problem in invalid {
        checks.problem(
            "variable",
            &printer,
            &problem.clone().hint("correct it, or unset it"),
        );
    }
    checks.problems("variable", &printer, &settings::empty_policies());
    match settings::unknown_variables() {
        Ok(warnings) => checks.problems("variable", &printer, &warnings),
        Err(failure) => checks.problems("variable", &printer, failure.diagnostics()),
    }
    for name in env::OWN {
        let is_wrong = invalid
            .iter()
            .any(|problem| problem.message.starts_with(&format!("{name} ")));
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty() && !is_wrong) {
            // A command line may hold a secret.
            let shown = match name {
                env::PIPELINE => format!("{name} is set"),
                name => format!("{name}={}", value.to_string_lossy()),
            };
            checks.ok("variable", shown);
        }
    }
    tokens(&mut checks);
    if checks.all.is_empty() {
        checks.ok("variable", "no variable of bitops-compose is set");
    }
    checks
}

/// Says which hosts have a token.
fn tokens(checks: &mut Checks) {
    let names = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut tokens: Vec<_> = names
        .filter(|(name, _)| name.starts_with(env::TOKEN_PREFIX))
        .collect();
    tokens.sort();
    for (name, value) in tokens {
        let Some(host) = env::token_host(&name) else {
            checks.warning(
                "token",
                format!("{name} does not name a host"),
                "in the host's name write `.` as `_`, `-` as `__` and `_` as `___`, and all letters as capitals",
            );
            continue;
        };
        match value.to_str().map(str::trim) {
            None => checks.error(
                "token",
                ExitCode::Usage,
                format!("{name} is not valid UTF-8"),
                "set it to the token's text",
            ),
            Some("") => checks.warning(
                "token",
                format!("{name} is set, but empty"),
                "give it a value, or unset it; in CI, check that the secret exists and that this job may read it",
            ),
            Some(_) => checks.ok("token", format!("{name} is the token for {host}")),
        }
    }
}
