//! The result of `upgrade` as text, as a page of Markdown and as JSON.

use compose_model::text::escape;
use compose_plan::{
    lock::{Locked, LockedRef},
    resolve::{Left, NewVersion},
};
use serde_json::{Value, json};

use super::{Moved, Stayed, Upgraded};
use crate::{
    compare::Hosts,
    diff::{self, FileDiff},
    job::Job,
};

/// The most hooks and executables that a text lists.
const MOST_LISTED: usize = 20;

/// Formats the result for people.
pub(super) fn for_people(job: &Job, upgraded: &Upgraded) -> String {
    let mut out = format!("{}: {}\n", job.file, headline(upgraded));
    for moved in &upgraded.moved {
        out.push_str(&format!(
            "  {} of {}: {}{}\n",
            moved.spec.environment,
            moved.spec.repo,
            versions(moved),
            tags(moved)
        ));
        if let Some((new, command)) = &moved.further {
            out.push_str(&format!("    {} is available: `{command}`\n", version(new)));
        }
    }
    for (before, after) in &upgraded.nested {
        out.push_str(&format!(
            "  {} of {}: {} -> {}, named by another source\n",
            after.environment,
            after.repo,
            before.name(),
            after.name()
        ));
    }
    out.push_str(&stayed(&upgraded.stayed));
    if !upgraded.moved.is_empty() {
        out.push_str(&changed(upgraded));
    }
    if let Some(lock) = &upgraded.lock {
        out.push_str(&format!("  {lock} follows\n"));
    }
    if upgraded.dry_run {
        let files = upgraded.files.iter().flatten();
        files.for_each(|file| out.push_str(&format!("\n{}", file.text)));
    }
    out
}

fn headline(upgraded: &Upgraded) -> String {
    match (upgraded.moved.len(), upgraded.dry_run) {
        (0, _) => "nothing to upgrade".to_owned(),
        (1, true) => "1 source would be upgraded".to_owned(),
        (count, true) => format!("{count} sources would be upgraded"),
        (1, false) => "1 source upgraded".to_owned(),
        (count, false) => format!("{count} sources upgraded"),
    }
}

fn versions(moved: &Moved) -> String {
    format!(
        "{} -> {}",
        escape(moved.spec.requested.as_str(), 120),
        moved.to.version.as_str()
    )
}

/// Names the tags, in brackets.
fn tags(moved: &Moved) -> String {
    let name = |tag: &str| format!("`{}`", escape(tag, 120));
    match (&moved.before, moved.to.tag.as_str()) {
        (_, "") => String::new(),
        (Some(before), after) => format!(" ({} -> {})", name(before), name(after)),
        (None, after) => format!(" ({})", name(after)),
    }
}

/// Formats a new version, with its tag where a range does not tell it.
fn version(new: &NewVersion) -> String {
    let (version, tag) = (new.version.as_str(), escape(&new.tag, 120));
    if tag.ends_with(version) {
        format!("`{version}`")
    } else {
        format!("`{version}` (`{tag}`)")
    }
}

/// Lists what stayed and why; sources at their newest versions are only counted.
fn stayed(all: &[Stayed]) -> String {
    let mut out = String::new();
    let (newest, others): (Vec<&Stayed>, Vec<&Stayed>) = all.iter().partition(|one| one.why == Left::Newest);
    for one in others {
        out.push_str(&format!(
            "  {} of {}: {} stays: {}\n",
            one.spec.environment,
            one.spec.repo,
            escape(one.spec.requested.as_str(), 120),
            why(one)
        ));
    }
    match newest.len() {
        0 => {}
        1 => out.push_str("  1 source is at its newest version\n"),
        count => out.push_str(&format!("  {count} sources are at their newest versions\n")),
    }
    out
}

