//! Measures this program against the alternatives, alternating in one run, against one local
//! server.
//!
//! ```sh
//! scripts/bench --quick      # one tiny run, which shows that it works
//! scripts/bench              # all of it, written to docs/benchmark.md
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | catalogs behind a server, and the sources to fetch |
//! | [`contender`], [`bare`] | the contenders, and one run of each |
//! | [`measure`] | samples, medians, peak memory |
//! | [`local`] | measurements without a server: start-up, completions, and the cost of composing |
//! | [`environments`] | commands about all environments at once |
//! | [`scenarios`] | all measurements, in order |
//! | [`targets`] | the target figures, and whether they are reached |
//! | [`report`], [`chart`], [`machine`] | the tables, the chart, the machine |
//!
//! It reports times without asserting any. It ends by itself: all counts are bounded, and each run
//! has a time limit.

mod bare;
mod chart;
mod contender;
mod environments;
mod local;
mod machine;
mod measure;
mod report;
mod scenarios;
mod targets;
mod world;

use std::path::PathBuf;

use clap::Parser;

/// Run the benchmark and print its tables.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// The bitops-compose to measure.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,

    /// How often each contender runs; the slowest ones run less often in the largest scenarios.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=50))]
    runs: u16,

    /// Run everything once with tiny repos, only to show that the benchmark works.
    #[arg(long)]
    quick: bool,

    /// Only run the scenarios whose key contains this text (six, size, many, tags, environments, local, completion).
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Write benchmark.md, benchmark.svg and benchmark.json into this directory.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the report is the program's result")]
fn main() {
    let arguments = Arguments::parse();
    let scale = if arguments.quick {
        scenarios::Scale::quick()
    } else {
        scenarios::Scale::full(usize::from(arguments.runs))
    };
    let results = scenarios::run(&arguments.program, &scale, &arguments.only);
    let text = report::markdown(&results);
    println!("{text}");
    if let Some(directory) = &arguments.write {
        let write = |name: &str, content: String| {
            let path = directory.join(name);
            std::fs::write(&path, content)
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        };
        write("benchmark.md", text);
        write("benchmark.svg", chart::svg(&results));
        write("benchmark.json", report::json(&results));
    }
}
