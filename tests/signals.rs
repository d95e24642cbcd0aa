//! SIGTERM and SIGINT end a run within a second, whatever it waits for.

use std::time::{Duration, Instant};

use crate::common::{catalog, world};
use compose_testkit::{
    Signal,
    server::{Fault, RequestKind, Rule},
};

#[test]
fn a_stalled_fetch_ends_at_once_and_leaves_nothing() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        for kind in [RequestKind::InfoRefs, RequestKind::LsRefs, RequestKind::Fetch] {
            let world = world(&mut [catalog("c", "eks", "x.txt", "x")]);
            world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
            world.server.inject("c", Rule::from(Fault::Stall).on(kind));
            let run = world.context.spawn(["deploy"]);
            world.server.wait_for(Duration::from_secs(20), |seen| {
                seen.iter().any(|request| request.kind == kind)
            });
            let sent = Instant::now();
            run.signal(signal);
            let run = run.wait(Duration::from_secs(10)).expect_code(code);
            compose_testkit::figures::record(
                21,
                format!(
                    "{} to exit while {kind:?} stalls",
                    if code == 143 { "SIGTERM" } else { "SIGINT" }
                ),
                format!("{} ms", sent.elapsed().as_millis()),
            );
            assert!(
                sent.elapsed() < Duration::from_secs(1),
                "{kind:?}: {:?}\n{run}",
                sent.elapsed()
            );
            assert!(world.context.pipeline().is_none());
            world.assert_nothing_left();
        }
    }
}
