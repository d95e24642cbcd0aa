//! Sources with OpenPGP signatures by real `gpg`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use compose_testkit::git;

use super::Signed;

/// The time of all signatures: after some keys have expired, and before the revocations.
const NOW: &str = "20240601T120000!";

/// A catalog and a GnuPG home of its own. Dropping it ends the agent.
struct Pgp {
    signed: Signed,
    home: tempfile::TempDir,
}

impl Drop for Pgp {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        let _ = end
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .output();
    }
}

impl Pgp {
    fn new() -> Self {
        // The agent's socket lies there, and a socket's path is short.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            signed: Signed::new(),
            home,
        }
    }

    /// Runs gpg with a faked time.
    fn gpg(&self, time: &str, args: &[&str], input: &str) -> String {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(self.home.path());
        gpg.args([
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        gpg.args(["--faked-system-time", time]).args(args);
        gpg.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = gpg.spawn().expect("gpg is there: the package is called gnupg");
        // A program may end without reading its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        assert!(
            done.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    }

    /// Creates a key in 2020 and returns its fingerprint.
    fn key(&self, name: &str, algorithm: &str, ends: &str) -> String {
        let made = "20200101T000000!";
        self.gpg(
            made,
            &["--batch", "--quick-generate-key", name, algorithm, "sign", ends],
            "",
        );
        let listed = self.gpg(NOW, &["--batch", "--with-colons", "--list-keys", name], "");
        let found = listed
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .unwrap();
        found.trim_end_matches(':').to_owned()
    }

    /// Returns the current public key.
    fn export(&self, fingerprint: &str) -> String {
        self.gpg(NOW, &["--batch", "--armor", "--export", fingerprint], "")
    }

    /// Trusts the keys of `keys/trusted`.
    fn trust(&self, text: &str) {
        self.signed.world.context.file("keys/trusted", text);
    }

    fn git(&self, fingerprint: &str, args: &[&str]) -> String {
        let program = self.program();
        let (program, key) = (
            format!("gpg.program={}", program.display()),
            format!("user.signingkey={fingerprint}"),
        );
        let base = ["-c", &program, "-c", &key];
        git::run(
            self.signed.world.repo("c").path(),
            base.into_iter().chain(args.iter().copied()),
        )
    }

    /// gpg as git calls it, at the time of signing, also with keys that have ended by then.
    fn program(&self) -> PathBuf {
        let path = self.home.path().join("program");
        let home = self.home.path().display();
        let script = format!(
            "#!/bin/sh\nexec gpg --homedir {home} --batch --no-tty --faked-system-time {NOW} \"$@\"\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Creates a commit with this message, signed by a key or unsigned.
    fn commit(&self, message: &str, fingerprint: Option<&str>) -> String {
        let tree = self.signed.tree(message);
        match fingerprint {
            Some(key) => self.git(key, &["commit-tree", "-S", &tree, "-m", message]),
            None => self.signed.commit(message, None),
        }
    }

    /// Creates an annotated tag of a commit, signed by a key or unsigned.
    fn tag(&self, name: &str, commit: &str, fingerprint: Option<&str>) -> String {
        match fingerprint {
            Some(key) => self.git(key, &["tag", "-s", "-m", "altered", name, commit]),
            None => self.git("", &["tag", "-a", "-m", "altered", name, commit]),
        };
        self.signed.world.repo("c").id(&format!("refs/tags/{name}"))
    }

    /// Creates a commit and its tag, both signed by a key.
    fn release(&self, name: &str, fingerprint: &str) {
        let commit = self.commit("altered", Some(fingerprint));
        self.tag(name, &commit, Some(fingerprint));
    }

    /// A release whose commit is refused for this reason, and so is its tag.
    #[track_caller]
    fn refused(&self, version: &str, wanted: &str) {
        for mode in ["commit", "tag"] {
            let source = format!("version: {version}, verify: {{mode: {mode}, keys: keys/trusted}}");
            let stderr = self.signed.deploy(&source, 77);
            assert!(
                stderr.contains(wanted) && stderr.contains(&format!("the {mode} ")),
                "{source}: {stderr}"
            );
        }
    }

    #[track_caller]
    fn deployed(&self, version: &str, fingerprint: &str) {
        let source = format!("version: {version}, verify: {{mode: both, keys: keys/trusted}}");
        let stderr = self.signed.deploy(&source, 0);
        assert!(
            stderr.contains(fingerprint),
            "the fingerprint is logged\n{stderr}"
        );
        fs::remove_file(self.signed.world.context.root().join("pipeline.json")).unwrap();
    }
}

#[test]
fn releases_must_be_signed_by_one_of_the_keys_of_the_file() {
    let pgp = Pgp::new();
    let ada = pgp.key("Ada <ada@example.org>", "ed25519", "never");
    let bob = pgp.key("Bob <bob@example.org>", "rsa3072", "never");
    let eve = pgp.key("Eve <eve@example.org>", "ed25519", "never");
    // One file has several blocks, several keys in a block, and an ssh key.
    let ssh = fs::read_to_string(pgp.signed.trusted()).unwrap();
    let block = pgp.gpg(NOW, &["--batch", "--armor", "--export", &ada, &bob], "");
    pgp.trust(&format!("# the team\n{}{ssh}\n{block}", pgp.export(&ada)));

    pgp.release("2.0.0", &ada);
    pgp.deployed("2.0.0", &ada);
    pgp.release("2.1.0", &bob);
    pgp.deployed("2.1.0", &bob);
    let commit = pgp.signed.commit("ssh", Some("good"));
    pgp.signed.tag("2.2.0", &commit, Some("good"));
    pgp.deployed("2.2.0", "SHA256:");

    let plain = pgp.commit("plain", None);
    pgp.tag("3.0.0", &plain, None);
    pgp.refused("3.0.0", "is not signed");
    pgp.release("3.1.0", &eve);
    pgp.refused(
        "3.1.0",
        &format!("is signed by {eve}, which is not among the trusted keys"),
    );

    let good = pgp.commit("altered", Some(&ada));
    let altered = pgp.signed.altered("commit", &good);
    let c = pgp.signed.world.repo("c");
    let tag = pgp.tag("3.2.0", &altered, Some(&ada));
    c.set_ref("refs/tags/3.2.0", &pgp.signed.altered("tag", &tag));
    pgp.refused("3.2.0", &format!("is not what {ada} signed"));

    c.set_ref("refs/tags/9.0.0", &c.id("refs/tags/2.0.0"));
    let source = "version: 9.0.0, verify: {mode: tag, keys: keys/trusted}";
    let stderr = pgp.signed.deploy(source, 77);
    assert!(
        stderr.contains("the tag `9.0.0` is the signed tag `2.0.0` under another name"),
        "{stderr}"
    );
}

#[test]
fn keys_that_ended_or_were_revoked_sign_nothing() {
    let pgp = Pgp::new();
    let ended = pgp.key("Old", "ed25519", "never");
    let revoked = pgp.key("Gone", "ed25519", "never");
    pgp.release("2.0.0", &ended);
    pgp.release("2.1.0", &revoked);
    pgp.trust(&format!("{}{}", pgp.export(&ended), pgp.export(&revoked)));
    pgp.deployed("2.0.0", &ended);
    pgp.deployed("2.1.0", &revoked);

    // gpg signs with no such key, so that they are as they are only since then.
    pgp.gpg(
        "20200102T000000!",
        &["--batch", "--quick-set-expire", &ended, "20210101T000000"],
        "",
    );
    let file = pgp.home.path().join(format!("openpgp-revocs.d/{revoked}.rev"));
    let certificate = fs::read_to_string(file)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    pgp.gpg(NOW, &["--batch", "--import"], &certificate);
    pgp.trust(&format!("{}{}", pgp.export(&ended), pgp.export(&revoked)));
    pgp.refused("2.0.0", "whose validity ended at 2021-01-01");
    pgp.refused("2.1.0", "which is revoked");
}

#[test]
fn a_subkey_signs_for_its_key_and_a_lock_names_that_one() {
    let pgp = Pgp::new();
    let key = pgp.key("Ada", "ed25519", "never");
    for use_of in [["ed25519", "sign"], ["cv25519", "encr"]] {
        let add = ["--batch", "--quick-add-key", &key, use_of[0], use_of[1], "never"];
        pgp.gpg("20200102T000000!", &add, "");
    }
    pgp.release("2.0.0", &key);
    let primary = pgp.export(&format!("{key}!"));
    pgp.trust(&primary);
    pgp.refused("2.0.0", "which is not among the trusted keys");
    pgp.trust(&pgp.export(&key));
    pgp.deployed("2.0.0", &key);

    let context = &pgp.signed.world.context;
    context.run(["lock"]).expect_code(0);
    let lock = fs::read_to_string(context.ops_repo().join("dev/bitops.lock.yaml")).unwrap();
    assert!(lock.contains(&format!("signer: \"{key}\"")), "{lock}");

    let edit = ["--command-fd", "0", "--edit-key", &key];
    pgp.gpg(NOW, &edit, "key 1\nrevkey\ny\n0\n\ny\nsave\n");
    pgp.trust(&pgp.export(&key));
    pgp.refused("2.0.0", "which is revoked");
}

#[test]
fn keys_that_cannot_be_read_end_the_run_with_their_place() {
    let pgp = Pgp::new();
    let key = pgp.key("Ada", "ed25519", "never");
    let export = pgp.export(&key);
    let cut = &export[..export.len() / 2];
    let source = "version: 1.0.0, verify: {mode: tag, keys: keys/trusted}";
    for text in [cut, &export.replacen("\n\n", "\n\nAAAA", 1)] {
        pgp.trust(&format!("# the team\n{text}"));
        let stderr = pgp.signed.deploy(source, 65);
        assert!(
            stderr.contains("the OpenPGP keys cannot be read") && stderr.contains("keys/trusted:2:1"),
            "{stderr}"
        );
    }
    let secret = pgp.gpg(NOW, &["--batch", "--armor", "--export-secret-keys", &key], "");
    pgp.trust(&secret);
    let stderr = pgp.signed.deploy(source, 65);
    assert!(
        stderr.contains("a private key stands among the trusted keys"),
        "{stderr}"
    );
    assert!(
        secret.lines().nth(3).is_some_and(|line| !stderr.contains(line)),
        "and is not shown"
    );
}
