//! Verifies OpenPGP signatures (RFC 9580, and 4880 before it). The `pgp` crate checks the cryptography; this module
//! decides which keys may sign, and when.

use std::fmt;

use compose_model::text;
use pgp::{
    composed::{Deserializable, DetachedSignature, SignedPublicKey},
    crypto::{hash::HashAlgorithm, public_key::PublicKeyAlgorithm},
    packet::{PublicKey, PublicSubkey, Signature, SignatureType, SignatureVersion, Subpacket, SubpacketData},
    ser::Serialize,
    types::{KeyDetails, SignedUser, Tag, VerifyingKey},
};

use crate::{
    error::Unverified,
    object::Signed,
    signer::{Signer, SignerKind},
};

/// A trusted key with those of its subkeys that may sign.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The primary key's fingerprint in upper-case hexadecimal digits.
    fingerprint: String,
    user_id: Option<String>,
    signing: Vec<SigningKey>,
}

/// A primary key or subkey that may sign.
#[derive(Clone, Debug)]
struct SigningKey {
    key: Key,
    revoked: bool,
    /// The end of its validity in seconds since 1970: its own or its primary key's, whichever is earlier.
    until: Option<i64>,
}

#[derive(Clone, Debug)]
enum Key {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

/// Why a block of keys is refused.
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Parses one armoured block, which may hold several keys.
pub(super) fn parse(block: &str) -> Result<Vec<Certificate>, Refused> {
    let unreadable = |error: &dyn fmt::Display| Refused {
        message: format!(
            "the OpenPGP keys cannot be read: {}",
            text::escape(&error.to_string(), 200)
        ),
        hint: "export them again: `gpg --armor --export FINGERPRINT`".into(),
    };
    let (keys, _) = SignedPublicKey::from_armor_many(block.as_bytes()).map_err(|error| unreadable(&error))?;
    let mut certificates = Vec::new();
    for key in keys {
        certificates.push(certificate(&key.map_err(|error| unreadable(&error))?)?);
    }
    if certificates.is_empty() {
        Err(unreadable(&"the block is empty"))
    } else {
        Ok(certificates)
    }
}

fn certificate(public: &SignedPublicKey) -> Result<Certificate, Refused> {
    let primary = &public.primary_key;
    let fingerprint = format!("{:X}", primary.fingerprint());
    // The file is trusted: a revocation in it needs no proof.
    let revoked = !public.details.revocation_signatures.is_empty();
    let users: Vec<(&SignedUser, &Signature)> = public
        .details
        .users
        .iter()
        .filter_map(|user| Some((user, binding_of(user, primary)?)))
        .collect();
    // The newest self-signature counts, whether it is on a user id or direct.
    let direct = public
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok());
    let own = newest(users.iter().map(|(_, signature)| *signature).chain(direct));

    let mut signing = Vec::new();
    let until = own.and_then(|own| expiry(own, primary));
    if own.is_some_and(|own| own.key_flags().sign()) {
        signing.push(SigningKey {
            key: Key::Primary(Box::new(primary.clone())),
            revoked,
            until,
        });
    }
    for subkey in public.public_subkeys.iter().filter(|_| own.is_some()) {
        let (revocations, bindings): (Vec<_>, Vec<_>) = subkey
            .signatures
            .iter()
            .partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
        let bindings = bindings
            .into_iter()
            .filter(|binding| binding.verify_subkey_binding(primary, &subkey.key).is_ok());
        let Some(binding) = newest(bindings).filter(|binding| binding.key_flags().sign()) else {
            continue;
        };
        // The subkey must have signed back, or a certificate could claim someone else's subkey.
        let Some(agreed) = binding.embedded_signature() else {
            continue;
        };
        if agreed.verify_primary_key_binding(&subkey.key, primary).is_err() {
            continue;
        }
        signing.push(SigningKey {
            key: Key::Subkey(Box::new(subkey.key.clone())),
            revoked: revoked || !revocations.is_empty(),
            until: [until, expiry(binding, &subkey.key)].into_iter().flatten().min(),
        });
    }
    if signing.is_empty() {
        return Err(Refused {
            message: format!("the OpenPGP key {fingerprint} may not sign"),
            hint: "export it again with its user ids and signing subkeys: `gpg --armor --export FINGERPRINT`"
                .into(),
        });
    }
    if let Some(weak) = signing.iter().find_map(|signing| signing.key.weakness()) {
        return Err(Refused {
            message: format!("the OpenPGP key {fingerprint} signs by {weak}, which is not supported"),
            hint: "make a new key: `gpg --quick-generate-key NAME ed25519 sign`".into(),
        });
    }
    let user_id = users
        .iter()
        .find(|(_, signature)| signature.is_primary())
        .or(users.first())
        .map(|(user, _)| text::escape(&String::from_utf8_lossy(user.id.id()), 200));
    Ok(Certificate {
        fingerprint,
        user_id,
        signing,
    })
}

