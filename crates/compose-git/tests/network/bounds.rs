//! Answers that are endless, too slow or missing: bounds, the deadline and cancellation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use compose_git::{Error, Excess, Stall};
use compose_model::{Cause, ExitCode};

use super::{is_fetch, line, scene};
use crate::support::{
    Lab,
    server::{Action, Request},
};

#[tokio::test(flavor = "multi_thread")]
async fn endless_answers_are_cut_off() {
    let scene = scene();
    let server = scene.server(|request| {
        if request.method == "GET" || is_fetch(request) {
            return Action::Serve;
        }
        Action::Endless(line(&format!("{} refs/tags/x\n", "1".repeat(40))).repeat(1000))
    });
    let mut options = scene.lab.options();
    options.tuning.max_advertisement = 1 << 20;
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::TooMuch {
                what: Excess::Refs,
                ..
            }
        ),
        "{error:?}"
    );

    let server = scene.server(|request| {
        if !is_fetch(request) {
            return Action::Serve;
        }
        Action::Endless(
            [
                line("packfile\n"),
                line(&format!("\u{2}{}", "x".repeat(900))).repeat(100),
            ]
            .concat(),
        )
    });
    let mut options = scene.lab.options();
    options.tuning.max_pack = 1 << 20;
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(&error, Error::TooMuch { .. } | Error::Nonsense { .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stalls_end_at_their_bound_and_runs_at_the_deadline() {
    for stalling in 0..4 {
        let scene = scene();
        let hook = move || {
            let count = AtomicUsize::new(0);
            move |_: &Request| {
                if count.fetch_add(1, Ordering::SeqCst) == stalling {
                    Action::Stall
                } else {
                    Action::Serve
                }
            }
        };
        // The next try after a stall succeeds.
        let mut options = scene.lab.options();
        options.tuning.stall = Stall {
            window: Duration::from_millis(300),
            bytes: 100,
        };
        let server = scene.server(hook());
        assert_eq!(
            scene.run(&server, options).await.unwrap().len(),
            1,
            "request {stalling}"
        );

        let fresh = Lab::new();
        let mut options = fresh.options();
        options.timeout = Duration::from_millis(900);
        let server = scene.server(move |_| Action::Stall);
        let started = Instant::now();
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        assert_eq!(error.exit_code(), ExitCode::TimedOut);
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_does_not_wait_for_a_socket() {
    let scene = scene();
    for stalling in 0..4 {
        let lab = Lab::new();
        let options = lab.options();
        let (cancel, raised) = (options.cancel.clone(), Arc::new(std::sync::Mutex::new(None)));
        let count = AtomicUsize::new(0);
        let mark = Arc::clone(&raised);
        let server = scene.server(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) < stalling {
                return Action::Serve;
            }
            *mark.lock().unwrap() = Some(Instant::now());
            cancel.cancel();
            Action::Stall
        });
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error:?}");
        let since = raised.lock().unwrap().unwrap().elapsed();
        assert!(since < Duration::from_millis(500), "{since:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_below_the_minimum_rate_counts_as_stalled() {
    let scene = scene();
    let server = scene.server(|_| Action::Drip(Duration::from_millis(10)));
    let mut options = scene.lab.options();
    options.tuning.stall = Stall {
        window: Duration::from_millis(300),
        bytes: 1000,
    };
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(&error, Error::Network { why, .. } if why.contains("stalled")),
        "{error:?}"
    );
    assert_eq!(server.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn gits_low_speed_settings_are_honoured() {
    for by_variable in [true, false] {
        let scene = scene();
        let server = scene.server(|_| Action::Drip(Duration::from_millis(20)));
        // Without git's setting, the bound would be 20 s.
        let mut options = scene.lab.options();
        options.tuning.retry.attempts = 1;
        if by_variable {
            for (name, value) in [
                ("GIT_HTTP_LOW_SPEED_TIME", "1"),
                ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
            ] {
                options.environment.insert(name.into(), value.into());
            }
        } else {
            let text = "[http]\n lowSpeedTime = 1\n lowSpeedLimit = 1000\n";
            std::fs::write(scene.lab.home().join(".gitconfig"), text).unwrap();
        }
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(
            matches!(&error, Error::Network { why, .. } if why.contains("stalled") && why.contains(" in 1.")),
            "{error:?}"
        );
    }
}
