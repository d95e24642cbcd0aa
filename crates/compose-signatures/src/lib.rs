//! Verifies the signatures of commits and annotated tags in process: no `git`, `ssh-keygen` or `gpg` is run.
//!
//! ```
//! use compose_signatures::{Keys, verify_commit};
//!
//! let trusted = "ada@example.org ssh-ed25519 \
//!     AAAAC3NzaC1lZDI1NTE5AAAAIKDGkd2fufhJRfmEls9RBhhGah/NWYPuzSsx3qZhARC/\n";
//! let keys = Keys::parse("allowed_signers", trusted.as_bytes()).unwrap();
//!
//! // What `git cat-file commit COMMIT` prints.
//! let commit = "\
//! tree c49897f29f9819a0ab6850d7e22443508a1a29d5
//! author Ada <ada@example.org> 1717243200 +0000
//! committer Ada <ada@example.org> 1717243200 +0000
//! gpgsig -----BEGIN SSH SIGNATURE-----
//!  U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgoMaR3Z+5+ElF+YSWz1EGGEZqH8
//!  1Zg+7NKzHepmEBEL8AAAADZ2l0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5
//!  AAAAQKSgxK3iqo1b3NnyP44LZYim+1AtERK2ODVU2/EfKq5AmdyBJAESXgIn5hPo1UAXYD
//!  3LOYZDqqPwnSB0RmrFTg0=
//!  -----END SSH SIGNATURE-----
//!
//! Release 1.0.0
//! ";
//! let signer = verify_commit(commit.as_bytes(), &keys).unwrap();
//! assert_eq!(signer.principal.as_deref(), Some("ada@example.org"));
//!
//! let changed = commit.replace("1.0.0", "6.6.6");
//! assert!(verify_commit(changed.as_bytes(), &keys).is_err());
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `keys`, `allowed` | the trusted keys; the allowed-signers format and lists of revoked keys |
//! | `signer` | who signed |
//! | `object` | an object, split into the signed bytes and the signature |
//! | `ssh` | ssh signatures (SSHSIG) |
//! | `openpgp` | OpenPGP signatures, with the cargo feature of that name |
//! | `time` | notations of times |
//!
//! Anything that is not provably signed by a trusted key is refused: there is no third answer. Keys come from the user,
//! never from a fetched repo; the caller ensures that.
//!
//! **Time.** This crate looks at no clock. A key must have been valid when it signed, so that a release stays
//! deployable after its signer's key expires: for ssh that is the committer's or tagger's date, as for git itself, for
//! OpenPGP the signature's own date. The holder of a private key can write any date: a stolen key must be revoked or
//! removed, not left to expire.
//!
//! The messages of this crate are in `error.rs`; those about a mistake in a file of keys are in `allowed.rs`.

mod allowed;
mod error;
mod keys;
mod object;
#[cfg(feature = "openpgp")]
mod openpgp;
mod signer;
mod ssh;
mod time;

use compose_model::{CommitId, text};

pub use error::{Object, Unverified};
pub use keys::Keys;
use object::{Signed, Tag};
pub use signer::{Signer, SignerKind};

/// Longer signatures are refused: the largest real ones have a few kilobytes.
const MAX_SIGNATURE: usize = 64 * 1024;

/// Verifies a commit, given its raw content (without the `commit <size>\0` that it is hashed with).
pub fn verify_commit(raw: &[u8], keys: &Keys) -> Result<Signer, Unverified> {
    verify(&object::commit(raw)?, keys)
}

/// Verifies an annotated tag, given its raw content: a trusted key must have signed it, under the requested name
/// (without `refs/tags/`), for the fetched commit. A tag of a tag is refused.
///
/// A lightweight tag has no object to verify: it is [`Unverified::Unsigned`] without a call.
pub fn verify_tag(
    raw: &[u8],
    requested_name: &str,
    fetched_commit: CommitId,
    keys: &Keys,
) -> Result<Signer, Unverified> {
    let (tag, signer) = signed_tag(raw, keys)?;
    if tag.name != requested_name.as_bytes() {
        return Err(Unverified::TagName {
            requested: text::escape(requested_name, 200),
            signed: object::escape(&tag.name, 200),
        });
    }
    of_commit(tag, fetched_commit)?;
    Ok(signer)
}

/// Verifies an annotated tag that was requested by its id, as [`verify_tag`] does. Its name is not compared: the id
/// covers it.
pub fn verify_tag_by_id(raw: &[u8], fetched_commit: CommitId, keys: &Keys) -> Result<Signer, Unverified> {
    let (tag, signer) = signed_tag(raw, keys)?;
    of_commit(tag, fetched_commit)?;
    Ok(signer)
}

fn signed_tag(raw: &[u8], keys: &Keys) -> Result<(Tag, Signer), Unverified> {
    let tag = object::tag(raw)?;
    let signer = verify(&tag.signed, keys)?;
    Ok((tag, signer))
}

fn of_commit(tag: Tag, fetched: CommitId) -> Result<(), Unverified> {
    if tag.kind == "commit" && tag.target == fetched.to_string() {
        return Ok(());
    }
    Err(Unverified::TagTarget {
        kind: tag.kind,
        target: tag.target,
        fetched,
    })
}

fn verify(signed: &Signed, keys: &Keys) -> Result<Signer, Unverified> {
    let object = signed.object;
    let malformed = |why: &str| Unverified::Malformed {
        object,
        why: why.into(),
    };
    if signed.signature.len() > MAX_SIGNATURE {
        return Err(malformed("its signature is longer than any"));
    }
    let signature =
        std::str::from_utf8(&signed.signature).map_err(|_| malformed("its signature is no text"))?;
    // Text behind the signature would not be signed.
    let block = |label: &str| {
        let end = format!("-----END {label}-----");
        let block = signature.trim_end_matches('\n');
        (block.split('\n').position(|line| line == end) == Some(block.matches('\n').count()))
            .then_some(block)
            .ok_or_else(|| malformed("its signature is cut off, or something follows it"))
    };
    let first = signature.split('\n').next().unwrap_or_default();
    match first
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_suffix("-----"))
    {
        Some(label @ ssh::LABEL) => ssh::verify(signed, block(label)?, keys),
        #[cfg(feature = "openpgp")]
        Some(label @ "PGP SIGNATURE") => openpgp::verify(signed, block(label)?, &keys.openpgp),
        #[cfg(not(feature = "openpgp"))]
        Some("PGP SIGNATURE") => Err(Unverified::Unsupported {
            object,
            what: "an OpenPGP signature (this build reads none)".into(),
        }),
        Some("PGP MESSAGE") => Err(Unverified::Unsupported {
            object,
            what: "an OpenPGP message as its signature".into(),
        }),
        Some("SIGNED MESSAGE") => Err(Unverified::Unsupported {
            object,
            what: "an X.509 signature".into(),
        }),
        _ => Err(malformed("its signature is of no known kind")),
    }
}
