//! `doctor`: what keeps a deployment from working, on this machine and at the sources' hosts.
//!
//! Nothing on disk is changed, except that an own cache that everybody may write to is closed, as each run does. Whether something can be written is what the system says of it (`access`, `statvfs`),
//! so that quotas and servers that do not trust root are not found.

mod bitops;
mod cache;
mod check;
mod disk;
mod home;
mod network;
mod page;
mod place;
mod programs;
mod sources;
mod variables;

use std::sync::Arc;

use compose_model::{Failure, RepoUrl, StyledText};
use serde_json::json;

use crate::{
    cli::{Format, Targets},
    job::Examined,
    report::table::columns_before_masks,
    runtime, settings, watch,
};
use check::{Check, exit_code};
use sources::{Answers, Environment, ask};

/// Looks at everything, prints what was found, and returns the exit code of what is wrong.
pub(crate) fn run(targets: &Targets) -> Result<u8, Failure> {
    let (settings, invalid) = settings::with_defaults();
    let found = place::look(targets, &settings);
    let build_config = bitops::build_config(&settings, &targets.place);
    let Examined {
        jobs,
        gatherer,
        printer,
    } = Examined::of(&settings, &targets.place, &found.selection, &build_config.0)?;
    let mut environments: Vec<Environment> = jobs
        .into_iter()
        .map(|(name, job)| Environment::read(name, job, &gatherer, &printer))
        .collect();
    let mut repos: Vec<RepoUrl> = Vec::new();
    for repo in environments.iter().flat_map(|one| &one.repos) {
        if !repos.contains(repo) {
            repos.push(repo.clone());
        }
    }
    let machine: Vec<Check> = [
        found.checks,
        home::look(&settings),
        cache::look(&settings),
        bitops::look(&settings, &build_config),
        programs::look(&repos),
        network::look(gatherer.git(), &settings),
        variables::look(&invalid),
    ]
    .into_iter()
    .flat_map(|checks| checks.all)
    .collect();
    for environment in &mut environments {
        environment.approaches(&gatherer);
    }
    if settings.offline {
        for environment in environments.iter_mut().filter(|one| !one.repos.is_empty()) {
            environment.checks.ok("answer", "offline: no host is asked");
        }
    } else if !repos.is_empty() {
        watch::enter(watch::Stage::Fetch);
        let asking = Arc::clone(&gatherer);
        let answers: Answers = runtime::run(settings.jobs, async move { Ok(ask(&asking, repos).await) })?;
        for environment in &mut environments {
            environment.answers(&answers);
        }
    }
    let all = || {
        machine
            .iter()
            .chain(environments.iter().flat_map(|one| &one.checks.all))
    };
    let code = exit_code(all());
    match targets.format {
        Format::Text => {
            let (mut out, columns) = (StyledText::new(), columns_before_masks(&std::io::stdout()));
            page::add(&mut out, &machine, None, columns);
            for environment in &environments {
                page::add(
                    &mut out,
                    &environment.checks.all,
                    Some(&environment.name),
                    columns,
                );
            }
            page::add_summary(&mut out, all().collect::<Vec<_>>());
            printer.styled(out)?;
        }
        Format::Json => {
            let value = match environments.as_slice() {
                [] => json!({ "checks": machine }),
                [one] => json!({ "environment": one.name, "checks": all().collect::<Vec<_>>() }),
                many => {
                    let one =
                        |one: &Environment| json!({ "environment": one.name, "checks": one.checks.all });
                    json!({ "checks": machine, "environments": many.iter().map(one).collect::<Vec<_>>() })
                }
            };
            printer.json(&value)?;
        }
    }
    Ok(code)
}
