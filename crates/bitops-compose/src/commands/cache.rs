//! `cache`: the objects that were fetched, and their removal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compose_git::{Cache as Objects, CacheEntry, Prune, Pruned};
use compose_model::{Failure, text::counted};
use indicatif::{HumanBytes, HumanDuration};
use jiff::Timestamp;
use serde::Serialize;

use super::DONE;
use crate::{
    cli::{Cache, CacheAct, Format},
    report::Printer,
    settings,
};

/// The time without use after which a repo counts as forgotten.
const UNUSED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// One repo of the cache, for programs.
#[derive(Serialize)]
struct Entry {
    repo: String,
    path: String,
    bytes: u64,
    /// The time, as RFC 3339 in UTC.
    last_used: String,
}

impl From<&CacheEntry> for Entry {
    fn from(entry: &CacheEntry) -> Self {
        let seconds = entry
            .last_used
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let last_used = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        Self {
            repo: entry.repo.clone(),
            path: entry.path.display().to_string(),
            bytes: entry.bytes,
            last_used: last_used.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Cache) -> Result<u8, Failure> {
    let settings = settings::read()?;
    let cache = Objects::reached(settings::cache_dir(&settings));
    match &args.act {
        CacheAct::Dir(_) => {
            let dir = cache.dir().display().to_string();
            show(
                args.format,
                || format!("{dir}\n"),
                || serde_json::json!({ "dir": dir }),
            )?;
        }
        CacheAct::List(_) => {
            let entries = cache.list()?;
            let bytes = entries.iter().map(|entry| entry.bytes).sum();
            show(
                args.format,
                || table(&cache, &entries, bytes),
                || {
                    let repos: Vec<Entry> = entries.iter().map(Entry::from).collect();
                    serde_json::json!({ "dir": cache.dir().display().to_string(), "repos": repos, "bytes": bytes })
                },
            )?;
        }
        CacheAct::Prune {
            unused_for, max_size, ..
        } => {
            let unused_for = unused_for.or_else(|| max_size.is_none().then_some(UNUSED_FOR));
            let keep = Prune {
                unused_for,
                max_bytes: *max_size,
            };
            report_pruned(args.format, &cache.prune(&keep)?)?;
        }
        CacheAct::Clear(_) => report_pruned(args.format, &cache.clear()?)?,
    }
    Ok(DONE)
}

fn show(
    format: Format,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Value,
) -> Result<(), Failure> {
    let printer = Printer::plain();
    match format {
        Format::Text => printer.result(&text()),
        Format::Json => printer.json(&json()),
    }
}

fn report_pruned(format: Format, pruned: &Pruned) -> Result<(), Failure> {
    let text = || {
        let mut out = String::new();
        for entry in &pruned.removed {
            out.push_str(&format!("removed {} ({})\n", entry.repo, HumanBytes(entry.bytes)));
        }
        for entry in &pruned.in_use {
            out.push_str(&format!(
                "kept {} ({}): a run reads it at this moment\n",
                entry.repo,
                HumanBytes(entry.bytes)
            ));
        }
        let freed = pruned.removed.iter().map(|entry| entry.bytes).sum();
        out.push_str(&format!(
            "{} removed, {} freed, {} left\n",
            counted(pruned.removed.len(), "repo"),
            HumanBytes(freed),
            HumanBytes(pruned.remaining)
        ));
        out
    };
    show(format, text, || {
        let all = |entries: &[CacheEntry]| entries.iter().map(Entry::from).collect::<Vec<_>>();
        serde_json::json!({
            "removed": all(&pruned.removed),
            "in_use": all(&pruned.in_use),
            "remaining_bytes": pruned.remaining,
        })
    })
}

fn table(cache: &Objects, entries: &[CacheEntry], bytes: u64) -> String {
    let width = entries
        .iter()
        .map(|entry| entry.repo.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    let now = SystemTime::now();
    for entry in entries {
        let unused = now.duration_since(entry.last_used).unwrap_or_default();
        out.push_str(&format!(
            "{:width$}  {:>10}  {} ago\n",
            entry.repo,
            HumanBytes(entry.bytes).to_string(),
            HumanDuration(unused)
        ));
    }
    out.push_str(&format!(
        "{}, {} in {}\n",
        counted(entries.len(), "repo"),
        HumanBytes(bytes),
        cache.dir().display()
    ));
    out
}
