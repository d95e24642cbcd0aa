//! The report: tables in Markdown, and all results as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::contender::Contender;
use crate::environments::Locking;
use crate::local::Composing;
use crate::measure::{Series, Spread};
use crate::scenarios::{Results, Scenario};
use crate::targets::{self, Target};

/// Returns the report as a Markdown page.
pub(crate) fn markdown(results: &Results) -> String {
    let mut page = String::from("# Benchmark\n\n");
    intro(results, &mut page);
    let targets = targets::targets(results);
    if !targets.is_empty() {
        page.push_str("\n## Targets\n\n| | target | figure | |\n|---|---|---|---|\n");
        for target in targets {
            let reached = if target.reached {
                "reached"
            } else {
                "**not reached**"
            };
            let Target {
                what, wanted, figure, ..
            } = target;
            line(
                &mut page,
                format_args!("| {what} | {wanted} | {figure} | {reached} |"),
            );
        }
        floor(results, &mut page);
    }
    for scenario in results.six.iter().chain(&results.sizes).chain(&results.many) {
        table(scenario, &mut page);
    }
    if let Some(tags) = &results.tags {
        table(tags, &mut page);
        resolving(tags, &mut page);
    }
    locking(results, &mut page);
    local(results, &mut page);
    page
}

/// Returns all results as JSON.
pub(crate) fn json(results: &Results) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(flatten)]
        results: &'a Results,
        targets: Vec<Target>,
    }
    let document = Document {
        results,
        targets: targets::targets(results),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("plain data can be written");
    text.push('\n');
    text
}

fn intro(results: &Results, page: &mut String) {
    let machine = &results.machine;
    line(
        page,
        format_args!(
            "Made by `scripts/bench`. In each round, all contenders run in turn against one local smart-HTTP server (real `git\n\
             http-backend`, one process per request) that delays each request and each new connection by {} ms. Bandwidth is not limited, so sending fewer bytes\n\
             does not shorten these times. Times are medians (minimum to maximum); ratios are medians of the ratios within each\n\
             round.\n",
            results.latency_millis
        ),
    );
    line(
        page,
        format_args!(
            "{}, {} cores shared by client and server, {} GiB; {}; everything on {}; {}; {}. Load when it started: {}.",
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            machine.files,
            machine.git,
            machine.program,
            machine.load
        ),
    );
    page.push_str(CONTENDERS);
}

/// Reports the upper bound of the speed-up over the loop of clones.
fn floor(results: &Results, page: &mut String) {
    let series = |contender| results.six.as_ref()?.series(contender);
    if let (Some(bare), Some(clones)) = (series(Contender::ColdBare), series(Contender::CloneLoop)) {
        line(
            page,
            format_args!(
                "\nThe bare client sends the cold run's requests {:.1} times faster than the loop of clones, which is the maximum on this \
                 machine.",
                clones.times(bare).median
            ),
        );
    }
}

/// The explanation of the tables' rows.
const CONTENDERS: &str = "
A run of `bitops-compose` is a complete `deploy`, from the start of the process to the end of a pipeline that is `true`: cold with an empty
cache, or warm with a complete one; with `version`s or with the lock that `bitops-compose lock` created from them. The bare client
sends the requests of such a run again, over one connection per repo, for all repos at once, and ignores the answers. Its time beyond
the delays is the server's own, which shares the processors, so no client that sends these requests is faster. The clones end with the checkout.
The parallel ones, 16 at once, are `git clone --depth 1 -b TAG --filter=blob:none --sparse` and `git sparse-checkout set ENVIRONMENT`. vendir
is represented by its commands `git init`, `git remote add`, `git fetch origin TAG` and `git checkout`. Requests and bytes are counted by the
server. The loops run less often than the others, and not at all for the largest number of sources. Peak memory is the kernel's (`ru_maxrss`), from a separate run.
";

fn table(scenario: &Scenario, page: &mut String) {
    line(page, format_args!("\n## {}\n", scenario.title));
    page.push_str(
        "| | time in ms | against cold | requests | most of a repo | KB received | peak MiB |\n|---|---|---|---|---|---|---|\n",
    );
    let cold = scenario.series(Contender::Cold);
    for series in &scenario.series {
        let against = cold.map_or_else(String::new, |cold| format!("{:.2}", series.times(cold).median));
        line(
            page,
            format_args!(
                "| {} | {} | {against} | {} | {} | {:.1} | {} |",
                series.contender,
                spread(series.millis(), 0),
                series.requests(),
                series.requests_of_a_repo(),
                series.bytes() as f64 / 1e3,
                peak(series)
            ),
        );
    }
}

