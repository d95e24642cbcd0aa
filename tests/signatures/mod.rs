//! Sources that must be signed, with signatures made by real `git`, `ssh-keygen` and `gpg`.

#[cfg(feature = "openpgp")]
mod openpgp;

use std::{fs, path::PathBuf, process::Command};

use crate::common::{World, world};
use compose_testkit::{Catalog, git};

/// A catalog whose commits and tags are made by git itself, in a work tree beside the bare repo.
struct Signed {
    world: World,
    work: tempfile::TempDir,
}

const SOURCE: &str = "repo: '{repo}/c', environment: eks";

impl Signed {
    fn new() -> Self {
        let mut catalog = Catalog::new("c");
        catalog.file("eks/a.txt", "unsigned").annotated_tag("1.0.0");
        let world = world(&mut [catalog]);
        let signed = Self {
            world,
            work: tempfile::tempdir().unwrap(),
        };
        for name in ["good", "other"] {
            let key = signed.key(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(&key)
                .status();
            assert!(made.unwrap().success(), "ssh-keygen");
        }
        let line = fs::read_to_string(signed.key("good.pub")).unwrap();
        signed
            .world
            .context
            .file("keys/trusted", format!("ada@example.org {line}"));
        signed
    }

    fn key(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn trusted(&self) -> PathBuf {
        self.world.context.ops_repo().join("keys/trusted")
    }

    fn git(&self, key: &str, args: &[&str]) -> String {
        let key = format!("user.signingkey={}", self.key(key).display());
        let base = ["-c", "gpg.format=ssh", "-c", &key, "-c", "tag.gpgSign=false"];
        git::run(
            self.world.repo("c").path(),
            base.into_iter().chain(args.iter().copied()),
        )
    }

    /// A tree whose one environment holds this text.
    fn tree(&self, text: &str) -> String {
        let c = self.world.repo("c");
        let blob = c.write_blob(text);
        c.git(["read-tree", "1.0.0"]);
        c.git(["update-index", "--cacheinfo", &format!("100644,{blob},eks/a.txt")]);
        c.git(["write-tree"])
    }

    /// Creates a commit, signed by a key or unsigned.
    fn commit(&self, text: &str, key: Option<&str>) -> String {
        let tree = self.tree(text);
        match key {
            Some(key) => self.git(key, &["commit-tree", "-S", &tree, "-m", text]),
            None => self.world.repo("c").git(["commit-tree", &tree, "-m", text]),
        }
    }

    /// Creates the same object with another message, so that its signature is wrong.
    fn altered(&self, kind: &str, id: &str) -> String {
        let c = self.world.repo("c");
        let raw = c.git(["cat-file", kind, id]);
        assert!(raw.contains("\n\naltered"), "{raw}");
        c.write(
            kind,
            format!("{}\n", raw.replace("\n\naltered", "\n\nAltered")).as_bytes(),
        )
    }

    fn tag(&self, name: &str, commit: &str, key: Option<&str>) {
        match key {
            Some(key) => self.git(key, &["tag", "-s", "-m", name, name, commit]),
            None => self.git("good", &["tag", "-a", "-m", name, name, commit]),
        };
    }

    /// Deploys one source.
    #[track_caller]
    fn deploy(&self, rest: &str, code: i32) -> String {
        self.world.sources(&[&format!("{{{SOURCE}, {rest}}}")]);
        let run = self.world.context.run(["deploy"]).expect_code(code);
        if code != 0 {
            assert!(self.world.context.pipeline().is_none(), "{run}");
        }
        run.stderr
    }

    fn fingerprint(&self, key: &str) -> String {
        let out = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.key(key))
            .output()
            .unwrap();
        let line = String::from_utf8(out.stdout).unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    }
}

#[test]
fn commits_must_be_signed_by_a_trusted_key() {
    let signed = Signed::new();
    for (tag, key) in [("2.0.0", Some("other")), ("2.1.0", None), ("2.2.0", Some("good"))] {
        let commit = signed.commit(tag, key);
        signed.tag(tag, &commit, None);
    }
    let verify = "verify: {mode: commit, keys: keys/trusted}";
    let stderr = signed.deploy(&format!("version: 2.0.0, {verify}"), 77);
    assert!(
        stderr.contains(&signed.fingerprint("other")) && stderr.contains("not among the trusted keys"),
        "{stderr}"
    );
    let stderr = signed.deploy(&format!("version: 2.1.0, {verify}"), 77);
    assert!(stderr.contains("the commit is not signed"), "{stderr}");
    let stderr = signed.deploy(&format!("version: 2.2.0, {verify}"), 0);
    assert!(
        stderr.contains(&signed.fingerprint("good")),
        "the fingerprint is logged\n{stderr}"
    );
    // A branch also leads to a commit.
    let commit = signed.commit("branch", Some("good"));
    signed.world.repo("c").set_ref("refs/heads/next", &commit);
    signed.deploy(&format!("ref: next, {verify}"), 0);
}

#[test]
fn tags_must_be_signed_under_their_own_name() {
    let signed = Signed::new();
    let commit = signed.commit("two", None);
    signed.tag("2.0.0", &commit, Some("good"));
    signed.tag("2.1.0", &commit, Some("other"));
    signed.tag("2.2.0", &commit, None);
    let c = signed.world.repo("c");
    c.git(["tag", "2.3.0", &commit]);
    c.set_ref("refs/tags/9.0.0", &c.id("2.0.0"));
    let verify = "verify: {mode: tag, keys: keys/trusted}";
    for (version, wanted) in [
        ("2.1.0", "not among the trusted keys"),
        ("2.2.0", "the tag is not signed"),
        ("2.3.0", "the tag is not signed"),
        (
            "9.0.0",
            "the tag `9.0.0` is the signed tag `2.0.0` under another name",
        ),
    ] {
        let stderr = signed.deploy(&format!("version: {version}, {verify}"), 77);
        assert!(stderr.contains(wanted), "{version}: {stderr}");
    }
    signed.deploy(&format!("ref: {commit}, {verify}"), 77);
    // The id of a tag object stands for that very tag, whatever refs name it.
    let id = |tag: &str| c.id(&format!("refs/tags/{tag}"));
    signed.deploy(
        &format!("ref: {}, {verify}", id("2.0.0")).replace("tag", "both"),
        77,
    );
    for (tag, wanted) in [
        ("2.1.0", "not among the trusted keys"),
        ("2.2.0", "the tag is not signed"),
    ] {
        let told = signed.deploy(&format!("ref: {}, {verify}", id(tag)), 77);
        assert!(told.contains(wanted), "{tag}: {told}");
    }
    signed.deploy(&format!("ref: {}, {verify}", id("2.0.0")), 0);
    signed.deploy(&format!("version: 2.0.0, {verify}"), 0);
    let stderr = {
        fs::remove_file(signed.world.context.root().join("pipeline.json")).unwrap();
        signed.deploy("version: 2.0.0, verify: {mode: both, keys: keys/trusted}", 77)
    };
    assert!(stderr.contains("the commit is not signed"), "{stderr}");
}

#[test]
fn one_variable_asks_for_signatures_of_all_sources_nested_ones_too() {
    let mut signed = Signed::new();
    let commit = signed.commit("two", Some("good"));
    signed.world.repo("c").git(["tag", "2.0.0", &commit]);
    let plain = signed.commit("three", None);
    signed.tag("3.0.0", &plain, Some("good"));
    let trusted = signed.trusted();
    signed.world.context.set("BITOPS_COMPOSE_VERIFY_KEYS", trusted);
    let stderr = signed.deploy("version: 1.0.0", 77);
    assert!(
        stderr.contains("the commit is not signed") && stderr.contains("the tag is not signed"),
        "{stderr}"
    );
    // The log and the plan say which key signed what.
    for (version, what) in [("2.0.0", "commit"), ("3.0.0", "tag")] {
        let stderr = signed.deploy(&format!("version: {version}"), 0);
        assert!(
            stderr.contains("signer=\"SHA256:") && stderr.contains(&format!("signed=\"{what}\"")),
            "{stderr}"
        );
        let plan = signed.world.context.run(["plan"]).expect_code(0);
        let said = format!("{what} signed by SHA256:");
        assert!(plan.stdout.contains(&said), "{plan}");
    }

    // A signed source that names an unsigned one.
    fs::remove_file(signed.world.context.root().join("pipeline.json")).unwrap();
    let mut inner = Catalog::new("inner");
    inner.file("net/x.txt", "x").tag("1.0.0");
    signed.world.publish(inner);
    let config = signed
        .world
        .config(&["{repo: '{repo}/inner', environment: net, version: 1.0.0}"]);
    let c = signed.world.repo("c");
    let blob = c.write_blob(config);
    c.git(["read-tree", "1.0.0"]);
    c.git([
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{blob},eks/bitops.config.yaml"),
    ]);
    let tree = c.git(["write-tree"]);
    let commit = signed.git("good", &["commit-tree", "-S", &tree, "-m", "nested"]);
    c.set_ref("refs/tags/4.0.0", &commit);
    let stderr = signed.deploy("version: 4.0.0", 77);
    assert!(
        stderr.contains("/inner @ 1.0.0 is not signed as it must be"),
        "{stderr}"
    );
}

#[test]
fn the_signer_is_locked_and_a_locked_deployment_verifies_again() {
    let signed = Signed::new();
    let commit = signed.commit("two", None);
    signed.tag("2.0.0", &commit, Some("good"));
    let source = format!("{{{SOURCE}, version: ^2.0, verify: {{mode: tag, keys: keys/trusted}}}}");
    signed.world.sources(&[&source]);
    signed.world.context.run(["lock"]).expect_code(0);
    let text = fs::read_to_string(signed.world.context.ops_repo().join("dev/bitops.lock.yaml")).unwrap();
    assert!(
        text.contains(&format!("signer: \"{}\"", signed.fingerprint("good"))),
        "{text}"
    );
    let tag = signed.world.repo("c").id("refs/tags/2.0.0");
    assert!(text.contains(&format!("tag-object: \"{tag}\"")), "{text}");

    fs::remove_dir_all(signed.world.context.cache()).unwrap();
    signed.world.server.clear_requests();
    signed.world.context.run(["deploy"]).expect_code(0);
    assert_eq!(signed.world.server.stats("c").ls_refs, 0);
    let line = fs::read_to_string(signed.key("good.pub")).unwrap();
    let trusted = fs::read_to_string(signed.trusted()).unwrap();
    signed
        .world
        .context
        .file("keys/trusted", format!("{trusted}@revoked {line}"));
    let run = signed.world.context.run(["deploy"]).expect_code(77);
    assert!(run.stderr.contains("which is revoked"), "{run}");
}

#[test]
fn a_lock_that_names_another_signer_is_an_error_with_a_remedy() {
    let signed = Signed::new();
    let commit = signed.commit("two", None);
    signed.tag("2.0.0", &commit, Some("good"));
    let source = |rest: &str| {
        signed
            .world
            .sources(&[&format!("{{{SOURCE}, version: ^2.0{rest}}}")]);
    };
    source(", verify: {mode: tag, keys: keys/trusted}");
    let context = &signed.world.context;
    context.run(["lock"]).expect_code(0);
    let lock = context.ops_repo().join("dev/bitops.lock.yaml");
    let text = fs::read_to_string(&lock).unwrap();
    let (good, other) = (signed.fingerprint("good"), signed.fingerprint("other"));
    fs::write(&lock, text.replace(&good, &other)).unwrap();
    for command in ["plan", "deploy"] {
        let run = context.run([command]).expect_code(65);
        let wanted = format!("is signed by {good}, and the lock says {other}");
        assert!(run.stderr.contains(&wanted), "{run}");
        assert!(run.stderr.contains("run `bitops-compose lock dev`"), "{run}");
    }
    assert!(context.pipeline().is_none());
    context.run(["lock"]).expect_code(0);
    assert_eq!(fs::read_to_string(&lock).unwrap(), text, "the remedy works");
    // A source that was locked before it had to be signed has no signer to compare.
    source("");
    context.run(["lock"]).expect_code(0);
    source(", verify: {mode: tag, keys: keys/trusted}");
    context.run(["deploy"]).expect_code(0);
}

#[test]
fn keys_must_be_there_and_be_keys() {
    let mut signed = Signed::new();
    let stderr = signed.deploy("version: 1.0.0, verify: {mode: commit}", 65);
    assert!(
        stderr.contains("no keys are trusted") && stderr.contains("BITOPS_COMPOSE_VERIFY_KEYS"),
        "{stderr}"
    );
    let stderr = signed.deploy("version: 1.0.0, verify: {mode: commit, keys: keys/none}", 65);
    assert!(stderr.contains("cannot read the trusted keys"), "{stderr}");
    signed
        .world
        .context
        .file("keys/broken", "ada@example.org ssh-ed25519 nonsense\n");
    let broken = signed.world.context.ops_repo().join("keys/broken");
    signed.world.context.set("BITOPS_COMPOSE_VERIFY_KEYS", broken);
    let stderr = signed.deploy("version: 1.0.0", 65);
    assert!(stderr.contains("keys/broken:1:"), "{stderr}");
    // No request was necessary, because nothing is fetched that could not be verified.
    assert_eq!(signed.world.server.requests().len(), 0);
}

#[test]
fn altered_and_expired_signatures_are_refused() {
    let signed = Signed::new();
    let commit = signed.commit("altered", Some("good"));
    signed.tag("2.0.0", &signed.altered("commit", &commit), None);
    signed.tag("2.1.0", &commit, None);
    signed.git("good", &["tag", "-s", "-m", "altered", "2.2.0", &commit]);
    let c = signed.world.repo("c");
    let tag = signed.altered("tag", &c.id("refs/tags/2.2.0"));
    c.set_ref("refs/tags/2.2.0", &tag);
    let refused = "is not what SHA256:";
    for (rest, wanted) in [
        (
            "version: 2.0.0, verify: {mode: commit, keys: keys/trusted}",
            refused,
        ),
        ("version: 2.2.0, verify: {mode: tag, keys: keys/trusted}", refused),
        (
            "version: 2.1.0, verify: {mode: commit, keys: keys/ended}",
            "whose validity ended at 2020-01-01",
        ),
    ] {
        let line = fs::read_to_string(signed.key("good.pub")).unwrap();
        let ended = format!("ada@example.org valid-before=\"20200101\" {line}");
        signed.world.context.file("keys/ended", ended);
        let stderr = signed.deploy(rest, 77);
        assert!(stderr.contains(wanted), "{rest}: {stderr}");
    }
    signed.deploy("version: 2.1.0, verify: {mode: commit, keys: keys/trusted}", 0);
}