/// The newest self-signature of a user id, unless that is a revocation.
fn binding_of<'a>(user: &'a SignedUser, primary: &PublicKey) -> Option<&'a Signature> {
    let own = user.signatures.iter().filter(|signature| {
        signature
            .verify_certification(primary, Tag::UserId, &user.id)
            .is_ok()
    });
    newest(own).filter(|signature| signature.typ() != Some(SignatureType::CertRevocation))
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created())
}

/// The end of a key according to this self-signature; zero seconds mean never.
fn expiry(word: &Signature, key: &impl KeyDetails) -> Option<i64> {
    let lasts = word
        .key_expiration_time()
        .map(|lasts| i64::from(lasts.as_secs()))
        .filter(|lasts| *lasts != 0)?;
    Some(i64::from(key.created_at().as_secs()) + lasts)
}

impl Key {
    fn details(&self) -> &dyn KeyDetails {
        match self {
            Key::Primary(key) => key.as_ref(),
            Key::Subkey(key) => key.as_ref(),
        }
    }

    fn verify(&self, signature: &Signature, payload: &[u8]) -> bool {
        fn is_by(signature: &Signature, key: &impl VerifyingKey, payload: &[u8]) -> bool {
            signature.verify(key, payload).is_ok()
        }
        match self {
            Key::Primary(key) => is_by(signature, key.as_ref(), payload),
            Key::Subkey(key) => is_by(signature, key.as_ref(), payload),
        }
    }

    /// What makes the key's algorithm too weak, if anything.
    fn weakness(&self) -> Option<String> {
        let details = self.details();
        match details.algorithm() {
            PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::RSASign => {
                // The modulus comes first, and begins with its length in bits (RFC 9580, 3.2).
                let bits = match details.public_params().to_bytes().ok()?.get(..2) {
                    Some(&[high, low]) => u16::from_be_bytes([high, low]),
                    _ => 0,
                };
                (bits < 2048).then(|| format!("RSA of {bits} bits"))
            }
            PublicKeyAlgorithm::EdDSALegacy
            | PublicKeyAlgorithm::Ed25519
            | PublicKeyAlgorithm::Ed448
            | PublicKeyAlgorithm::ECDSA => None,
            other => Some(format!("{other:?}")),
        }
    }

    fn is_issuer_of(&self, signature: &Signature) -> bool {
        let details = self.details();
        let fingerprints = signature.issuer_fingerprint();
        if fingerprints.is_empty() {
            let id = details.legacy_key_id();
            signature.issuer_key_id().into_iter().any(|issuer| *issuer == id)
        } else {
            let fingerprint = details.fingerprint();
            fingerprints.into_iter().any(|issuer| *issuer == fingerprint)
        }
    }
}

