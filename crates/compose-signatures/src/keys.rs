//! The trusted keys.

use ssh_key::public::KeyData;

#[cfg(feature = "openpgp")]
use crate::openpgp::Certificate;

/// The keys that are trusted to sign, and the revoked ones.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub(crate) ssh: Vec<Allowed>,
    pub(crate) revoked: Vec<KeyData>,
    #[cfg(feature = "openpgp")]
    pub(crate) openpgp: Vec<Certificate>,
}

/// One line: a key that may sign, with the times and the purposes that it may sign for.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    /// The list of patterns as written. It is shown, not matched: any trusted key may sign.
    pub(crate) principals: String,
    pub(crate) key: KeyData,
    pub(crate) limits: Limits,
}

/// The options of a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// `namespaces=`
    pub(crate) namespaces: Option<String>,
    /// `valid-after=`, seconds since 1970
    pub(crate) after: Option<i64>,
    /// `valid-before=`, seconds since 1970
    pub(crate) before: Option<i64>,
}
