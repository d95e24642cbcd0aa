//! Measurements without a server: start-up, completions, and the cost of composing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use compose_testkit::{Catalog, Context};

use crate::contender::deploying;
use crate::measure::{self, Sample, Series, Spread};
use crate::world;

/// The start-up time with nothing to compose, in three ways. All times are in milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct StartUp {
    pub(crate) rounds: usize,
    /// Starting the pipeline directly.
    pub(crate) bare: Spread,
    /// Starting the pipeline through this program, which it replaces.
    pub(crate) through: Spread,
    /// Starting the pipeline through this program, which stays as its parent.
    pub(crate) parent: Spread,
    /// What the program adds to the direct start, round by round.
    pub(crate) over_bare: Spread,
    /// What the parent adds to being replaced, round by round.
    pub(crate) over_exec: Spread,
}

/// Starts `true` directly, through the program, and with the program as its parent, in turn. Every
/// second round is in reverse order.
pub(crate) fn start_up(program: &Path, rounds: usize) -> StartUp {
    let context = |program: &Path| {
        let context = deploying(program);
        context.file("dev/bitops.config.yaml", "bitops:\n  deployments: {}\n");
        context
    };
    let mut contexts = [Path::new("true"), program, program].map(context);
    contexts[2].set("BITOPS_COMPOSE_SUPERVISE", "true");
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..rounds {
        let mut order = [0, 1, 2];
        if round % 2 == 1 {
            order.reverse();
        }
        for way in order {
            times[way].push(time(contexts[way].command(["deploy"])));
        }
    }
    let difference = |more: &[f64], less: &[f64]| {
        Spread::of(more.iter().zip(less).map(|(more, less)| more - less).collect())
    };
    let (over_bare, over_exec) = (difference(&times[1], &times[0]), difference(&times[2], &times[1]));
    let [bare, through, parent] = times.map(Spread::of);
    StartUp {
        rounds,
        bare,
        through,
        parent,
        over_bare,
        over_exec,
    }
}

fn time(mut command: Command) -> f64 {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status();
    let duration = started.elapsed();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{command:?} has failed"
    );
    duration.as_secs_f64() * 1e3
}

/// The time of a completion at a shell, in milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Completion {
    pub(crate) rounds: usize,
    /// The environments of the operations repo, all of which are candidates.
    pub(crate) environments: usize,
    pub(crate) time: Spread,
}

/// Completes an environment, as the scripts for shells ask for it.
pub(crate) fn completion(program: &Path, environments: usize, rounds: usize) -> Completion {
    let context = deploying(program);
    for environment in 0..environments {
        context.file(
            &format!("env-{environment:03}/bitops.config.yaml"),
            "default-environments:\n- {repo: 'https://git.example.com/org/kubernetes', environment: eks, version: 1.0.0}\n",
        );
    }
    let words = ["__complete", "zsh", "bitops-compose", "plan", "env-"];
    let offered = context.run(words).expect_code(0).stdout.lines().count();
    assert_eq!(offered, environments, "every environment is a candidate");
    let times = (0..rounds).map(|_| time(context.command(words))).collect();
    Completion {
        rounds,
        environments,
        time: Spread::of(times),
    }
}

/// The size of the composition.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Size {
    pub(crate) layers: usize,
    pub(crate) files_each: usize,
    /// The files in the user's own environment.
    pub(crate) local_files: usize,
}

/// The results of composing.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Composing {
    pub(crate) size: Size,
    pub(crate) series: Vec<Series>,
}

impl Composing {
    /// Returns the series of deploys over a large operations repo.
    pub(crate) fn large(&self) -> Option<&Series> {
        self.series.iter().find(|series| series.contender == LARGE)
    }
}

const LARGE: &str = "over a large operations repo";
const SMALL: &str = "over an empty operations repo";
const PLAIN: &str = "writing as many files, and nothing else";

