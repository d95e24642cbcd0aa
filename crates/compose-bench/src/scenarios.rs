//! The scenarios, in order.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::contender::{Contender, Race};
use crate::environments::{self, Locking};
use crate::local::{self, Completion, Composing, Size, StartUp};
use crate::machine::Machine;
use crate::measure::Series;
use crate::world::World;

/// The most sources that are fetched one after the other.
const MOST_IN_A_LOOP: usize = 60;

/// The sizes and the numbers of runs.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    runs: usize,
    /// The number of runs of the loops over git with many sources.
    slow_runs: usize,
    latency: Duration,
    /// The other environments in each repo of the six-source example and of the many repos.
    environments: usize,
    /// The numbers of environments of the growing repo.
    sizes: Vec<usize>,
    /// The number of the many repos and the sources in each, and how many of the sources are
    /// fetched.
    many: (usize, usize),
    asked: Vec<usize>,
    /// The number of tags in each of the many repos, for the cost of resolving.
    tags: usize,
    start_ups: usize,
    completions: usize,
    compose: Size,
}

impl Scale {
    /// The sizes for the project's published figures.
    pub(crate) fn full(runs: usize) -> Self {
        Self {
            runs,
            slow_runs: 1,
            latency: Duration::from_millis(30),
            environments: 100,
            sizes: vec![100, 300, 1_000],
            many: (50, 4),
            asked: vec![20, 60, 200],
            tags: 1_000,
            start_ups: 400,
            completions: 400,
            compose: Size {
                layers: 50,
                files_each: 200,
                local_files: 50_000,
            },
        }
    }

    /// Everything once, with tiny sizes.
    pub(crate) fn quick() -> Self {
        Self {
            runs: 1,
            slow_runs: 1,
            latency: Duration::from_millis(1),
            environments: 2,
            sizes: vec![2, 4],
            many: (2, 2),
            asked: vec![2, 4],
            tags: 20,
            start_ups: 2,
            completions: 2,
            compose: Size {
                layers: 2,
                files_each: 10,
                local_files: 20,
            },
        }
    }
}

/// One race between contenders.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scenario {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) sources: usize,
    /// The environments in each repo.
    pub(crate) environments: usize,
    pub(crate) series: Vec<Series>,
}

impl Scenario {
    /// Returns the series of a contender, or `None` if it did not take part.
    pub(crate) fn series(&self, contender: Contender) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.contender == contender.name())
    }
}

/// All results.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) latency_millis: u128,
    pub(crate) six: Option<Scenario>,
    /// One environment of a growing repo.
    pub(crate) sizes: Vec<Scenario>,
    /// An increasing number of sources.
    pub(crate) many: Vec<Scenario>,
    /// Many sources with many tags.
    pub(crate) tags: Option<Scenario>,
    pub(crate) start_up: Option<StartUp>,
    pub(crate) completion: Option<Completion>,
    pub(crate) compose: Option<Composing>,
    pub(crate) locking: Option<Locking>,
}

/// Runs all scenarios whose key contains `only`.
pub(crate) fn run(program: &Path, scale: &Scale, only: &str) -> Results {
    let asked = |key: &str| key.contains(only);
    let mut results = Results {
        machine: Machine::describe(program),
        latency_millis: scale.latency.as_millis(),
        six: None,
        sizes: Vec::new(),
        many: Vec::new(),
        tags: None,
        start_up: None,
        completion: None,
        compose: None,
        locking: None,
    };
    if asked("local-completion") {
        progress("completions");
        results.completion = Some(local::completion(program, scale.environments, scale.completions));
    }
    if asked("local") {
        progress("start-up");
        results.start_up = Some(local::start_up(program, scale.start_ups));
        progress("composing from disk");
        results.compose = Some(local::compose(program, scale.compose, scale.runs));
    }
    if asked("six") {
        let world = World::six_sources(scale.environments, scale.latency);
        let title = format!(
            "Six sources of five repos with {} other environments each",
            scale.environments
        );
        results.six = Some(race(
            program,
            scale,
            &world,
            "six",
            title,
            world.sources.len(),
            scale.runs,
        ));
    }
    if asked("size") {
        for &environments in &scale.sizes {
            let world = World::one_of(environments, scale.latency);
            let key = format!("size-{environments}");
            let title = format!("One environment of a repo of {environments}");
            let mut scenario = race(program, scale, &world, &key, title, 1, scale.runs.min(3));
            scenario.environments = environments;
            results.sizes.push(scenario);
        }
    }
    if asked("many") {
        let (repos, each) = scale.many;
        let world = World::of_many_repos(repos, each, scale.environments, scale.latency);
        for &count in &scale.asked {
            let title = format!(
                "{count} sources, {each} of each repo with {} other environments",
                scale.environments
            );
            let key = format!("many-{count}");
            // A loop over the most sources would take minutes without showing anything new.
            let loop_runs = if count > MOST_IN_A_LOOP {
                0
            } else {
                scale.slow_runs
            };
            let scenario = race(program, scale, &world, &key, title, count, loop_runs);
            results.many.push(scenario);
        }
    }
    if asked("environments") {
        progress("locking all environments");
        let (repos, each) = scale.many;
        let world = World::of_many_repos(repos, each, scale.environments, scale.latency);
        results.locking = Some(environments::lock(program, &world, repos, 2, scale.runs.min(3)));
    }
    if asked("tags") {
        let (repos, each) = scale.many;
        let world = World::tags(repos, each, scale.tags, scale.latency);
        let count = world.sources.len();
        let title = format!("Resolving {count} sources with {} tags each", scale.tags);
        let mut scenario = race_of(
            &Contender::RESOLVING,
            program,
            scale,
            &world,
            "tags",
            title,
            count,
            0,
        );
        scenario.environments = each;
        results.tags = Some(scenario);
    }
    results
}

/// Runs [`race_of`] with the usual contenders.
fn race(
    program: &Path,
    scale: &Scale,
    world: &World,
    key: &str,
    title: String,
    sources: usize,
    loop_runs: usize,
) -> Scenario {
    race_of(
        &Contender::ALL,
        program,
        scale,
        world,
        key,
        title,
        sources,
        loop_runs,
    )
}

/// Runs all contenders in turn, round after round, so that a temporarily busy machine slows all of
/// them.
#[expect(
    clippy::too_many_arguments,
    reason = "a struct would be built only to be taken apart"
)]
fn race_of(
    contenders: &[Contender],
    program: &Path,
    scale: &Scale,
    world: &World,
    key: &str,
    title: String,
    sources: usize,
    loop_runs: usize,
) -> Scenario {
    progress(&format!("{title}: filling a cache"));
    let race = Race::new(program, &world.server, &world.sources[..sources]);
    let mut series: Vec<Series> = contenders
        .iter()
        .map(|contender| Series {
            contender: contender.name(),
            samples: Vec::new(),
            peak_memory_kib: race.peak_memory(*contender),
        })
        .collect();
    for round in 0..scale.runs {
        progress(&format!("{title}: round {} of {}", round + 1, scale.runs));
        for (contender, series) in contenders.iter().zip(&mut series) {
            if !contender.is_loop() || round < loop_runs {
                series.samples.push(race.run(*contender));
            }
        }
    }
    series.retain(|series| !series.samples.is_empty());
    Scenario {
        key: key.to_owned(),
        title,
        sources,
        environments: scale.environments,
        series,
    }
}

#[expect(clippy::print_stderr, reason = "the benchmark takes minutes")]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
