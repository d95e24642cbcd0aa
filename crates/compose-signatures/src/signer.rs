//! Who signed an object.

/// The signer of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The kind of key.
    pub kind: SignerKind,
    /// `SHA256:…` as `ssh-keygen -l` prints it; for OpenPGP the primary key's fingerprint in upper-case hexadecimal
    /// digits, which stays the same when signing subkeys change.
    pub fingerprint: String,
    /// The name of the key in the trusted keys: the principals of an ssh key, the user id of an OpenPGP key. Escaped
    /// for printing.
    pub principal: Option<String>,
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignerKind {
    /// An ssh key.
    Ssh,
    /// An OpenPGP key.
    OpenPgp,
}
