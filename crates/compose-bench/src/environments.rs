//! Measures commands about all environments of an operations repo at once, against one run for each.

use std::path::Path;
use std::time::{Duration, Instant};

use compose_testkit::Context;
use serde::Serialize;

use crate::contender::deploying;
use crate::measure::{Sample, Series};
use crate::world::{self, World};

/// The locks of all environments, written at once and one by one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Locking {
    pub(crate) environments: usize,
    pub(crate) repos: usize,
    pub(crate) series: Vec<Series>,
}

/// Locks every environment, with an empty cache at the beginning of each round: by `lock --all`, and by one `lock` after
/// the other. Each environment names `each` of the world's sources.
pub(crate) fn lock(program: &Path, world: &World, repos: usize, each: usize, rounds: usize) -> Locking {
    // The sources of an environment are of different repos, as people have them.
    let mut sources = world.sources.clone();
    sources.sort_by(|one, other| (&one.environment, &one.url).cmp(&(&other.environment, &other.url)));
    let environments: Vec<(String, String)> = sources
        .chunks(each)
        .zip(0..)
        .map(|(sources, number)| (format!("env-{number:03}"), world::config(sources)))
        .collect();
    let new = || -> Context {
        let context = deploying(program);
        for (name, config) in &environments {
            context.file(&format!("{name}/bitops.config.yaml"), config);
        }
        context
    };
    let count = environments.len();
    let mut all = Vec::new();
    let mut single = Vec::new();
    for _ in 0..rounds {
        let context = new();
        world.server.clear_requests();
        let run = context.run(["lock", "--all"]).expect_code(0);
        all.push(Sample::with_traffic(run.duration, &world.server));
        expect_locks(&context, &environments);

        let context = new();
        world.server.clear_requests();
        let started = Instant::now();
        for (name, _) in &environments {
            context.run(["lock", name]).expect_code(0);
        }
        let duration: Duration = started.elapsed();
        single.push(Sample::with_traffic(duration, &world.server));
        expect_locks(&context, &environments);
    }
    let series = [("`lock --all`", all), ("`lock ENVIRONMENT`, one by one", single)];
    Locking {
        environments: count,
        repos,
        series: series
            .map(|(contender, samples)| Series {
                contender,
                samples,
                peak_memory_kib: None,
            })
            .into(),
    }
}

/// Each environment has a lock now.
fn expect_locks(context: &Context, environments: &[(String, String)]) {
    for (name, _) in environments {
        let lock = context.ops_repo().join(name).join("bitops.lock.yaml");
        assert!(lock.is_file(), "there is no {}", lock.display());
    }
}
