use compose_signatures::{Object, SignerKind, Unverified, verify_commit};

use crate::repo::{Repo, SIGNED_AT, done, find, keys, replace, with_signature, without_signature};

const COMMIT: Object = Object::Commit;

#[test]
fn every_kind_of_key_that_git_signs_with_is_verified() {
    let repo = Repo::new();
    for kind in [
        &["ed25519"][..],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "4096"],
    ] {
        let key = repo.ssh_key(&kind.join(""), kind);
        let raw = repo.commit(&key);
        let signer = verify_commit(&raw, &key.keys()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(signer.kind, SignerKind::Ssh);
        assert_eq!(signer.fingerprint, key.fingerprint);
        assert_eq!(signer.principal.as_deref(), Some("ada@example.org"));

        let altered = replace(&raw, "\nmessage\n", "\nmassage\n");
        let refused = Unverified::BadSignature {
            object: COMMIT,
            fingerprint: key.fingerprint.clone(),
        };
        assert_eq!(verify_commit(&altered, &key.keys()), Err(refused), "{kind:?}");
    }
}

#[test]
fn an_unsigned_commit_is_refused() {
    let repo = Repo::new();
    let raw = repo.unsigned_commit();
    let refused = verify_commit(&raw, &repo.ed25519("key").keys());
    assert_eq!(refused, Err(Unverified::Unsigned { object: COMMIT }));
}

#[test]
fn a_key_that_nobody_trusts_is_named() {
    let repo = Repo::new();
    let (trusted, stranger) = (repo.ed25519("trusted"), repo.ed25519("stranger"));
    let refused = verify_commit(&repo.commit(&stranger), &trusted.keys());
    assert_eq!(
        refused,
        Err(Unverified::UnknownKey {
            object: COMMIT,
            fingerprint: stranger.fingerprint
        })
    );
}

#[test]
fn nothing_of_a_signed_commit_can_be_altered() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let first = repo.commit(&key);
    let raw = repo.commit(&key);
    assert!(verify_commit(&raw, &key.keys()).is_ok());
    let parent = format!("parent {}", repo.id("HEAD^"));
    for (from, to) in [
        ("tree 4b825dc6", "tree 4b825dc7"),
        (parent.as_str(), "parent 0123456789012345678901234567890123456789"),
        ("author Ada", "author Eve"),
        ("committer Ada", "committer Eve"),
        ("+0200\n", "+0200\nencoding latin1\n"),
        ("\n\nmessage\n", "\n\nmessage"),
        ("\n\nmessage\n", "\n\nmessage\r\n"),
        ("\n\nmessage\n", "\n\nmessage\n\n"),
        ("\n\nmessage\n", "\n\nmessage\0\n"),
        (
            "\n\nmessage\n",
            "\nparent 0123456789012345678901234567890123456789\n\nmessage\n",
        ),
    ] {
        let refused = Unverified::BadSignature {
            object: COMMIT,
            fingerprint: key.fingerprint.clone(),
        };
        assert_eq!(
            verify_commit(&replace(&raw, from, to), &key.keys()),
            Err(refused),
            "{to:?}"
        );
    }

    // The valid signature of another commit.
    let start = find(&first, b"gpgsig ").unwrap() + "gpgsig ".len();
    let end = find(&first, b"-----END SSH SIGNATURE-----").unwrap() + "-----END SSH SIGNATURE-----".len();
    let pasted = String::from_utf8(first[start..end].to_vec())
        .unwrap()
        .replace("\n ", "\n");
    let refused = Unverified::BadSignature {
        object: COMMIT,
        fingerprint: key.fingerprint.clone(),
    };
    assert_eq!(
        verify_commit(&with_signature(&without_signature(&raw), &pasted), &key.keys()),
        Err(refused)
    );
    assert!(verify_commit(&with_signature(&without_signature(&first), &pasted), &key.keys()).is_ok());
}

