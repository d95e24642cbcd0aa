use compose_model::Cause;
use compose_signatures::{Object, Unverified, verify_tag, verify_tag_by_id};

use crate::repo::{Repo, SIGNED_AT, keys, replace};

const TAG: Object = Object::Tag;

#[test]
fn a_signed_tag_of_the_fetched_commit_is_verified() {
    let repo = Repo::new();
    repo.unsigned_commit();
    for (kind, name) in [
        (&["ed25519"][..], "v1.0.0"),
        (&["ecdsa"], "eks/1.0.0"),
        (&["rsa"], "größe-1"),
    ] {
        let key = repo.ssh_key(kind[0], kind);
        let raw = repo.tag(&key, name);
        let signer = verify_tag(&raw, name, repo.id("HEAD"), &key.keys()).unwrap();
        assert_eq!(signer.fingerprint, key.fingerprint);
        assert_eq!(
            verify_tag_by_id(&raw, repo.id("HEAD"), &key.keys()),
            Ok(signer.clone())
        );
        let altered = replace(&raw, "\nmessage\n", "\nmassage\n");
        let refused = Unverified::BadSignature {
            object: TAG,
            fingerprint: key.fingerprint.clone(),
        };
        assert_eq!(
            verify_tag(&altered, name, repo.id("HEAD"), &key.keys()),
            Err(refused.clone())
        );
        assert_eq!(
            verify_tag_by_id(&altered, repo.id("HEAD"), &key.keys()),
            Err(refused)
        );
    }
}

#[test]
fn unsigned_unknown_revoked_and_expired_tags_are_refused() {
    let repo = Repo::new();
    repo.unsigned_commit();
    let head = repo.id("HEAD");
    let (key, stranger) = (repo.ed25519("key"), repo.ed25519("stranger"));
    repo.git(["tag", "-a", "-m", "message", "plain"]);
    let plain = repo.git(["cat-file", "tag", "plain"]);
    assert_eq!(
        verify_tag(&plain, "plain", head, &key.keys()),
        Err(Unverified::Unsigned { object: TAG })
    );

    let raw = repo.tag(&key, "v1");
    let (object, fingerprint) = (TAG, key.fingerprint.clone());
    let unknown = Unverified::UnknownKey {
        object,
        fingerprint: fingerprint.clone(),
    };
    assert_eq!(verify_tag(&raw, "v1", head, &stranger.keys()), Err(unknown));

    let mut revoked = key.keys();
    revoked.revoke("revoked", key.public.as_bytes()).unwrap();
    let refused = Unverified::Revoked {
        object,
        fingerprint: fingerprint.clone(),
    };
    assert_eq!(verify_tag(&raw, "v1", head, &revoked), Err(refused));

    // The tagger's time counts, not the commit's.
    let until = keys(&key.trusted_with(r#"valid-before="20240602""#));
    assert!(verify_tag(&raw, "v1", head, &until).is_ok());
    let late = repo.tag_at(&key, "late", "HEAD", b"message\n", SIGNED_AT + 86_400);
    let (signed, until_time) = (SIGNED_AT + 86_400, SIGNED_AT + 43_200);
    let refused = Unverified::Expired {
        object,
        fingerprint,
        signed,
        until: until_time,
    };
    assert_eq!(verify_tag(&late, "late", head, &until), Err(refused));
}

#[test]
fn a_tag_object_under_another_name_is_refused() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    repo.commit(&key);
    let raw = repo.tag(&key, "v1.0.0");
    // A server could do this: the ref moves, and the object stays.
    repo.git(["update-ref", "refs/tags/v2.0.0", "refs/tags/v1.0.0"]);
    assert_eq!(repo.git(["cat-file", "tag", "v2.0.0"]), raw);
    let refused = Unverified::TagName {
        requested: "v2.0.0".into(),
        signed: "v1.0.0".into(),
    };
    assert_eq!(
        verify_tag(&raw, "v2.0.0", repo.id("HEAD"), &key.keys()),
        Err(refused)
    );
    for near in ["V1.0.0", "v1.0.0 ", "v1.0", "refs/tags/v1.0.0", ""] {
        let refused = verify_tag(&raw, near, repo.id("HEAD"), &key.keys());
        assert!(
            matches!(refused, Err(Unverified::TagName { .. })),
            "{near:?}: {refused:?}"
        );
    }
    // Renaming what is signed breaks the signature.
    let renamed = replace(&raw, "tag v1.0.0", "tag v2.0.0");
    let refused = Unverified::BadSignature {
        object: TAG,
        fingerprint: key.fingerprint.clone(),
    };
    assert_eq!(
        verify_tag(&renamed, "v2.0.0", repo.id("HEAD"), &key.keys()),
        Err(refused)
    );
}

#[test]
fn a_signed_tag_of_something_else_is_refused() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    repo.commit(&key);
    let signed = repo.id("HEAD");
    let raw = repo.tag(&key, "v1");
    repo.commit_at(&key, b"another\n", SIGNED_AT);
    let fetched = repo.id("HEAD");
    let target = |kind: &str, target: String| {
        Err(Unverified::TagTarget {
            kind: kind.into(),
            target,
            fetched,
        })
    };
    assert_eq!(
        verify_tag(&raw, "v1", fetched, &key.keys()),
        target("commit", signed.to_string())
    );

    let chain = repo.tag_at(&key, "chain", "refs/tags/v1", b"message\n", SIGNED_AT);
    let inner = repo.id("refs/tags/v1");
    assert_eq!(
        verify_tag(&chain, "chain", fetched, &key.keys()),
        target("tag", inner.to_string())
    );
    assert_eq!(
        verify_tag(&chain, "chain", inner, &key.keys())
            .err()
            .and_then(|error| error.hint()),
        Some("have the commit itself tagged: a tag of a tag is not followed".into())
    );

    let tree = repo.tag_at(&key, "tree", "HEAD^{tree}", b"message\n", SIGNED_AT);
    assert_eq!(
        verify_tag(&tree, "tree", fetched, &key.keys()),
        target("tree", repo.id("HEAD^{tree}").to_string())
    );
}

#[test]
fn odd_tag_messages_are_signed_byte_for_byte() {
    let repo = Repo::new();
    let key = repo.ed25519("key");
    repo.commit(&key);
    for (name, message) in [
        ("windows", &b"windows\r\nlines\r\n"[..]),
        (
            "quote",
            b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        ),
        (
            "pgp",
            b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        ),
        ("bytes", b"\xff\xfe\n\n\n"),
        ("headers", b"object 0123\ntype commit\ntag other\n"),
    ] {
        let raw = repo.tag_at(&key, name, "HEAD", message, SIGNED_AT);
        assert!(
            verify_tag(&raw, name, repo.id("HEAD"), &key.keys()).is_ok(),
            "{name}"
        );
        assert!(
            repo.git_verifies("tag", &raw, &key.trusted()),
            "git disagrees on {name}"
        );
    }
}
