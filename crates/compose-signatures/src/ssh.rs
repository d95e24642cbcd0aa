//! Verifies ssh signatures in the format SSHSIG (OpenSSH's PROTOCOL.sshsig), as git does with `ssh-keygen -Y`.

use compose_model::text;
use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, SshSig, public::KeyData};

use crate::{
    error::Unverified,
    keys::{Allowed, Keys},
    object::Signed,
    signer::{Signer, SignerKind},
};

/// The label in the first and last line of the armour.
pub(super) const LABEL: &str = "SSH SIGNATURE";

/// The namespace of everything that git signs.
const NAMESPACE: &str = "git";

/// Accepted sizes of RSA keys in bits: smaller ones are weak, larger ones are refused by the `rsa` crate.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Verifies the signature in `armoured`, which is one whole block.
pub(super) fn verify(signed: &Signed, armoured: &str, keys: &Keys) -> Result<Signer, Unverified> {
    let object = signed.object;
    let malformed = |why: String| Unverified::Malformed { object, why };
    let armoured = rewrap(armoured);
    let signature = SshSig::from_pem(&armoured)
        .map_err(|error| malformed(format!("its signature is none of a plain ssh key ({error})")))?;
    if !is_canonical(&signature, &armoured) {
        return Err(malformed("its signature is not encoded as OpenSSH does".into()));
    }
    let key = signature.public_key();
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();

    if keys.revoked.contains(key) {
        return Err(Unverified::Revoked { object, fingerprint });
    }
    let trusted: Vec<&Allowed> = keys.ssh.iter().filter(|allowed| allowed.key == *key).collect();
    if trusted.is_empty() {
        return Err(Unverified::UnknownKey { object, fingerprint });
    }
    if signature.namespace() != NAMESPACE {
        let namespace = text::escape(signature.namespace(), 80);
        return Err(Unverified::WrongNamespace { object, namespace });
    }
    PublicKey::from(key.clone())
        .verify(NAMESPACE, &signed.payload, &signature)
        .map_err(|_| Unverified::BadSignature {
            object,
            fingerprint: fingerprint.clone(),
        })?;

    // A key may be on several lines. One that admits the signature is enough; else the first refusal is reported.
    let mut refusal = None;
    for allowed in trusted {
        match admit(allowed, signed, &fingerprint) {
            Ok(()) => {
                let principal = Some(text::escape(&allowed.principals, 200));
                return Ok(Signer {
                    kind: SignerKind::Ssh,
                    fingerprint,
                    principal,
                });
            }
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.unwrap_or(Unverified::UnknownKey { object, fingerprint }))
}

/// Is the signature encoded as OpenSSH encodes it? `ssh-key` reads some encodings that OpenSSH does not (it ignores the
/// length of an ed25519 key). It cannot write signatures of ECDSA keys on tokens, which are therefore not checked.
fn is_canonical(signature: &SshSig, armoured: &str) -> bool {
    signature.algorithm() == Algorithm::SkEcdsaSha2NistP256
        || signature
            .to_pem(LineEnding::LF)
            .is_ok_and(|canonical| canonical == armoured)
}

/// Checks the options of a line. Both ends of the validity are inclusive, as for `ssh-keygen`.
fn admit(allowed: &Allowed, signed: &Signed, fingerprint: &str) -> Result<(), Unverified> {
    let (object, fingerprint, limits) = (signed.object, fingerprint.to_owned(), &allowed.limits);
    if !limits
        .namespaces
        .as_deref()
        .is_none_or(|list| matches_list(list, NAMESPACE))
    {
        return Err(Unverified::NotForGit { object, fingerprint });
    }
    match (limits.after, limits.before) {
        (Some(from), _) if signed.time < from => Err(Unverified::NotYetValid {
            object,
            fingerprint,
            signed: signed.time,
            from,
        }),
        (_, Some(until)) if signed.time > until => Err(Unverified::Expired {
            object,
            fingerprint,
            signed: signed.time,
            until,
        }),
        _ => Ok(()),
    }
}

/// A key whose signatures cannot be verified. The message completes the sentence "the key is …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableKey {
    /// An RSA key that is too small or too large.
    #[error("an RSA key of {bits} bits; {} to {} are accepted", RSA_BITS.start(), RSA_BITS.end())]
    RsaSize {
        /// The size of the key.
        bits: usize,
    },
    /// A key of a type that this program does not verify. Its name is escaped.
    #[error("of the type `{0}`, which is not supported")]
    Type(String),
}

/// Checks that signatures by this key can be verified.
pub(super) fn check_usable(key: &KeyData) -> Result<(), UnusableKey> {
    match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::Ecdsa(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            Ok(())
        }
        KeyData::Rsa(rsa) => {
            let bits = rsa.n.as_positive_bytes().map_or(0, |n| {
                n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize)
            });
            if RSA_BITS.contains(&bits) {
                Ok(())
            } else {
                Err(UnusableKey::RsaSize { bits })
            }
        }
        other => Err(UnusableKey::Type(text::escape(other.algorithm().as_str(), 80))),
    }
}

/// Wraps the armour at 70 characters. OpenSSH writes such lines and `ssh-key` reads no others; other signers wrap elsewhere.
fn rewrap(armoured: &str) -> String {
    let lines: Vec<&str> = armoured.split('\n').collect();
    let inner = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
    let base64: Vec<char> = inner.iter().flat_map(|line| line.chars()).collect();
    let mut out = format!("-----BEGIN {LABEL}-----\n");
    for line in base64.chunks(70) {
        out.extend(line);
        out.push('\n');
    }
    out.push_str(&format!("-----END {LABEL}-----\n"));
    out
}

/// Matches a pattern list of OpenSSH: comma-separated patterns with `*` and `?`; a `!` negates one.
fn matches_list(list: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_pattern(negated.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches_pattern(pattern.as_bytes(), text.as_bytes()),
        }
    }
    matched
}

fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| matches_pattern(rest, &text[skipped..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(byte, text)| (wanted == byte || *wanted == b'?') && matches_pattern(rest, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_lists_are_openssh_s() {
        for (list, matched) in [
            ("git", true),
            ("file,git", true),
            ("*", true),
            ("g?t", true),
            ("g*", true),
            ("*git*", true),
            ("**", true),
            ("file", false),
            ("", false),
            ("GIT", false),
            ("gi", false),
            ("git?", false),
            ("*,!git", false),
            ("!git,*", false),
            ("!file,git", true),
            ("!file", false),
        ] {
            assert_eq!(matches_list(list, "git"), matched, "{list:?}");
        }
    }

    #[test]
    fn armour_of_any_width_is_read_as_openssh_s() {
        let long = "A".repeat(100);
        let expected = format!(
            "-----BEGIN {LABEL}-----\n{}\n{}\n-----END {LABEL}-----\n",
            "A".repeat(70),
            "A".repeat(30)
        );
        assert_eq!(
            rewrap(&format!("-----BEGIN {LABEL}-----\n{long}\n-----END {LABEL}-----")),
            expected
        );
        for broken in [
            "",
            "-----BEGIN SSH SIGNATURE-----",
            "-----BEGIN SSH SIGNATURE----------END SSH SIGNATURE-----",
        ] {
            assert!(SshSig::from_pem(rewrap(broken)).is_err(), "{broken:?}");
        }
    }
}
