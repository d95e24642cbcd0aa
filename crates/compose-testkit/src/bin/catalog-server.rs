//! Serves git repos over HTTP on this machine, for demonstrations and benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use compose_testkit::{GitServer, example};

/// Serve the git repos below a directory by smart HTTP, until interrupted.
///
/// Prints the server's address on standard output. A repo at DIR/organisation/repo.git has the URL
/// ADDRESS/organisation/repo.
#[derive(Debug, Parser)]
#[command(name = "catalog-server")]
struct Arguments {
    /// The directory to serve; by default that of --build-examples.
    #[arg(long, value_name = "DIR", required_unless_present = "build_examples")]
    root: Option<PathBuf>,

    /// The address to listen on; port 0 selects a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    addr: String,

    /// Delay each response and each new connection, like a distant server.
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,

    /// Build the example catalogs in this directory first.
    #[arg(long, value_name = "DIR")]
    build_examples: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the address is the program's result")]
fn main() {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.build_examples {
        example::six_sources(directory);
    }
    let root = arguments
        .root
        .or(arguments.build_examples)
        .expect("clap requires one of the two");
    let server = GitServer::listen(&root, &arguments.addr, None);
    server.set_latency(Duration::from_millis(arguments.latency_ms));
    println!("{}", server.address());
    loop {
        std::thread::park();
    }
}