fn why(stayed: &Stayed) -> String {
    let why = match &stayed.why {
        Left::Newest => "it is the newest version".to_owned(),
        Left::Incompatible => "newer versions are not compatible".to_owned(),
        Left::Range => "newer versions lie outside of the range".to_owned(),
        Left::Alias => "the tag moves along with newer versions".to_owned(),
        Left::Everything => "it takes every version already".to_owned(),
        Left::Compound => {
            "a range of several conditions, or without an upper bound, is changed by hand".to_owned()
        }
        Left::Ref => "it is a ref and not a version".to_owned(),
        Left::Ignored => "its `upgrade: ignore` leaves out what is newer".to_owned(),
        Left::Unspelled(tag) => format!(
            "no version of its form stands for the newer tag `{}` alone",
            escape(tag, 120)
        ),
    };
    match &stayed.further {
        Some((new, command)) => format!("{why}; {} is available: `{command}`", version(new)),
        None => why,
    }
}

/// Says how many files change, and lists what runs first.
fn changed(upgraded: &Upgraded) -> String {
    let Some(files) = &upgraded.files else {
        return "  which composed files change is not known\n".to_owned();
    };
    let run: Vec<&FileDiff> = files.iter().filter(|file| file.runs).collect();
    let mut out = match run.len() {
        0 => String::new(),
        1 => "  1 hook or executable changes, and runs with your credentials:\n".to_owned(),
        count => format!("  {count} hooks and executables change, and run with your credentials:\n"),
    };
    for file in run.iter().take(MOST_LISTED) {
        out.push_str(&format!("    {}\n", escape(&file.path, 200)));
    }
    if run.len() > MOST_LISTED {
        out.push_str(&format!("    and {} more\n", run.len() - MOST_LISTED));
    }
    match files.len() {
        0 => out.push_str("  the composed files stay the same\n"),
        _ => out.push_str(&format!("  {}\n", diff::count(files))),
    }
    out
}

/// Formats the result as the text of a pull request.
pub(super) fn markdown(job: &Job, upgraded: &Upgraded) -> String {
    let shown = |text: &str| job.printer.masks.apply(text).into_owned();
    let cell = |text: &str| diff::cell(&shown(text));
    let environment = job.environment.as_str();
    let mut out = format!("### Upgrades of `{}`\n\n", shown(environment));
    if upgraded.moved.is_empty() {
        out.push_str("Nothing to upgrade.\n");
    } else {
        let hosts = hosts();
        out.push_str("| source | from | to | changes |\n|---|---|---|---|\n");
        for moved in &upgraded.moved {
            let (repo, environment) = (&moved.spec.repo, &moved.spec.environment);
            let from = with_tag(moved.spec.requested.as_str(), moved.before.as_deref());
            let to = with_tag(moved.to.version.as_str(), Some(&moved.to.tag));
            let link = page_of(&hosts, moved).filter(|link| shown(link) == *link);
            out.push_str(&row(
                &cell(&format!("{environment} of {repo}")),
                &cell(&from),
                &cell(&to),
                link,
            ));
        }
        for (before, after) in &upgraded.nested {
            let source = format!("{} of {}, named by another source", after.environment, after.repo);
            let link = page_of_locked(&hosts, before, after).filter(|link| shown(link) == *link);
            out.push_str(&row(
                &cell(&source),
                &cell(&before.name()),
                &cell(&after.name()),
                link,
            ));
        }
    }
    let stayed = stayed(&upgraded.stayed);
    if !stayed.is_empty() {
        out.push('\n');
        for line in stayed.lines() {
            out.push_str(&format!("- {}\n", inline(&shown(line.trim_start()))));
        }
    }
    if upgraded.moved.is_empty() {
        return out;
    }
    let Some(files) = &upgraded.files else {
        return out + "\nWhich composed files change is not known.\n";
    };
    let run: Vec<&FileDiff> = files.iter().filter(|file| file.runs).collect();
    if !run.is_empty() {
        out.push_str(
            "\n**Hooks and executables that change: they run with the deployment's credentials**\n\n",
        );
        for file in run.iter().take(MOST_LISTED) {
            let path = escape(&shown(&file.path), 200).replace('`', "'");
            out.push_str(&format!("- `{path}`\n"));
        }
        if run.len() > MOST_LISTED {
            out.push_str(&format!("- and {} more\n", run.len() - MOST_LISTED));
        }
    }
    // Once the versions are written, no command shows the difference again.
    let rest = upgraded.dry_run.then(|| shown(&upgraded.command));
    let folded = diff::folded(files, out.len(), rest.as_deref(), &shown);
    out + &folded
}

