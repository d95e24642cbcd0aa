//! Git object ids (SHA-1), with a type for each kind of object so that they cannot be mixed up.

use std::{fmt, str::FromStr};

/// A 20-byte SHA-1 object id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

/// The error for a text that is not a full object id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a full commit id (40 hexadecimal digits)")]
pub struct InvalidId;

impl ObjectId {
    /// Creates an id from its bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Returns whether the id is all zeros, which git uses for "no object".
    pub fn is_null(&self) -> bool {
        self.0 == [0; 20]
    }
}

impl FromStr for ObjectId {
    type Err = InvalidId;

    /// Takes exactly 40 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.as_bytes();
        if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidId);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidId)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidId)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub ObjectId);

        impl $name {
            /// Returns the first nine digits, for messages.
            pub fn abbreviated(&self) -> String {
                self.0.to_string()[..9].to_owned()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The id of a commit.
    CommitId
);
id!(
    /// The id of a tree.
    TreeId
);
id!(
    /// The id of a blob.
    BlobId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_forty_hex_digits() {
        let text = "0123456789abcdef0123456789ABCDEF01234567";
        assert_eq!(text.parse::<CommitId>().unwrap().to_string(), text.to_lowercase());
        for bad in [
            "",
            "0123",
            "main",
            &"0".repeat(41),
            &"g".repeat(40),
            &format!("+{}", "0".repeat(39)),
        ] {
            assert_eq!(bad.parse::<CommitId>(), Err(InvalidId), "{bad}");
        }
    }
}
