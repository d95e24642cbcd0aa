//! Sources that must be signed, with signatures made by real `git` and `ssh-keygen`.

use std::{fs, path::PathBuf, process::Command};

use compose_model::ExitCode;
use compose_sources::Pins;
use compose_testkit::{Catalog, Repo, git};

use crate::lab::Lab;

const SIGNED: &str = "c, environment: eks, ref: refs/tags/signed, verify: {mode: commit, keys: trusted}";
const UNSIGNED: &str = "c, environment: eks, version: 1.0.0, verify: {mode: commit, keys: trusted}";

/// A catalog with an unsigned tag and with a tag of a commit that a trusted key signed. Its environment names a source.
struct Signed {
    lab: Lab,
    repo: Repo,
}

impl Signed {
    fn new() -> Self {
        let lab = Lab::new();
        let mut base = Catalog::new("base");
        lab.build(base.file("net/main.tf", "# net").tag("1.0.0"));
        let mut catalog = Catalog::new("c");
        catalog
            .file("eks/main.tf", "# eks")
            .file(
                "eks/bitops.config.yaml",
                lab.config(&["base, environment: net, version: 1.0.0"]),
            )
            .tag("1.0.0");
        let repo = lab.build(&mut catalog);
        let signed = Self { lab, repo };
        let key = signed.key();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success(), "ssh-keygen");
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        fs::write(signed.trusted(), format!("ada@example.org {public}")).unwrap();
        let signing = format!("user.signingkey={}", key.display());
        let tree = signed.repo.id("1.0.0^{tree}");
        let commit = ["commit-tree", "-S", &tree, "-m", "signed"];
        let args = ["-c", "gpg.format=ssh", "-c", &signing].into_iter().chain(commit);
        let commit = git::run(signed.repo.path(), args);
        signed.repo.set_ref("refs/tags/signed", &commit);
        signed
    }

    fn key(&self) -> PathBuf {
        self.lab.dir.path().join("key")
    }

    fn trusted(&self) -> PathBuf {
        self.lab.ops_repo().join("trusted")
    }
}

#[tokio::test]
async fn a_good_signature_is_accepted_and_locked() {
    let signed = Signed::new();
    let gathered = signed.lab.gather(&[SIGNED], &Pins::default()).await.unwrap();
    let lock = gathered.lock();
    let signers: Vec<_> = lock
        .sources
        .iter()
        .map(|source| source.signer.is_some())
        .collect();
    assert_eq!(signers, [false, true], "the nested source needs no signature");
    assert!(lock.sources[1].signer.as_ref().unwrap().starts_with("SHA256:"));
}

#[tokio::test]
async fn an_unsigned_source_is_refused_before_its_own_sources_are_looked_at() {
    let signed = Signed::new();
    let refused = signed.lab.refused(&[UNSIGNED], &Pins::default()).await;
    assert_eq!(refused.len(), 1);
    let (code, message) = &refused[0];
    assert_eq!(*code, ExitCode::Refused);
    assert!(
        message.starts_with("http://server/c @ 1.0.0 is not signed as it must be: "),
        "{message}"
    );
    assert_eq!(signed.lab.requests("base"), 0);
}

#[tokio::test]
async fn a_locked_commit_is_verified_again() {
    let signed = Signed::new();
    let gathered = signed.lab.gather(&[SIGNED], &Pins::default()).await.unwrap();
    let pins = Pins::to(gathered.lock());
    assert!(signed.lab.gather(&[SIGNED], &pins).await.is_ok());
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6aDd3hS9yq2cY5fFT0JQH4rYFnmnRGVtV1AGFTwhVx";
    fs::write(signed.trusted(), format!("eve@example.org {other}\n")).unwrap();
    let refused = signed.lab.refused(&[SIGNED], &pins).await;
    let codes: Vec<_> = refused.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [ExitCode::Refused]);
}

#[tokio::test]
async fn keys_for_all_hold_for_nested_sources() {
    let mut signed = Signed::new();
    signed.lab.keys_for_all = Some(signed.trusted());
    let source = "c, environment: eks, ref: refs/tags/signed";
    let refused = signed.lab.refused(&[source], &Pins::default()).await;
    // Neither its tag nor its commit is signed.
    let of_base = |(code, message): &(ExitCode, String)| {
        *code == ExitCode::Refused
            && message.starts_with("http://server/base @ 1.0.0 is not signed as it must be: ")
    };
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(of_base), "{refused:?}");
}

#[tokio::test]
async fn without_keys_no_repo_is_contacted() {
    let signed = Signed::new();
    let none = "c, environment: eks, version: 1.0.0, verify: {mode: tag}";
    let refused = signed.lab.refused(&[none], &Pins::default()).await;
    assert_eq!(
        refused,
        [(
            ExitCode::Config,
            "`eks` of http://server/c must be signed, and no keys are trusted".to_owned()
        )]
    );
    fs::remove_file(signed.trusted()).unwrap();
    let refused = signed.lab.refused(&[SIGNED], &Pins::default()).await;
    assert!(
        refused[0].1.starts_with("cannot read the trusted keys in "),
        "{}",
        refused[0].1
    );
    assert_eq!(signed.lab.requests("c"), 0);
}