/// Verifies the signature in `armoured`, which is one whole block.
pub(super) fn verify(
    signed: &Signed,
    armoured: &str,
    certificates: &[Certificate],
) -> Result<Signer, Unverified> {
    let object = signed.object;
    let signature = read(signed, armoured)?;
    // A key may be listed twice, exported at different times.
    let keys = certificates
        .iter()
        .flat_map(|trusted| trusted.signing.iter().map(move |key| (trusted, key)));
    let issuers: Vec<_> = keys.filter(|(_, key)| key.key.is_issuer_of(&signature)).collect();
    let Some((first, _)) = issuers.first() else {
        return Err(Unverified::UnknownKey {
            object,
            fingerprint: issuer(&signature),
        });
    };
    if let Some((trusted, _)) = issuers.iter().find(|(_, key)| key.revoked) {
        return Err(Unverified::Revoked {
            object,
            fingerprint: trusted.fingerprint.clone(),
        });
    }
    let signers = issuers
        .iter()
        .filter(|(_, key)| key.key.verify(&signature, &signed.payload));
    let Some((trusted, key)) = signers.max_by_key(|(_, key)| key.until.unwrap_or(i64::MAX)) else {
        return Err(Unverified::BadSignature {
            object,
            fingerprint: first.fingerprint.clone(),
        });
    };
    let fingerprint = trusted.fingerprint.clone();
    let Some(made) = signature.created().map(|created| i64::from(created.as_secs())) else {
        return Err(Unverified::Malformed {
            object,
            why: "its signature tells no time".into(),
        });
    };
    let from = i64::from(key.key.details().created_at().as_secs());
    if made < from {
        return Err(Unverified::NotYetValid {
            object,
            fingerprint,
            signed: made,
            from,
        });
    }
    if let Some(until) = key.until.filter(|until| made >= *until) {
        return Err(Unverified::Expired {
            object,
            fingerprint,
            signed: made,
            until,
        });
    }
    Ok(Signer {
        kind: SignerKind::OpenPgp,
        fingerprint,
        principal: trusted.user_id.clone(),
    })
}

/// Reads the one signature of a block, and refuses kinds that prove too little.
fn read(signed: &Signed, armoured: &str) -> Result<Signature, Unverified> {
    let object = signed.object;
    let malformed = |why: &dyn fmt::Display| Unverified::Malformed {
        object,
        why: format!(
            "its signature cannot be read ({})",
            text::escape(&why.to_string(), 200)
        ),
    };
    let unsupported = |what: String| Unverified::Unsupported { object, what };
    let (mut signatures, _) =
        DetachedSignature::from_armor_many(armoured.as_bytes()).map_err(|error| malformed(&error))?;
    let first = signatures
        .next()
        .ok_or_else(|| malformed(&"it is empty"))?
        .map_err(|error| malformed(&error))?;
    if signatures.next().is_some() {
        return Err(malformed(&"several in one"));
    }
    let signature = first.signature;
    let Some(config) = signature.config() else {
        return Err(unsupported("an OpenPGP signature of another version".into()));
    };
    if !matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err(unsupported(format!(
            "an OpenPGP signature of version {}",
            u8::from(signature.version())
        )));
    }
    if config.typ() != SignatureType::Binary {
        return Err(unsupported(format!(
            "an OpenPGP signature of the type {:?}",
            config.typ()
        )));
    }
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    if !matches!(config.hash_alg, Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512) {
        return Err(unsupported(format!(
            "an OpenPGP signature with the hash {}",
            config.hash_alg
        )));
    }
    // Without a clock it is unknown whether the signature has expired.
    if signature
        .signature_expiration_time()
        .is_some_and(|lasts| lasts.as_secs() != 0)
    {
        return Err(unsupported("a signature that expires".into()));
    }
    if config.hashed_subpackets().any(is_unknown_and_critical) {
        return Err(unsupported(
            "an OpenPGP signature with a condition of its own".into(),
        ));
    }
    Ok(signature)
}

/// An unknown critical subpacket makes a signature invalid (RFC 9580, 5.2.3.7).
fn is_unknown_and_critical(subpacket: &Subpacket) -> bool {
    use SubpacketData::{Experimental, Notation, Other};
    subpacket.is_critical && matches!(subpacket.data, Experimental(..) | Notation(_) | Other(..))
}

/// The issuer that the signature names.
fn issuer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return format!("{fingerprint:X}");
    }
    signature
        .issuer_key_id()
        .first()
        .map_or_else(|| "an unnamed key".into(), |id| id.to_string().to_uppercase())
}