/// Measures deploys of catalogs on disk that the cache already holds, over an operations repo of
/// `local_files` files and over an empty one. For comparison, it also measures writing the same
/// files without the program.
pub(crate) fn compose(program: &Path, size: Size, runs: usize) -> Composing {
    let root = world::scratch();
    let config = catalogs(root.path(), size);
    let contexts = [(LARGE, size.local_files), (SMALL, 0)].map(|(name, files)| {
        let context = deploying(program);
        context.file("dev/bitops.config.yaml", &config);
        for file in 0..files {
            let path = format!("dev/helm/own-{:03}/templates/{file:05}.yaml", file / 100);
            context.file(&path, format!("file: {file}\n"));
        }
        context.run(["deploy"]).expect_code(0);
        (name, context)
    });
    let mut series: Vec<Series> = contexts
        .iter()
        .map(|(name, context)| {
            reset(context);
            let peak = measure::peak_memory(&context.command(["deploy"]), context.root());
            Series {
                contender: name,
                samples: Vec::new(),
                peak_memory_kib: peak,
            }
        })
        .collect();
    let mut plain = Vec::new();
    for _ in 0..runs {
        for ((_, context), series) in contexts.iter().zip(&mut series) {
            reset(context);
            let run = context.run(["deploy"]).expect_code(0);
            series.samples.push(Sample::local(run.duration));
        }
        settle();
        plain.push(Sample::local(write_plainly(size)));
    }
    series.push(Series {
        contender: PLAIN,
        samples: plain,
        peak_memory_kib: None,
    });
    Composing { size, series }
}

/// Removes the previous run's composition, because a container starts without one.
fn reset(context: &Context) {
    let home = context.home();
    let entries = std::fs::read_dir(&home).unwrap_or_else(|error| panic!("{}: {error}", home.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", home.display()));
        let remove = match entry.file_name().to_str() {
            Some("mount") => continue,
            Some("active") => std::fs::remove_file,
            _ if entry.file_type().is_ok_and(|kind| kind.is_dir()) => std::fs::remove_dir_all,
            _ => std::fs::remove_file::<std::path::PathBuf>,
        };
        remove(entry.path()).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
    }
    std::os::unix::fs::symlink("mount", home.join("active"))
        .unwrap_or_else(|error| panic!("{}: {error}", home.display()));
    settle();
}

/// Waits until the kernel has freed the ten thousand files that were just removed. It does so a
/// little later on the same cores, and a container that starts has not removed any.
fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}

/// Builds one catalog per layer, and returns the config with their commits. No path is in two
/// layers; most files are templates, some are terraform files and some are values.
fn catalogs(root: &Path, size: Size) -> String {
    let mut config = String::from("default-environments:\n");
    for layer in 0..size.layers {
        let mut catalog = Catalog::new(&format!("layer-{layer:02}"));
        for file in 0..size.files_each {
            let (path, text) = file_of(layer, file);
            catalog.file(&path, text);
        }
        let repo = catalog.tag("1.0.0").build(root);
        let path = repo.path().display();
        let commit = repo.commit("1.0.0");
        config.push_str(&format!(
            "- {{repo: \"file://{path}\", environment: app, ref: {commit}}}\n"
        ));
    }
    config
}

fn file_of(layer: usize, file: usize) -> (String, String) {
    let lines: String = (0..20)
        .map(|line| format!("# line {line} of file {file} of layer {layer}\n"))
        .collect();
    match file % 10 {
        0 => (
            format!("app/helm/app-{layer:02}/values-files/{file:03}.yaml"),
            format!("{lines}key-{file}: {layer}\n"),
        ),
        1 | 2 => (
            format!("app/terraform/module-{layer:02}/{file:03}.tf"),
            format!("{lines}variable \"name_{layer}_{file}\" {{}}\n"),
        ),
        _ => (
            format!("app/helm/app-{layer:02}/templates/{file:03}.yaml"),
            format!("{lines}kind: File{file}\n"),
        ),
    }
}

/// Writes the same files in the same directories, one after the other: the lower bound.
fn write_plainly(size: Size) -> Duration {
    let root = world::scratch();
    let files: Vec<_> = (0..size.layers)
        .flat_map(|layer| (0..size.files_each).map(move |file| file_of(layer, file)))
        .collect();
    let started = Instant::now();
    let mut made = std::collections::HashSet::new();
    for (path, text) in &files {
        let path = root.path().join(path);
        let parent = path.parent().expect("it is below the root").to_owned();
        let written = if made.contains(&parent) {
            Ok(())
        } else {
            std::fs::create_dir_all(&parent)
        }
        .and_then(|()| std::fs::write(&path, text));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        made.insert(parent);
    }
    started.elapsed()
}
