use std::ops::Range;

use compose_signatures::{Keys, Object, Unverified, verify_commit, verify_tag};
use signature::Signer;
use ssh_key::{
    HashAlg, PrivateKey, PublicKey, SshSig,
    private::{EcdsaKeypair, KeypairData},
    public::{SkEcdsaSha2NistP256, SkEd25519},
};

use crate::repo::{Repo, SIGNED_AT, done, find, keys, replace, with_signature};

fn why(raw: &[u8], keys: &Keys) -> String {
    match verify_commit(raw, keys) {
        Ok(signer) => panic!("verified as {signer:?}: {}", String::from_utf8_lossy(raw)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn signatures_of_other_kinds_are_refused_by_name() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let payload = repo.unsigned_commit();
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
    for (signature, expected) in [
        (
            block("SIGNED MESSAGE"),
            "an X.509 signature, which is not supported",
        ),
        (
            block("PGP MESSAGE"),
            "an OpenPGP message as its signature, which is not supported",
        ),
        (block("SSH SIGNATURE"), "none of a plain ssh key"),
        (block("SSH PUBLIC KEY"), "of no known kind"),
        (String::new(), "of no known kind"),
        ("none".into(), "of no known kind"),
        ("-----BEGIN SSH SIGNATURE-----".into(), "cut off"),
        (
            format!("-----BEGIN SSH SIGNATURE-----\n{}", "A".repeat(70_000)),
            "longer than any",
        ),
    ] {
        let message = why(&with_signature(&payload, &signature), &key.keys());
        assert!(message.contains(expected), "{signature}: {message}");
    }
    #[cfg(not(feature = "openpgp"))]
    assert!(
        why(&with_signature(&payload, &block("PGP SIGNATURE")), &key.keys())
            .contains("this build reads none")
    );
}

#[test]
fn what_surrounds_a_signature_must_be_signed_or_nothing() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    repo.commit(&key);
    let tag = repo.tag(&key, "v1");
    let head = repo.id("HEAD");
    for (tail, taken) in [
        (&b"\n"[..], true),
        (b"x\n", false),
        (b"\nunsigned words\n", false),
    ] {
        let longer = [&tag[..], tail].concat();
        assert_eq!(
            verify_tag(&longer, "v1", head, &key.keys()).is_ok(),
            taken,
            "{tail:?}"
        );
    }
    // A second signature block makes the first one part of what the second one has to sign.
    let own = &tag[find(&tag, b"-----BEGIN").unwrap()..];
    let refused = verify_tag(&[&tag[..], own].concat(), "v1", head, &key.keys());
    assert!(
        matches!(refused, Err(Unverified::BadSignature { .. })),
        "{refused:?}"
    );

    let payload = repo.unsigned_commit();
    let signature = repo.ssh_sign(&key.path, "git", &[], &payload);
    let twice = with_signature(&with_signature(&payload, &signature), &signature);
    assert!(why(&twice, &key.keys()).contains("two signatures"));
    let followed = with_signature(&payload, &format!("{signature}more\n"));
    assert!(why(&followed, &key.keys()).contains("something follows it"));
}

#[test]
fn armour_of_other_signers_is_read() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let payload = repo.unsigned_commit();
    let signature = repo.ssh_sign(&key.path, "git", &[], &payload);
    let base64: String = signature.lines().filter(|line| !line.starts_with('-')).collect();
    for lines in [
        format!("-----BEGIN SSH SIGNATURE-----\n{base64}\n-----END SSH SIGNATURE-----"),
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n{}\n-----END SSH SIGNATURE-----\n",
            &base64[..64],
            &base64[64..]
        ),
    ] {
        assert!(
            verify_commit(&with_signature(&payload, &lines), &key.keys()).is_ok(),
            "{lines}"
        );
    }
}

#[test]
fn a_certificates_signature_is_refused() {
    let repo = Repo::new();
    let (authority, key) = (repo.ed25519("authority"), repo.ed25519("key"));
    let mut certify = repo.command("ssh-keygen", 0);
    certify
        .args(["-q", "-s"])
        .arg(&authority.path)
        .args(["-I", "ada", "-n", "ada@example.org"]);
    done(certify.arg(key.path.with_extension("pub")), b"", "openssh-client");
    let payload = repo.unsigned_commit();
    let signature = repo.ssh_sign(&repo.path().join("key-cert.pub"), "git", &[], &payload);
    let message = why(
        &with_signature(&payload, &signature),
        &keys(&format!("{}{}", authority.trusted(), key.trusted())),
    );
    assert!(message.contains("none of a plain ssh key"), "{message}");
}

