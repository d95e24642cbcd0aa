use compose_signatures::{Keys, Object, Signer, SignerKind, Unverified, verify_commit, verify_tag};

use crate::{
    hostile::{Random, survivors},
    repo::{Repo, SIGNED_AT, done, find, replace, with_signature},
};

const COMMIT: Object = Object::Commit;

/// A repo with a GnuPG home of its own. Dropping it ends the agent.
struct Pgp {
    repo: Repo,
}

impl Drop for Pgp {
    fn drop(&mut self) {
        let _ = self
            .repo
            .command("gpgconf", SIGNED_AT)
            .args(["--kill", "all"])
            .output();
    }
}

impl Pgp {
    fn new() -> Self {
        let repo = Repo::new();
        done(
            repo.command("mkdir", 0).args(["-m", "700", "gnupg"]),
            b"",
            "coreutils",
        );
        Self { repo }
    }

    fn gpg(&self, args: &[&str], stdin: &str) -> String {
        let mut command = self.repo.command("gpg", SIGNED_AT);
        command
            .args([
                "--batch",
                "--quiet",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .args(args);
        String::from_utf8(done(&mut command, stdin.as_bytes(), "gnupg").stdout).unwrap()
    }

    /// Creates a key in 2020 and returns its fingerprint.
    fn key(&self, name: &str, algorithm: &str) -> String {
        let old = ["--faked-system-time", "20200101T000000!"];
        self.gpg(
            &[
                &old[..],
                &["--quick-generate-key", name, algorithm, "sign", "never"],
            ]
            .concat(),
            "",
        );
        let listed = self.gpg(&["--with-colons", "--list-keys", name], "");
        listed
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .unwrap()
            .trim_end_matches(':')
            .to_owned()
    }

    fn export(&self, fingerprint: &str) -> String {
        self.gpg(&["--armor", "--export", fingerprint], "")
    }

    fn keys(&self, fingerprint: &str) -> Keys {
        Keys::parse("keys.asc", self.export(fingerprint).as_bytes())
            .unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    /// Creates a commit signed in 2024 by this key, with further options for gpg.
    fn commit(&self, fingerprint: &str, options: &str) -> Vec<u8> {
        self.sign(
            fingerprint,
            options,
            &["commit", "-q", "-S", "--allow-empty", "-m", "message"],
        );
        self.repo.git(["cat-file", "commit", "HEAD"])
    }

    fn tag(&self, fingerprint: &str, name: &str) -> Vec<u8> {
        self.sign(fingerprint, "", &["tag", "-s", "-m", "message", name]);
        self.repo.git(["cat-file", "tag", name])
    }

    fn sign(&self, fingerprint: &str, options: &str, args: &[&str]) {
        let time = if options.contains("faked") {
            ""
        } else {
            "--faked-system-time 20240601T120000!"
        };
        let script = format!("#!/bin/sh\nexec gpg --batch --no-tty {time} {options} \"$@\"\n");
        let program = self.repo.write("sign", script);
        done(
            self.repo.command("chmod", 0).arg("755").arg(&program),
            b"",
            "coreutils",
        );
        let mut command = self.repo.command("git", SIGNED_AT);
        command
            .arg("-c")
            .arg(format!("gpg.program={}", program.display()));
        done(
            command
                .arg("-c")
                .arg(format!("user.signingkey={fingerprint}"))
                .args(args),
            b"",
            "git",
        );
    }
}

#[test]
fn every_kind_of_key_that_gpg_signs_with_is_verified() {
    let pgp = Pgp::new();
    for algorithm in ["ed25519", "nistp256", "nistp384", "rsa2048", "rsa3072"] {
        let name = format!("{algorithm} <ada@example.org>");
        let key = pgp.key(&name, algorithm);
        let keys = pgp.keys(&key);
        let signer = Signer {
            kind: SignerKind::OpenPgp,
            fingerprint: key.clone(),
            principal: Some(name),
        };
        let raw = pgp.commit(&key, "");
        assert_eq!(verify_commit(&raw, &keys), Ok(signer.clone()), "{algorithm}");
        let refused = Unverified::BadSignature {
            object: COMMIT,
            fingerprint: key.clone(),
        };
        assert_eq!(
            verify_commit(&replace(&raw, "\nmessage\n", "\nmassage\n"), &keys),
            Err(refused),
            "{algorithm}"
        );

        let head = pgp.repo.id("HEAD");
        let raw = pgp.tag(&key, algorithm);
        assert_eq!(
            verify_tag(&raw, algorithm, head, &keys),
            Ok(signer),
            "{algorithm}"
        );
        let altered = verify_tag(
            &replace(&raw, "\nmessage\n", "\nmassage\n"),
            algorithm,
            head,
            &keys,
        );
        assert_eq!(
            altered,
            Err(Unverified::BadSignature {
                object: Object::Tag,
                fingerprint: key
            }),
            "{algorithm}"
        );
        assert!(matches!(
            verify_tag(&raw, "v2", head, &keys),
            Err(Unverified::TagName { .. })
        ));
    }
}

#[test]
fn unsigned_unknown_and_pasted_signatures_are_refused() {
    let pgp = Pgp::new();
    let (key, stranger) = (pgp.key("Ada", "ed25519"), pgp.key("Eve", "ed25519"));
    let raw = pgp.commit(&stranger, "");
    let refused = Unverified::UnknownKey {
        object: COMMIT,
        fingerprint: stranger.clone(),
    };
    assert_eq!(verify_commit(&raw, &pgp.keys(&key)), Err(refused));
    assert!(verify_commit(&raw, &pgp.keys(&stranger)).is_ok());
    let unsigned = pgp.repo.unsigned_commit();
    assert_eq!(
        verify_commit(&unsigned, &pgp.keys(&key)),
        Err(Unverified::Unsigned { object: COMMIT })
    );

    let start = find(&raw, b"-----BEGIN").unwrap();
    let end = find(&raw, b"-----END PGP SIGNATURE-----").unwrap() + "-----END PGP SIGNATURE-----".len();
    let signature = String::from_utf8(raw[start..end].to_vec())
        .unwrap()
        .replace("\n ", "\n");
    let refused = Unverified::BadSignature {
        object: COMMIT,
        fingerprint: stranger.clone(),
    };
    assert_eq!(
        verify_commit(&with_signature(&unsigned, &signature), &pgp.keys(&stranger)),
        Err(refused)
    );

    // An ssh key and both OpenPGP keys in one file.
    let ssh = pgp.repo.ed25519("key");
    let all = format!(
        "{}# team\n{}\n{}",
        ssh.trusted(),
        pgp.export(&key),
        pgp.export(&stranger)
    );
    let all = Keys::parse("keys", all.as_bytes()).unwrap();
    assert!(verify_commit(&raw, &all).is_ok());
    assert!(verify_commit(&pgp.commit(&key, ""), &all).is_ok());
    assert_eq!(
        verify_commit(&pgp.repo.commit(&ssh), &all).unwrap().kind,
        SignerKind::Ssh
    );
}

#[test]
fn a_key_must_have_been_valid_when_it_signed() {
    let pgp = Pgp::new();
    let key = pgp.key("Ada", "ed25519");
    let raw = pgp.commit(&key, "");
    let older = pgp.commit(&key, "--faked-system-time 20200301T000000!");
    let before = pgp.export(&key);
    pgp.gpg(
        &[
            "--faked-system-time",
            "20200102T000000!",
            "--quick-set-expire",
            &key,
            "20200601T000000",
        ],
        "",
    );
    let keys = pgp.keys(&key);
    let (object, fingerprint, until) = (COMMIT, key.clone(), 1_590_969_600);
    let refused = Unverified::Expired {
        object,
        fingerprint,
        signed: SIGNED_AT,
        until,
    };
    assert_eq!(verify_commit(&raw, &keys), Err(refused));
    assert!(verify_commit(&older, &keys).is_ok());
    // Of two exports of one key the one with the later end counts, because keys are extended and not shortened.
    assert!(
        verify_commit(
            &raw,
            &Keys::parse("keys", format!("{before}{}", pgp.export(&key)).as_bytes()).unwrap()
        )
        .is_ok()
    );

    let key = pgp.key("Eve", "ed25519");
    let raw = pgp.commit(
        &key,
        "--ignore-time-conflict --ignore-valid-from --faked-system-time 20190101T000000!",
    );
    let (fingerprint, signed, from) = (key.clone(), 1_546_300_800, 1_577_836_800);
    let refused = Unverified::NotYetValid {
        object,
        fingerprint,
        signed,
        from,
    };
    assert_eq!(verify_commit(&raw, &pgp.keys(&key)), Err(refused));
}

#[test]
fn a_revoked_key_signs_nothing() {
    let pgp = Pgp::new();
    let key = pgp.key("Ada", "ed25519");
    let raw = pgp.commit(&key, "");
    let before = pgp.export(&key);
    let certificate =
        std::fs::read_to_string(pgp.repo.path().join(format!("gnupg/openpgp-revocs.d/{key}.rev"))).unwrap();
    pgp.gpg(&["--import"], &certificate.replace(":-----BEGIN", "-----BEGIN"));
    let refused = Err(Unverified::Revoked {
        object: COMMIT,
        fingerprint: key.clone(),
    });
    assert_eq!(verify_commit(&raw, &pgp.keys(&key)), refused);
    let both = format!("{before}{}", pgp.export(&key));
    assert_eq!(
        verify_commit(&raw, &Keys::parse("keys", both.as_bytes()).unwrap()),
        refused
    );
}

#[test]
fn a_signing_subkey_signs_for_its_key_until_it_is_revoked() {
    let pgp = Pgp::new();
    let key = pgp.key("Ada", "ed25519");
    pgp.gpg(
        &[
            "--faked-system-time",
            "20200102T000000!",
            "--quick-add-key",
            &key,
            "ed25519",
            "sign",
            "never",
        ],
        "",
    );
    pgp.gpg(
        &[
            "--faked-system-time",
            "20200102T000000!",
            "--quick-add-key",
            &key,
            "cv25519",
            "encr",
            "never",
        ],
        "",
    );
    let raw = pgp.commit(&key, "");
    let signer = verify_commit(&raw, &pgp.keys(&key)).unwrap();
    assert_eq!(
        (signer.fingerprint.as_str(), signer.principal.as_deref()),
        (key.as_str(), Some("Ada"))
    );

    // The subkey signed, so the primary key alone does not verify the signature.
    let primary = pgp.gpg(&["--armor", "--export", &format!("{key}!")], "");
    let refused = verify_commit(&raw, &Keys::parse("keys", primary.as_bytes()).unwrap());
    assert!(
        matches!(refused, Err(Unverified::UnknownKey { .. })),
        "{refused:?}"
    );

    let mut edit = pgp.repo.command("gpg", SIGNED_AT);
    edit.args([
        "--no-tty",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--command-fd",
        "0",
        "--edit-key",
        &key,
    ]);
    done(&mut edit, b"key 1\nrevkey\ny\n0\n\ny\nsave\n", "gnupg");
    let refused = Err(Unverified::Revoked {
        object: COMMIT,
        fingerprint: key.clone(),
    });
    assert_eq!(verify_commit(&raw, &pgp.keys(&key)), refused);
}

#[test]
fn signatures_that_prove_too_little_are_refused() {
    let pgp = Pgp::new();
    let (key, other) = (pgp.key("Ada", "rsa2048"), pgp.key("Eve", "ed25519"));
    for (options, expected) in [
        ("--digest-algo SHA1", "with the hash SHA1"),
        ("--digest-algo RIPEMD160", "with the hash RIPEMD160"),
        ("--digest-algo SHA224", "with the hash SHA224"),
        ("--textmode", "of the type Text"),
        ("--default-sig-expire 1y", "a signature that expires"),
        (
            "--sig-notation !purpose@example.org=tests",
            "a condition of its own",
        ),
        (&format!("--local-user {other}"), "several in one"),
    ] {
        let raw = pgp.commit(&key, options);
        let message = verify_commit(&raw, &pgp.keys(&key)).unwrap_err().to_string();
        assert!(message.contains(expected), "{options}: {message}");
    }
    for options in [
        "--digest-algo SHA256",
        "--digest-algo SHA384",
        "--digest-algo SHA512",
        "--comment odd",
        "--emit-version",
    ] {
        assert!(
            verify_commit(&pgp.commit(&key, options), &pgp.keys(&key)).is_ok(),
            "{options}"
        );
    }
}

#[test]
fn keys_that_cannot_sign_or_be_read_are_reported_with_their_place() {
    let pgp = Pgp::new();
    let weak = pgp.key("Weak", "rsa1024");
    let dsa = pgp.key("Old", "dsa2048");
    let certify = {
        pgp.gpg(
            &["--quick-generate-key", "Certify", "ed25519", "cert", "never"],
            "",
        );
        pgp.export("Certify")
    };
    let damaged = replace(pgp.export(&weak).as_bytes(), "\n\n", "\n\nAAAA");
    for (text, expected) in [
        (
            pgp.export(&weak),
            "signs by RSA of 1024 bits, which is not supported",
        ),
        (pgp.export(&dsa), "signs by DSA, which is not supported"),
        (certify, "may not sign"),
        (
            String::from_utf8(damaged).unwrap(),
            "the OpenPGP keys cannot be read",
        ),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n".into(),
            "the OpenPGP keys cannot be read",
        ),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n".into(),
            "the OpenPGP keys cannot be read",
        ),
    ] {
        let errors = Keys::parse("keys.asc", format!("# team\n{text}").as_bytes()).unwrap_err();
        let [error] = errors.as_slice() else {
            panic!("{errors:#?}")
        };
        assert!(error.message.contains(expected), "{}", error.message);
        assert_eq!(error.place.as_ref().unwrap().line_column(), (2, 1));
        assert!(!error.hints.is_empty());
    }
}

/// Nothing panics, and what is verified with a damaged signature is what was signed. Git is not asked: gpg also refuses a
/// wrong checksum of the armour, which proves nothing and which RFC 9580 (6.1) has ignored.
#[test]
fn random_damage_is_never_verified() {
    let pgp = Pgp::new();
    let mut random = Random(0x0be9_5eed);
    let key = pgp.key("Ada", "ed25519");
    let keys = pgp.keys(&key);
    let commit = pgp.commit(&key, "");
    let signature = find(&commit, b"gpgsig ").unwrap()..find(&commit, b"\n\nmessage").unwrap() + 1;
    let (before, after) = (&commit[..signature.start], &commit[signature.end..]);
    for survivor in survivors(&commit, &signature, &mut random, |raw| {
        verify_commit(raw, &keys).is_ok()
    }) {
        assert!(
            survivor.starts_with(before) && survivor.ends_with(after),
            "{}",
            String::from_utf8_lossy(&survivor)
        );
    }

    let armoured = pgp.export(&key);
    for at in (0..armoured.len()).step_by(7) {
        let damaged = random.damage(armoured.as_bytes(), at);
        let _ = Keys::parse("keys.asc", &damaged);
    }
}