#[test]
fn a_key_must_have_been_valid_when_it_signed() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let raw = repo.commit(&key);
    let fingerprint = key.fingerprint.clone();
    let (object, signed) = (COMMIT, SIGNED_AT);
    let expired = |until| {
        Some(Unverified::Expired {
            object,
            fingerprint: fingerprint.clone(),
            signed,
            until,
        })
    };
    let early = |from| {
        Some(Unverified::NotYetValid {
            object,
            fingerprint: fingerprint.clone(),
            signed,
            from,
        })
    };
    for (options, refused) in [
        (r#"valid-after="20240601",valid-before="20240602""#, None),
        (r#"valid-before="20240601120000Z""#, None),
        (r#"valid-after="202406011200Z""#, None),
        (r#"valid-before="20240601115959Z""#, expired(SIGNED_AT - 1)),
        (r#"valid-before="20240601""#, expired(SIGNED_AT - 12 * 3600)),
        (r#"valid-after="20240601120001Z""#, early(SIGNED_AT + 1)),
        (
            r#"Valid-After="20250101",VALID-BEFORE="20260101""#,
            early(1_735_689_600),
        ),
    ] {
        let line = key.trusted_with(options);
        assert_eq!(verify_commit(&raw, &keys(&line)).err(), refused, "{options}");
        assert_eq!(
            repo.git_verifies("commit", &raw, &line),
            refused.is_none(),
            "git disagrees on {options}"
        );
    }
    let message = expired(SIGNED_AT - 1).unwrap().to_string();
    assert!(
        message.contains("2024-06-01T12:00:00Z") && message.contains("2024-06-01T11:59:59Z"),
        "{message}"
    );
}

#[test]
fn one_of_several_lines_of_a_key_is_enough() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let raw = repo.commit(&key);
    let old = key.trusted_with(r#"valid-before="20200101""#);
    let file = key.trusted_with(r#"namespaces="file,email""#);
    let renewed = key.trusted().replace("ada@", "renewed@");
    let signer = verify_commit(&raw, &keys(&format!("{old}{file}{renewed}"))).unwrap();
    assert_eq!(signer.principal.as_deref(), Some("renewed@example.org"));

    let (object, fingerprint) = (COMMIT, key.fingerprint.clone());
    assert_eq!(
        verify_commit(&raw, &keys(&file)),
        Err(Unverified::NotForGit { object, fingerprint })
    );
    assert!(matches!(
        verify_commit(&raw, &keys(&format!("{old}{file}"))),
        Err(Unverified::Expired { .. })
    ));
    assert!(matches!(
        verify_commit(&raw, &keys(&format!("{file}{old}"))),
        Err(Unverified::NotForGit { .. })
    ));
    assert!(verify_commit(&raw, &keys(&key.trusted_with(r#"namespaces="file,g*""#))).is_ok());
}

#[test]
fn a_revoked_key_signs_nothing_whenever_it_signed() {
    let repo = Repo::new();
    let (key, other) = (repo.ed25519("key"), repo.ed25519("other"));
    let raw = repo.commit_at(&key, b"old\n", 1_000_000_000);
    let refused = Err(Unverified::Revoked {
        object: COMMIT,
        fingerprint: key.fingerprint.clone(),
    });

    let mut with_list = keys(&format!("{}{}", key.trusted(), other.trusted()));
    assert!(verify_commit(&raw, &with_list).is_ok());
    with_list
        .revoke("revoked", format!("# lost\n{} laptop\n", key.public).as_bytes())
        .unwrap();
    assert_eq!(verify_commit(&raw, &with_list), refused);
    assert!(verify_commit(&repo.commit(&other), &with_list).is_ok());

    let with_line = keys(&format!(
        "{}{}@revoked {}\n",
        key.trusted(),
        other.trusted(),
        key.public
    ));
    assert_eq!(verify_commit(&raw, &with_line), refused);
    assert!(verify_commit(&repo.commit(&other), &with_line).is_ok());
}

#[test]
fn only_signatures_made_for_git_count() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    let payload = repo.unsigned_commit();
    let signed = |namespace, options: &[&str]| {
        with_signature(&payload, &repo.ssh_sign(&key.path, namespace, options, &payload))
    };
    assert!(verify_commit(&signed("git", &[]), &key.keys()).is_ok());
    assert!(verify_commit(&signed("git", &["-O", "hashalg=sha256"]), &key.keys()).is_ok());
    let refused = Unverified::WrongNamespace {
        object: COMMIT,
        namespace: "file".into(),
    };
    assert_eq!(verify_commit(&signed("file", &[]), &key.keys()), Err(refused));
    let message = verify_commit(&signed("fi\x1b[31m\nle", &[]), &key.keys())
        .unwrap_err()
        .to_string();
    assert!(message.contains("fi\\u{1b}[31m\\nle"), "{message}");
}

#[test]
fn odd_payloads_are_signed_byte_for_byte() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    for message in [
        &b""[..],
        b"\n",
        b"\n\n\n",
        b"no line break at the end",
        b"windows\r\nlines\r\n",
        b"\r\n",
        b"gpgsig not a header\n and not its continuation\n",
        b"\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n x\n",
        b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        b"trailing blanks  \t\n \n",
        "Umlaute äöü \u{202e}\n".as_bytes(),
    ] {
        let raw = repo.commit_at(&key, message, SIGNED_AT);
        let shown = String::from_utf8_lossy(message).into_owned();
        assert!(raw.ends_with(message), "git changed {shown:?}");
        assert!(verify_commit(&raw, &key.keys()).is_ok(), "{shown:?}");
        assert!(
            verify_commit(&[&raw[..], b"x"].concat(), &key.keys()).is_err(),
            "{shown:?}"
        );
    }

    // Git writes UTF-8 if it can; other programs do not.
    let payload = [&repo.unsigned_commit()[..], b"bytes \xff\xfe of no encoding\0\n"].concat();
    let raw = with_signature(&payload, &repo.ssh_sign(&key.path, "git", &[], &payload));
    assert!(verify_commit(&raw, &key.keys()).is_ok());

    // A merge of a signed tag holds that tag, with its signature, in a header.
    repo.git(["checkout", "-q", "--orphan", "side"]);
    repo.commit(&key);
    repo.tag(&key, "side-1");
    repo.git(["checkout", "-q", "main"]);
    let mut merge = repo.command("git", SIGNED_AT);
    merge
        .args(["-c", "gpg.format=ssh", "-c"])
        .arg(format!("user.signingkey={}", key.path.display()));
    merge.args([
        "-c",
        "i18n.commitEncoding=latin1",
        "merge",
        "-q",
        "-S",
        "--allow-unrelated-histories",
    ]);
    done(merge.args(["--no-edit", "side-1"]), b"", "git");
    let raw = repo.git(["cat-file", "commit", "HEAD"]);
    assert!(find(&raw, b"\nmergetag object ").is_some() && find(&raw, b"\nencoding latin1\n").is_some());
    assert!(verify_commit(&raw, &key.keys()).is_ok());
    assert!(verify_commit(&replace(&raw, " tag side-1", " tag side-2"), &key.keys()).is_err());
}