fn hosts() -> Hosts {
    Hosts::from_env(&|name| std::env::var(name).ok())
}

fn row(source: &str, from: &str, to: &str, link: Option<String>) -> String {
    let link = link.map_or_else(String::new, |link| format!("[compare]({link})"));
    format!("| {source} | {from} | {to} | {link} |\n")
}

/// Formats a version with its tag, unless they are the same text.
fn with_tag(version: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) if tag != version && !tag.is_empty() => {
            format!("{} ({})", escape(version, 120), escape(tag, 120))
        }
        _ => escape(version, 120),
    }
}

/// Escapes text in which backquotes mark code, outside of a table. Names come from remotes.
fn inline(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('<', "&lt;")
        .replace('*', "\\*")
        .replace('[', "\\[")
}

fn page_of(hosts: &Hosts, moved: &Moved) -> Option<String> {
    let (before, after) = (moved.before.as_deref()?, moved.to.tag.as_str());
    (!after.is_empty()).then(|| hosts.page(&moved.spec.repo, before, after))?
}

fn page_of_locked(hosts: &Hosts, before: &Locked, after: &Locked) -> Option<String> {
    match (&before.resolved, &after.resolved) {
        (LockedRef::Tag(from), LockedRef::Tag(to)) if from != to => hosts.page(&after.repo, from, to),
        _ => None,
    }
}

/// Formats the result for programs.
pub(super) fn json(job: &Job, upgraded: &Upgraded) -> Value {
    let hosts = hosts();
    let further = |further: &Option<(NewVersion, String)>| {
        further.as_ref().map(
            |(new, command)| json!({ "version": new.version.as_str(), "tag": new.tag, "command": command }),
        )
    };
    let moved = |moved: &Moved| {
        json!({
            "repo": moved.spec.repo.as_str(),
            "environment": moved.spec.environment.as_str(),
            "before": { "version": moved.spec.requested.as_str(), "tag": moved.before },
            "after": { "version": moved.to.version.as_str(), "tag": moved.to.tag },
            "compare": page_of(&hosts, moved),
            "further": further(&moved.further),
        })
    };
    let nested = |(before, after): &(Locked, Locked)| {
        json!({
            "repo": after.repo.as_str(),
            "environment": after.environment.as_str(),
            "before": before.resolved.name(before.commit),
            "after": after.resolved.name(after.commit),
            "compare": page_of_locked(&hosts, before, after),
        })
    };
    let stayed = |stayed: &Stayed| {
        json!({
            "repo": stayed.spec.repo.as_str(),
            "environment": stayed.spec.environment.as_str(),
            "requested": stayed.spec.requested.as_str(),
            "reason": stayed.why.as_str(),
            "further": further(&stayed.further),
        })
    };
    let file = |file: &FileDiff| json!({ "path": file.path, "runs": file.runs, "diff": file.text });
    json!({
        "environment": job.environment.as_str(),
        "file": &*job.file,
        "written": !upgraded.dry_run && !upgraded.moved.is_empty(),
        "lock": upgraded.lock,
        "sources": upgraded.moved.iter().map(moved).collect::<Vec<_>>(),
        "nested": upgraded.nested.iter().map(nested).collect::<Vec<_>>(),
        "left": upgraded.stayed.iter().map(stayed).collect::<Vec<_>>(),
        "files": upgraded.files.as_ref().map(|files| files.iter().map(file).collect::<Vec<_>>()),
    })
}
