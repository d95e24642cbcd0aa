//! Why a commit or a tag is not verified.

use std::fmt;

use compose_model::{Cause, CommitId, ExitCode};

use crate::time;

/// The two kinds of object that carry a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A commit: signed in its `gpgsig` header.
    Commit,
    /// An annotated tag: signed at the end of its message.
    Tag,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Object::Commit => "commit",
            Object::Tag => "tag",
        })
    }
}

/// A commit or tag that must not be deployed. It names no repo or ref: the caller knows them.
///
/// Fingerprints are in the notation of their format: `SHA256:…` for ssh, hexadecimal digits for OpenPGP.
/// Text from the object is already escaped. Times are seconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The object has no signature.
    #[error("the {object} is not signed")]
    Unsigned {
        /// What should have been signed.
        object: Object,
    },
    /// The signature names a key that is not among the trusted keys.
    #[error("the {object} is signed by {fingerprint}, which is not among the trusted keys")]
    UnknownKey {
        /// What is signed.
        object: Object,
        /// The key; for OpenPGP only the key id if the signature names nothing more precise.
        fingerprint: String,
    },
    /// The signature names a trusted key, which signed something else.
    #[error("the {object} is not what {fingerprint} signed: the signature does not match its content")]
    BadSignature {
        /// What carries the signature.
        object: Object,
        /// The key.
        fingerprint: String,
    },
    /// Signed after the end of the key's validity.
    #[error(
        "the {object} was signed at {signed} by {fingerprint}, whose validity ended at {until}",
        signed = time::display(*signed),
        until = time::display(*until)
    )]
    Expired {
        /// What is signed.
        object: Object,
        /// The key.
        fingerprint: String,
        /// When it was signed, according to the signature.
        signed: i64,
        /// The end of the key's validity.
        until: i64,
    },
    /// Signed before the start of the key's validity.
    #[error(
        "the {object} was signed at {signed} by {fingerprint}, which is valid from {from} on",
        signed = time::display(*signed),
        from = time::display(*from)
    )]
    NotYetValid {
        /// What is signed.
        object: Object,
        /// The key.
        fingerprint: String,
        /// When it was signed, according to the signature.
        signed: i64,
        /// The start of the key's validity.
        from: i64,
    },
    /// The key was revoked, no matter when, and no matter when it signed.
    #[error("the {object} is signed by {fingerprint}, which is revoked")]
    Revoked {
        /// What is signed.
        object: Object,
        /// The key.
        fingerprint: String,
    },
    /// The signature was not made for git (`ssh-keygen -Y sign -n file`).
    #[error("the {object} carries a signature made for `{namespace}`, not for `git`")]
    WrongNamespace {
        /// What carries the signature.
        object: Object,
        /// The signature's namespace.
        namespace: String,
    },
    /// The key is trusted for other purposes only.
    #[error("the {object} is signed by {fingerprint}, whose `namespaces` do not hold `git`")]
    NotForGit {
        /// What is signed.
        object: Object,
        /// The key.
        fingerprint: String,
    },
    /// A validly signed tag under another tag's name.
    #[error("the tag `{requested}` is the signed tag `{signed}` under another name")]
    TagName {
        /// The name it was fetched by.
        requested: String,
        /// The name that was signed.
        signed: String,
    },
    /// A validly signed tag of something other than the fetched commit.
    #[error("the signed tag names the {kind} {target}, not the commit {fetched}")]
    TagTarget {
        /// `commit`, `tag`, `tree` or `blob`.
        kind: String,
        /// The id of the object that it names.
        target: String,
        /// The fetched commit.
        fetched: CommitId,
    },
    /// A signature that this program cannot verify, and so does not trust.
    #[error("the {object} carries {what}, which is not supported")]
    Unsupported {
        /// What carries the signature.
        object: Object,
        /// For example an X.509 signature or a weak hash.
        what: String,
    },
    /// The object or the signature is not in the form that git writes.
    #[error("the {object} cannot be verified: {why}")]
    Malformed {
        /// What should have been verified.
        object: Object,
        /// The defect.
        why: String,
    },
}

impl Cause for Unverified {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Refused
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Unverified::Unsigned { object: Object::Commit } => {
                "have it signed (`git commit -S`), or verify the tag instead".into()
            }
            Unverified::Unsigned { object: Object::Tag } => {
                "have it signed (`git tag -s`), or verify the commit instead".into()
            }
            Unverified::UnknownKey { .. } => {
                "if you trust its owner, add the key to the trusted keys; compare the fingerprint by another way first"
                    .into()
            }
            Unverified::BadSignature { .. } => {
                "do not deploy it: it was altered after it was signed, or the signature was taken from elsewhere".into()
            }
            Unverified::Expired { .. } => {
                "have it signed with a valid key, or extend the key's validity in the trusted keys".into()
            }
            Unverified::NotYetValid { .. } => {
                "check the signer's clock, and the start of the key's validity in the trusted keys".into()
            }
            Unverified::Revoked { .. } => "have it signed again with a key that is not revoked".into(),
            Unverified::WrongNamespace { .. } => {
                "sign with `git commit -S` or `git tag -s` and `gpg.format` set to `ssh`".into()
            }
            Unverified::NotForGit { .. } => {
                "add `git` to the key's `namespaces` in the trusted keys, if it may sign for git".into()
            }
            Unverified::TagName { signed, .. } => {
                format!("do not deploy it: ask for `{signed}` if that is what you want, and tell the repo's owner")
            }
            Unverified::TagTarget { kind, .. } if kind == "tag" => {
                "have the commit itself tagged: a tag of a tag is not followed".into()
            }
            Unverified::TagTarget { .. } => "do not deploy it: the tag signs something else".into(),
            Unverified::Unsupported { .. } => {
                "have it signed by a plain ssh key (ed25519, ecdsa, rsa of 2048 to 4096 bits), or by an OpenPGP key if \
                 this build reads them"
                    .into()
            }
            Unverified::Malformed { .. } => "have it signed again by git itself".into(),
        };
        Some(hint)
    }
}
