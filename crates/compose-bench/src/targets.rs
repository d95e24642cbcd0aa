//! The target figures, and whether they are reached.

use serde::Serialize;

use crate::contender::Contender;
use crate::local::Composing;
use crate::measure::Series;
use crate::scenarios::{Results, Scenario};

/// One target figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) wanted: &'static str,
    pub(crate) figure: String,
    pub(crate) reached: bool,
}

/// Returns the targets that the results cover.
pub(crate) fn targets(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    if let Some(six) = &results.six {
        of_six(six, &mut targets);
    }
    of_sizes(&results.sizes, &mut targets);
    of_many(&results.many, &mut targets);
    if let Some(start_up) = &results.start_up {
        targets.push(Target {
            what: "nothing to compose, over the bare pipeline",
            wanted: "under 3 ms",
            figure: format!("{:.2} ms", start_up.over_bare.median),
            reached: start_up.over_bare.median < 3.0,
        });
        targets.push(Target {
            what: "staying as the parent, over being replaced by the pipeline",
            wanted: "under 2 ms",
            figure: format!("{:.2} ms", start_up.over_exec.median),
            reached: start_up.over_exec.median < 2.0,
        });
    }
    if let Some(completion) = &results.completion {
        targets.push(Target {
            what: "completion of an environment, 100 environments",
            wanted: "under 20 ms",
            figure: format!("{:.2} ms", completion.time.median),
            reached: completion.time.median < 20.0,
        });
    }
    if let Some(large) = results.compose.as_ref().and_then(Composing::large) {
        targets.push(under_millis(
            "composing files from disk, warm (10,000 of 50 layers over 50,000)",
            "under 150 ms",
            large,
            150.0,
        ));
    }
    targets
}

fn of_six(six: &Scenario, targets: &mut Vec<Target>) {
    let judged = [
        Contender::Cold,
        Contender::ColdLocked,
        Contender::Warm,
        Contender::WarmLocked,
        Contender::CloneLoop,
        Contender::CloneParallel,
    ];
    let [
        Some(cold),
        Some(cold_locked),
        Some(warm),
        Some(warm_locked),
        Some(in_loop),
        Some(parallel),
    ] = judged.map(|contender| six.series(contender))
    else {
        return;
    };
    let mut faster = |what, wanted, other: &Series, ours: &Series, least: f64| {
        let times = other.times(ours).median;
        targets.push(Target {
            what,
            wanted,
            figure: format!("{times:.1} times"),
            reached: times >= least,
        });
    };
    faster(
        "cold, against the loop of clones",
        "8 times faster",
        in_loop,
        cold,
        8.0,
    );
    faster(
        "cold, against parallel blobless sparse clones",
        "2 times faster",
        parallel,
        cold,
        2.0,
    );
    faster("the same, locked", "2.5 times faster", parallel, cold_locked, 2.5);
    let mut round_trips = |what, wanted, series: &Series, most: u64| {
        let figure = series.requests_of_a_repo();
        targets.push(Target {
            what,
            wanted,
            figure: format!("{figure} in the repo with most"),
            reached: figure <= most,
        });
    };
    round_trips("cold, round trips per repo beyond TCP connect", "4", cold, 4);
    round_trips("the same, locked", "3", cold_locked, 3);
    round_trips("warm, not locked: requests per repo", "2", warm, 2);
    round_trips("warm, locked: requests", "0", warm_locked, 0);
    targets.push(under_millis("warm, locked", "under 20 ms", warm_locked, 20.0));
    let peak = [cold, cold_locked, warm, warm_locked]
        .into_iter()
        .filter_map(|series| series.peak_memory_kib)
        .max();
    if let Some(kib) = peak {
        targets.push(Target {
            what: "peak memory, the most of the four",
            wanted: "under 40 MiB",
            figure: format!("{:.1} MiB", mebibytes(kib)),
            reached: kib < 40 * 1024,
        });
    }
}

fn of_sizes(sizes: &[Scenario], targets: &mut Vec<Target>) {
    let (Some(smallest), Some(largest)) = (sizes.first(), sizes.last()) else {
        return;
    };
    if let (Some(cold), Some(clone)) = (
        largest.series(Contender::Cold),
        largest.series(Contender::CloneLoop),
    ) {
        let percent = ratio(cold.bytes(), clone.bytes()) * 100.0;
        targets.push(Target {
            what: "bytes received of the largest repo, against a depth-1 clone",
            wanted: "under 2 %",
            figure: format!("{percent:.2} %"),
            reached: percent < 2.0,
        });
    }
    if let (Some(small), Some(large)) = (smallest.series(Contender::Cold), largest.series(Contender::Cold)) {
        let times = large.millis().median / small.millis().median;
        targets.push(Target {
            what: "cold, the largest repo against the smallest",
            wanted: "flat (at most 1.5 times)",
            figure: format!("{times:.2} times"),
            reached: times <= 1.5,
        });
    }
}

fn of_many(many: &[Scenario], targets: &mut Vec<Target>) {
    let (Some(few), Some(most)) = (many.first(), many.last()) else {
        return;
    };
    if let (Some(one), Some(other)) = (few.series(Contender::Cold), most.series(Contender::Cold)) {
        let times = other.millis().median / one.millis().median;
        let sources = most.sources as f64 / few.sources as f64;
        targets.push(Target {
            what: "cold, most sources against fewest",
            wanted: "no worse than linear",
            figure: format!("{times:.1} times the time for {sources:.0} times the sources"),
            reached: times <= sources,
        });
    }
}

fn under_millis(what: &'static str, wanted: &'static str, series: &Series, most: f64) -> Target {
    let median = series.millis().median;
    Target {
        what,
        wanted,
        figure: format!("{median:.1} ms"),
        reached: median < most,
    }
}

/// Converts KiB to MiB.
pub(crate) fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Returns the ratio of two counts.
pub(crate) fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}
