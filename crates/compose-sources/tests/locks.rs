//! What a lock answers, and how everything else is resolved.

use compose_model::{ExitCode, RepoUrl, TreeId};
use compose_plan::lock::Lock;
use compose_sources::{Pins, check_lock, refuse_moved};
use compose_testkit::{Catalog, Repo};

use crate::lab::{Lab, sources};

const ONE: &str = "c, environment: eks, version: 1.0.0";
const TWO: &str = "c, environment: eks, version: 2.0.0";

/// A catalog with two versions, and the lock of the first.
async fn locked() -> (Lab, Repo, Lock) {
    let lab = Lab::new();
    let mut catalog = Catalog::new("c");
    catalog
        .file("eks/main.tf", "# one")
        .tag("1.0.0")
        .file("eks/main.tf", "# two")
        .tag("2.0.0");
    let repo = lab.build(&mut catalog);
    let lock = lab.gather(&[ONE], &Pins::default()).await.unwrap().lock();
    assert!(lab.lock_file().write(&lock).unwrap());
    lab.server.clear_requests();
    (lab, repo, lock)
}

#[tokio::test]
async fn a_locked_source_costs_no_request() {
    let (lab, repo, lock) = locked().await;
    repo.set_ref("refs/tags/1.0.0", &repo.commit("2.0.0"));
    let pins = Pins::read(&lab.lock_file(), true).unwrap();
    let gathered = lab.gather(&[ONE], &pins).await.unwrap();
    assert_eq!(gathered.layers.sources[0].resolved.commit, lock.sources[0].commit);
    assert!(gathered.layers.sources[0].is_locked);
    assert_eq!(gathered.lock(), lock);
    assert_eq!(lab.requests("c"), 0);
}

#[tokio::test]
async fn a_request_that_the_lock_does_not_answer_is_resolved_with_a_warning() {
    let (lab, _, _) = locked().await;
    let pins = Pins::read(&lab.lock_file(), false).unwrap();
    let gathered = lab.gather(&[TWO], &pins).await.unwrap();
    assert_eq!(sources(&gathered), ["eks @ 2.0.0"]);
    assert!(!gathered.layers.sources[0].is_locked);
    let warnings: Vec<_> = gathered.warnings.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].ends_with(
            "is asked for as `2.0.0` and locked at `1.0.0`; it is resolved as if there were no lock"
        ),
        "{}",
        warnings[0]
    );
}

#[tokio::test]
async fn where_a_lock_is_required_it_must_answer_every_request() {
    let (lab, _, _) = locked().await;
    let file = lab.lock_file();
    let refused = lab.refused(&[TWO], &Pins::read(&file, true).unwrap()).await;
    let message = "`eks` of http://server/c is asked for as `2.0.0` and locked at `1.0.0`, and BITOPS_COMPOSE_LOCKED is set";
    assert_eq!(refused, [(ExitCode::Config, message.to_owned())]);
    assert_eq!(lab.requests("c"), 0);
    let failure = check_lock(&file, true, &lab.specs(&[TWO])).unwrap_err();
    assert_eq!(lab.code_and_message(&failure.diagnostics()[0]), refused[0]);
    assert!(check_lock(&file, true, &lab.specs(&[ONE])).unwrap().is_empty());

    std::fs::remove_file(file.path()).unwrap();
    let failure = Pins::read(&file, true).unwrap_err();
    assert_eq!(
        lab.code_and_message(&failure.diagnostics()[0]),
        (
            ExitCode::Config,
            "there is no dev/bitops.lock.yaml, and BITOPS_COMPOSE_LOCKED asks for one".to_owned()
        )
    );
    assert!(Pins::read(&file, false).is_ok());
}

#[tokio::test]
async fn a_moved_tag_is_refused_unless_it_is_accepted() {
    let (lab, repo, old) = locked().await;
    repo.set_ref("refs/tags/1.0.0", &repo.commit("2.0.0"));
    let gathered = lab.gather(&[ONE], &Pins::default()).await.unwrap();
    let new = gathered.lock();
    assert_ne!(new, old);
    let failure = refuse_moved(&old, &new, false).unwrap_err();
    let (code, message) = lab.code_and_message(&failure.diagnostics()[0]);
    assert_eq!(code, ExitCode::Config);
    assert!(
        message.starts_with("the tag `1.0.0` of http://server/c was moved"),
        "{message}"
    );
    assert!(refuse_moved(&old, &new, true).is_ok());
    assert!(refuse_moved(&old, &old, false).is_ok());
    // The cache remembers the tag at another commit, which is a warning even without a lock.
    assert_eq!(gathered.warnings.len(), 1);
    assert!(gathered.warnings[0].message.contains("was moved: it was at"));
}

#[tokio::test]
async fn a_tree_that_is_not_the_locked_commits_is_refused() {
    let (lab, _, mut lock) = locked().await;
    lock.sources[0].tree = TreeId("1".repeat(40).parse().unwrap());
    let refused = lab.refused(&[ONE], &Pins::to(lock)).await;
    assert_eq!(refused.len(), 1);
    let (code, message) = &refused[0];
    assert_eq!(*code, ExitCode::Config);
    assert!(
        message.starts_with("`eks` of http://server/c is not what was locked: in commit "),
        "{message}"
    );
}

#[tokio::test]
async fn the_refs_of_a_lock_are_looked_at_once() {
    let (lab, repo, mut lock) = locked().await;
    let mut gone = lock.sources[0].clone();
    gone.repo = RepoUrl::parse(&lab.server.url("gone")).unwrap();
    lock.sources.push(gone);
    let looked = lab.gatherer().refs(&lock).await.unwrap();
    let refs = &looked.refs[lock.sources[0].repo.key()];
    assert_eq!(
        refs.tag("2.0.0").unwrap().target.to_string(),
        repo.commit("2.0.0")
    );
    assert_eq!(lab.server.stats("c").ls_refs, 1);
    let codes: Vec<_> = looked.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [ExitCode::Unreachable]);
}

#[test]
fn an_unchanged_lock_is_not_written() {
    let lab = Lab::new();
    let file = lab.lock_file();
    assert!(file.read().unwrap().is_none());
    assert!(file.require().is_err());
    assert!(file.write(&Lock::default()).unwrap());
    assert!(!file.write(&Lock::default()).unwrap());
    assert_eq!(file.read().unwrap(), Some(Lock::default()));
    std::fs::write(file.path(), "format: [\n").unwrap();
    let failure = file.read().unwrap_err();
    assert_eq!(failure.code(), ExitCode::Config);
    assert_eq!(
        &*failure.diagnostics()[0].place.as_ref().unwrap().file,
        "dev/bitops.lock.yaml"
    );
}
