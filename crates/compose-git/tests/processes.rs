//! Processes that share a cache: eight at once, and ones that are killed at every stage.
//!
//! Without the test harness, because this program is also the process that is started and killed.

mod support;

use std::{
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use compose_git::{Git, Options};
use support::{
    Lab, contents,
    server::{Action, Server},
    url, want,
};

const FILES: &str = "main.tf=one\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("fetch") => runtime.block_on(fetch(&arguments[2], &arguments[3], &arguments[4])),
        // Asked by tools that want to know which tests there are.
        Some("--list") => {}
        _ => {
            eight_at_once_fetch_once();
            whoever_is_killed_leaves_a_cache_that_works();
        }
    }
}

/// The process that is started: fetches, and says what it got.
async fn fetch(cache: &str, address: &str, commit: &str) {
    let mut options = Options::new(cache);
    options.environment = support::environment(std::path::Path::new("/nowhere"));
    let repo = Git::new(options).unwrap().repo(&url(address));
    repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
    let got = repo.fetch(&[want(commit, &["env"])]).await.unwrap();
    let mut out = std::io::stdout();
    std::io::Write::write_all(
        &mut out,
        format!("{}\n", contents(&got[0], "env").join("\n")).as_bytes(),
    )
    .unwrap();
}

struct Scene {
    lab: Lab,
    commit: String,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.git(&["config", "uploadpack.allowFilter", "true"]);
        catalog.write("env/main.tf", "one").write("other/x", "x");
        let commit = catalog.commit();
        catalog.git(&["tag", "1.0.0"]);
        Self { lab, commit }
    }

    fn spawn(&self, server: &Server) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .arg("fetch")
            .arg(self.lab.cache())
            .arg(server.url("repo"))
            .arg(&self.commit)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn check(output: &Output, when: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{when}: {said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), FILES, "{when}");
}

fn eight_at_once_fetch_once() {
    let scene = Scene::new();
    let server = Server::start(&scene.lab.dir.path().join("srv"));
    let children: Vec<Child> = (0..8).map(|_| scene.spawn(&server)).collect();
    for child in children {
        check(&child.wait_with_output().unwrap(), "one of eight");
    }
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    assert_eq!(
        asked.iter().filter(|body| body.contains("command=fetch")).count(),
        2,
        "one process fetched, for all"
    );
    assert_eq!(
        asked
            .iter()
            .filter(|body| body.contains("command=ls-refs"))
            .count(),
        8,
        "each looked at the refs"
    );
}

fn whoever_is_killed_leaves_a_cache_that_works() {
    for stage in 0..4 {
        for with_answer in [false, true] {
            let when = format!("killed at request {stage}, answer under way: {with_answer}");
            let scene = Scene::new();
            let victim = Arc::<Mutex<Option<Child>>>::default();
            let (count, to_kill) = (AtomicUsize::new(0), Arc::clone(&victim));
            let server = Server::with(&scene.lab.dir.path().join("srv"), move |_| {
                if count.fetch_add(1, Ordering::SeqCst) != stage {
                    return Action::Serve;
                }
                let to_kill = Arc::clone(&to_kill);
                let kill = move || {
                    // It was started before it could ask; whoever started it puts it here at once.
                    loop {
                        if let Some(child) = to_kill.lock().unwrap().as_mut() {
                            child.kill().unwrap();
                            child.wait().unwrap();
                            return;
                        }
                        std::thread::yield_now();
                    }
                };
                if with_answer {
                    // The whole answer but its last bytes is on its way when the process dies.
                    return Action::Split(Box::new(kill));
                }
                kill();
                Action::Hangup
            });
            *victim.lock().unwrap() = Some(scene.spawn(&server));
            let dead = || {
                victim
                    .lock()
                    .unwrap()
                    .as_mut()
                    .is_some_and(|child| child.try_wait().unwrap().is_some())
            };
            while !dead() {
                std::thread::yield_now();
            }
            let again = scene.spawn(&server).wait_with_output().unwrap();
            check(&again, &when);
            let before = server.count();
            check(&scene.spawn(&server).wait_with_output().unwrap(), &when);
            assert_eq!(
                server.count() - before,
                2,
                "{when}: warm, so only the refs were looked at"
            );
        }
    }
}