/// Reports the cost of resolving alone.
fn resolving(tags: &Scenario, page: &mut String) {
    let (Some(live), Some(locked)) = (
        tags.series(Contender::Offline),
        tags.series(Contender::OfflineLocked),
    ) else {
        return;
    };
    let pairs = live.samples.iter().zip(&locked.samples);
    let difference = Spread::of(pairs.map(|(live, locked)| live.millis - locked.millis).collect());
    line(
        page,
        format_args!(
            "\nOffline runs wait for no server: the additional time without a lock, {} ms, is spent on reading the refs from the cache\n\
             and resolving {} requests with them.",
            spread(difference, 1),
            tags.sources
        ),
    );
}

/// Reports what one run for all environments saves.
fn locking(results: &Results, page: &mut String) {
    let Some(Locking {
        environments,
        repos,
        series,
    }) = &results.locking
    else {
        return;
    };
    line(
        page,
        format_args!(
            "\n## Locking {environments} environments of {repos} repos\n\nEach environment names two sources. Both ways begin with an empty cache.\n"
        ),
    );
    page.push_str("| | time in ms | requests | KiB received |\n|---|---|---|---|\n");
    for series in series {
        let time = spread(series.millis(), 0);
        let (requests, received) = (series.requests(), series.bytes() / 1024);
        line(
            page,
            format_args!("| {} | {time} | {requests} | {received} |", series.contender),
        );
    }
}

fn local(results: &Results, page: &mut String) {
    if let Some(start_up) = &results.start_up {
        page.push_str("\n## Nothing to compose\n\n");
        line(
            page,
            format_args!(
                "The pipeline is `true`. It was started {} times in each of three ways, in turn: directly, by `bitops-compose deploy`, which it replaces,\n\
                 and by the same with `BITOPS_COMPOSE_SUPERVISE=true`, which stays as its parent as it does with a composition.\n",
                start_up.rounds
            ),
        );
        page.push_str("| | ms |\n|---|---|\n");
        for (what, figures) in [
            ("directly", start_up.bare),
            ("by bitops-compose", start_up.through),
            ("with bitops-compose as its parent", start_up.parent),
            (
                "bitops-compose over the direct start, round by round",
                start_up.over_bare,
            ),
            (
                "the parent over being replaced, round by round",
                start_up.over_exec,
            ),
        ] {
            line(page, format_args!("| {what} | {} |", spread(figures, 2)));
        }
    }
    if let Some(completion) = &results.completion {
        line(
            page,
            format_args!(
                "\n## Completions\n\nOne completion at a shell, from the start of the process to its end, {} times.\n\n| | ms |\n|---|---|\n\
                 | completion of an environment, {} environments | {} |",
                completion.rounds,
                completion.environments,
                spread(completion.time, 2)
            ),
        );
    }
    if let Some(Composing { size, series }) = &results.compose {
        line(
            page,
            format_args!(
                "\n## Composing\n\nA complete `deploy` of {} files from {} catalogs on disk, which are in the cache and each requested by its commit, from the start\n\
                 of the process to its end, over an operations repo of {} files and over an empty one. Before each run there is a pause of half a\n\
                 second, in which the kernel frees the removed files of the previous run.\n",
                size.layers * size.files_each,
                size.layers,
                size.local_files
            ),
        );
        page.push_str("| | time in ms | peak MiB |\n|---|---|---|\n");
        for series in series {
            let time = spread(series.millis(), 0);
            line(
                page,
                format_args!("| {} | {time} | {} |", series.contender, peak(series)),
            );
        }
    }
}

fn peak(series: &Series) -> String {
    series
        .peak_memory_kib
        .map_or_else(|| "-".to_owned(), |kib| format!("{:.1}", targets::mebibytes(kib)))
}

fn spread(figures: Spread, digits: usize) -> String {
    let Spread { median, min, max } = figures;
    format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to a string cannot fail");
}
