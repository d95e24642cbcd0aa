//! `cache`: the objects that were fetched, and how to be rid of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compose_git::{Cache as Objects, CacheEntry, Prune, Pruned};
use compose_model::{Failure, size};
use indicatif::{HumanBytes, HumanDuration};
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Serialize;

use crate::{
    DONE,
    cli::{Cache, CacheAct, Format},
    job,
};

/// What is not used for so long is taken for forgotten.
const UNUSED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// One repo of the cache, for programs.
#[derive(Serialize)]
struct Entry {
    repo: String,
    path: String,
    bytes: u64,
    /// RFC 3339, in UTC.
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

/// Does what the subcommand says.
pub(crate) fn run(args: &Cache) -> Result<u8, Failure> {
    let settings = crate::settings()?;
    let cache = Objects::at(job::cache_dir(&settings));
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
            told(args.format, &cache.prune(&keep)?)?;
        }
        CacheAct::Clear(_) => told(args.format, &cache.clear()?)?,
    }
    Ok(DONE)
}

fn show(
    format: Format,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Value,
) -> Result<(), Failure> {
    let printer = crate::plain_printer();
    match format {
        Format::Text => printer.result(&text()),
        Format::Json => printer.json(&json()),
    }
}

fn told(format: Format, pruned: &Pruned) -> Result<(), Failure> {
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
            repos(pruned.removed.len()),
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
        repos(entries.len()),
        HumanBytes(bytes),
        cache.dir().display()
    ));
    out
}

fn repos(count: usize) -> String {
    match count {
        1 => "1 repo".to_owned(),
        count => format!("{count} repos"),
    }
}

/// A time of the command line: `12h`, `30d`, `8w`. A day has 24 hours.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "a time is a number with a unit: 12h, 30d, 8w".to_owned())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| "weeks, days, hours, minutes and seconds are understood".to_owned())
}

/// A size of the command line in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    size::parse(text).ok_or_else(|| format!("a size is {}", size::EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(time("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert_eq!(time("8w"), Ok(Duration::from_secs(56 * 86400)));
        for wrong in ["", "soon", "30", "1 month", "-1d"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert!(size("1.5GB").is_err());
    }
}
