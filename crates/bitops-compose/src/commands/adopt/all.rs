//! `adopt --all REPO`: copies of a catalog's environments in an operations repo.

use compose_git::Outline;
use compose_model::{Failure, RepoUrl, TreePath, file_name, text::escape};
use compose_plan::{
    adopt::{Comparison, Files},
    catalog,
    config::SourceList,
};
use serde_json::json;

use super::{Candidate, Checkout, candidates, compared};
use crate::{
    cli::{Adopt, Format},
    commands::{
        DONE,
        search::{self, Offer},
    },
    job::Ops,
    runtime,
};

/// A directory that looks like a copy.
struct Match {
    local: TreePath,
    environment: TreePath,
    nearest: Candidate,
    command: String,
}

/// Proposes one command for each copy, and changes nothing.
pub(super) fn run(args: &Adopt, repo: &RepoUrl) -> Result<u8, Failure> {
    let ops = Ops::of(&args.place)?;
    let found = runtime::run(ops.settings.jobs, matches(&ops, args, repo));
    let done = found.and_then(|found| match args.format {
        Format::Text => ops.printer.result(&describe(repo, &found)),
        Format::Json => ops.printer.json(&json!({
            "repo": repo.as_str(),
            "matches": found.iter().map(|one| json!({
                "directory": one.local.as_str(),
                "environment": one.environment.as_str(),
                "tag": one.nearest.tag,
                "version": one.nearest.version.as_str(),
                "equal": one.nearest.found.equal.len(),
                "of": one.nearest.found.total(),
                "as": one.nearest.found.rename,
                "command": one.command,
            })).collect::<Vec<_>>(),
        })),
    });
    done.map(|()| DONE).or_else(|failure| {
        ops.printer.problems(failure.diagnostics());
        Ok(failure.code().code())
    })
}

async fn matches(ops: &Ops, args: &Adopt, repo: &RepoUrl) -> Result<Vec<Match>, Failure> {
    let gatherer = ops.gatherer()?;
    let offer = search::look(&gatherer, repo, None).await?;
    let offered = offered(&offer);
    let mut found = Vec::new();
    for dir in directories(ops)? {
        let config = ops.root.join(dir.as_str()).join(file_name::CONFIG);
        let text = std::fs::read_to_string(&config).unwrap_or_default();
        // A config with mistakes is another command's matter.
        let Ok(list) = SourceList::parse(&format!("{dir}/{}", file_name::CONFIG).into(), &text) else {
            continue;
        };
        let local = compared(Checkout::of(&ops.root, &dir).files()?, &list)?;
        for (environment, files) in &offered {
            let is_source =
                |spec: &compose_model::SourceSpec| spec.repo == *repo && spec.environment == *environment;
            if list.specs().iter().any(is_source) || Comparison::best(&local, files).equal.is_empty() {
                continue;
            }
            let all = candidates(&gatherer, repo, environment, &offer.refs, &local).await?;
            let Some(nearest) = all.into_iter().next().filter(|one| one.found.is_copy()) else {
                continue;
            };
            let mut words = vec![
                "bitops-compose",
                "adopt",
                &args.repo,
                environment.as_str(),
                "--to",
                dir.as_str(),
            ];
            let ops_repo = args
                .place
                .ops_repo
                .as_ref()
                .map(|dir| dir.to_string_lossy().into_owned());
            words.extend(ops_repo.iter().flat_map(|dir| ["--ops-repo", dir.as_str()]));
            found.push(Match {
                command: shell_words::join(words),
                local: dir.clone(),
                environment: environment.clone(),
                nearest,
            });
        }
    }
    Ok(found)
}

/// Returns the environments of a catalog with their files.
fn offered(offer: &Offer) -> Vec<(TreePath, Files)> {
    let below = |path: &TreePath, outline: &Outline| {
        let files = outline.entries.iter().filter_map(|entry| {
            let path = entry.path.strip_prefix(path)?;
            Some(compose_model::OutlineEntry {
                path,
                ..entry.clone()
            })
        });
        Files::new(files)
    };
    let all = offer.environments().into_iter();
    all.map(|(one, outline)| (one.path.clone(), below(&one.path, outline)))
        .collect()
}

/// Returns the directories of the operations repo that look like environments.
fn directories(ops: &Ops) -> Result<Vec<TreePath>, Failure> {
    let files = Checkout::whole(&ops.root).names()?;
    Ok(catalog::environments(&files)
        .into_iter()
        .map(|one| one.path)
        .collect())
}

fn describe(repo: &RepoUrl, found: &[Match]) -> String {
    if found.is_empty() {
        return format!("no directory looks like a copy of an environment of {repo}\n");
    }
    let mut out = String::new();
    for one in found {
        out.push_str(&format!(
            "{}: {} in {} of {}\n    {}\n",
            one.local,
            one.nearest.found,
            escape(&one.nearest.tag, 60),
            one.environment,
            one.command
        ));
    }
    out
}
