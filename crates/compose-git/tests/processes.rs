//! Processes that share a cache: eight at once, and some that are killed at every stage.
//!
//! This test has no harness because the program is also the process that it starts and kills.

mod support;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
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
        Some("look and fetch") => runtime.block_on(fetch(&arguments[2], &arguments[3], &arguments[4], true)),
        Some("fetch") => runtime.block_on(fetch(&arguments[2], &arguments[3], &arguments[4], false)),
        // Test runners ask for the list of tests.
        Some("--list") => {}
        _ => {
            eight_concurrent_processes_fetch_once();
            a_killed_process_leaves_a_working_cache();
            file_permissions_follow_the_umask();
            a_cache_that_was_archived_and_restored_needs_no_request();
        }
    }
}

/// The started process: fetches and prints the files.
async fn fetch(cache: &str, address: &str, commit: &str, look: bool) {
    let mut options = Options::new(cache);
    options.environment = support::environment(&Path::new(cache).with_file_name("no-home"));
    let repo = Git::new(options).unwrap().repo(&url(address));
    if look {
        repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
    }
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
            .arg("look and fetch")
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
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{when}: {stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), FILES, "{when}");
}

fn eight_concurrent_processes_fetch_once() {
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

fn a_killed_process_leaves_a_working_cache() {
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
                    // The process may send its request before the test has stored it here.
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
                    // The process dies when all but the last bytes of the answer have been sent.
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

/// Returns all paths below a directory with their modes.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = Vec::new();
    for found in fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        all.push((path.clone(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            all.extend(modes(&path));
        }
    }
    all
}

fn file_permissions_follow_the_umask() {
    for (umask, readers) in [("022", 0o444), ("027", 0o440), ("077", 0o400)] {
        let scene = Scene::new();
        let server = Server::start(&scene.lab.dir.path().join("srv"));
        let output = Command::new("/bin/sh")
            .args(["-c", "umask \"$0\"; exec \"$@\"", umask])
            .arg(std::env::current_exe().unwrap())
            .arg("look and fetch")
            .arg(scene.lab.cache())
            .arg(server.url("repo"))
            .arg(&scene.commit)
            .output()
            .unwrap();
        check(&output, umask);
        let modes = modes(&scene.lab.cache());
        assert!(modes.len() > 10, "{modes:?}");
        for (path, mode) in modes {
            assert_eq!(
                mode & 0o444,
                readers,
                "umask {umask}: {} {mode:o}",
                path.display()
            );
        }
    }
}

/// As with `actions/cache`: one user archives the cache, another one restores it later.
fn a_cache_that_was_archived_and_restored_needs_no_request() {
    let scene = Scene::new();
    let server = Server::start(&scene.lab.dir.path().join("srv"));
    check(
        &scene.spawn(&server).wait_with_output().unwrap(),
        "filling the cache",
    );
    let root = scene.lab.dir.path();
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(root).status();
        assert!(status.unwrap().success(), "{program} {arguments:?}");
    };
    run("tar", &["-cf", "cache.tar", "cache"]);
    // Users other than root cannot give files away, but can lose the permission to write.
    let is_root = rustix::process::geteuid().is_root();
    let program = root.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    let before = server.count();
    for (what, writable, other_user) in [
        ("unpacked", true, false),
        ("read-only", false, false),
        ("another user's", true, is_root),
    ] {
        run("rm", &["-rf", "cache"]);
        run("tar", &["-xf", "cache.tar", "--touch"]);
        if !writable {
            run("chmod", &["-R", "a-w", "cache"]);
        }
        let mut command = Command::new(&program);
        if is_root && (other_user || !writable) {
            command.uid(65_534).gid(65_534);
        }
        let kept = modes(&scene.lab.cache());
        let output = command
            .arg("fetch")
            .arg(scene.lab.cache())
            .arg(server.url("repo"))
            .arg(&scene.commit)
            // Nothing has to be fetched, so no temporary directory is needed.
            .env("TMPDIR", root.join("absent"))
            .output()
            .unwrap();
        check(&output, what);
        assert_eq!(server.count(), before, "{what}: no request");
        assert_eq!(modes(&scene.lab.cache()), kept, "{what}: nothing was written");
        run("chmod", &["-R", "u+w", "cache"]);
    }
    // Once it is writable again, the cache takes new objects.
    let catalog = support::Catalog {
        dir: root.join("srv/repo"),
    };
    catalog.write("env/main.tf", "two");
    let output = Command::new(&program)
        .arg("fetch")
        .arg(scene.lab.cache())
        .arg(server.url("repo"))
        .arg(catalog.commit())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "main.tf=two\n");
    assert_eq!(server.count() - before, 3);
}