/// There is no hardware token here: its signatures are assembled from their parts, and `ssh-keygen` verifies them first.
#[test]
fn signatures_by_keys_on_tokens_are_verified() {
    let repo = Repo::new();
    let payload = repo.unsigned_commit();
    for kind in ["ed25519", "ecdsa"] {
        let path = repo.ssh_key(kind, &[kind]).path;
        let pair = PrivateKey::read_openssh_file(&path).unwrap().key_data().clone();
        let public = match &pair {
            KeypairData::Ed25519(pair) => PublicKey::from(SkEd25519::new(pair.public, "ssh:")),
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, .. }) => {
                PublicKey::from(SkEcdsaSha2NistP256::new(*public, "ssh:"))
            }
            other => panic!("{other:?}"),
        };
        // PROTOCOL.u2f: the token signs the application, its flags (somebody was present), a counter and the message.
        let flags_and_counter = [1, 0, 0, 0, 9];
        let message = SshSig::signed_data("git", HashAlg::Sha512, &payload).unwrap();
        let data = [
            &HashAlg::Sha256.digest(b"ssh:")[..],
            &flags_and_counter,
            &HashAlg::Sha256.digest(&message),
        ];
        let signature = pair.try_sign(&data.concat()).unwrap();
        let signature = [
            string(public.algorithm().as_str().as_bytes()),
            string(signature.as_bytes()),
            flags_and_counter.to_vec(),
        ];
        let parts = [
            b"SSHSIG\0\0\0\x01".to_vec(),
            string(&public.to_bytes().unwrap()),
            string(b"git"),
            string(b""),
            string(b"sha512"),
            string(&signature.concat()),
        ];
        let base64 = done(
            repo.command("base64", 0).arg("-w70"),
            &parts.concat(),
            "coreutils",
        )
        .stdout;
        let base64 = String::from_utf8(base64).unwrap();
        let armoured = format!("-----BEGIN SSH SIGNATURE-----\n{base64}-----END SSH SIGNATURE-----\n");

        let line = format!("ada@example.org {}\n", public.to_openssh().unwrap());
        let mut check = repo.command("ssh-keygen", 0);
        check.args(["-Y", "verify", "-n", "git", "-I", "ada@example.org", "-f"]);
        check
            .arg(repo.write("allowed_signers", &line))
            .arg("-s")
            .arg(repo.write("signature", &armoured));
        done(&mut check, &payload, "openssh-client");

        let raw = with_signature(&payload, &armoured);
        assert!(verify_commit(&raw, &keys(&line)).is_ok(), "{kind}");
        let refused = verify_commit(&replace(&raw, "\nmessage\n", "\nmassage\n"), &keys(&line));
        assert!(
            matches!(
                refused,
                Err(Unverified::BadSignature {
                    object: Object::Commit,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

/// Returns a `string` of the ssh protocol (RFC 4251, 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Thousands of damaged objects: nothing panics, damage to what is signed is never verified, and what is verified with
/// a damaged signature (another line break in its armour, say) is verified by git too.
#[test]
fn random_damage_is_never_verified() {
    let repo = Repo::new();
    let mut random = Random(0x5eed);
    for kind in ["ed25519", "ecdsa"] {
        let key = repo.ssh_key(kind, &[kind]);
        let trusted = key.keys();
        let commit = repo.commit_at(&key, b"subject\n\nbody\r\nmore\n", SIGNED_AT);
        let signature = find(&commit, b"gpgsig ").unwrap()..find(&commit, b"\n\nsubject").unwrap() + 1;
        let verified = survivors(&commit, &signature, &mut random, |raw| {
            verify_commit(raw, &trusted).is_ok()
        });
        for survivor in verified {
            let shown = String::from_utf8_lossy(&survivor);
            assert!(
                repo.git_verifies("commit", &survivor, &key.trusted()),
                "git refuses {shown:?}"
            );
        }

        let head = repo.id("HEAD");
        let tag = repo.tag(&key, kind);
        let signature = find(&tag, b"-----BEGIN").unwrap()..tag.len();
        let verified = survivors(&tag, &signature, &mut random, |raw| {
            verify_tag(raw, kind, head, &trusted).is_ok()
        });
        for survivor in verified {
            let shown = String::from_utf8_lossy(&survivor);
            assert!(
                repo.git_verifies("tag", &survivor, &key.trusted()),
                "git refuses {shown:?}"
            );
        }
    }
}

/// Damages the signed part, which must never be verified, and the signature; returns the damaged objects that were
/// verified all the same.
pub(crate) fn survivors(
    raw: &[u8],
    signature: &Range<usize>,
    random: &mut Random,
    verified: impl Fn(&[u8]) -> bool,
) -> Vec<Vec<u8>> {
    assert!(verified(raw));
    let mut survivors = Vec::new();
    for round in 0..500 {
        let at = if round % 2 == 0 {
            signature.start + random.below(signature.len())
        } else {
            let at = random.below(raw.len() - signature.len());
            if at < signature.start {
                at
            } else {
                at + signature.len()
            }
        };
        let damaged = random.damage(raw, at);
        if damaged != raw && verified(&damaged) {
            assert!(
                signature.contains(&at),
                "damage at {at} is verified: {}",
                String::from_utf8_lossy(&damaged)
            );
            survivors.push(damaged);
        }
    }
    survivors
}

/// A generator of the same numbers in every run (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Flips a bit, changes, removes or inserts a byte, cuts the rest off, or repeats a part.
    pub(crate) fn damage(&mut self, raw: &[u8], at: usize) -> Vec<u8> {
        let (head, tail) = raw.split_at(at);
        let byte = self.below(256) as u8;
        match self.below(7) {
            0 => [head, &[tail[0] ^ (1 << self.below(8))], &tail[1..]].concat(),
            1 => [head, &[byte], &tail[1..]].concat(),
            2 => [head, &tail[1..]].concat(),
            3 => [head, &[byte], tail].concat(),
            4 => [
                head,
                [&b"\n"[..], b" ", b"\n ", b"\0", b"\n\n"][self.below(5)],
                tail,
            ]
            .concat(),
            5 => [head, &head[self.below(at + 1)..], tail].concat(),
            _ => head.to_vec(),
        }
    }
}
