//! Conversion of object ids between this project and gix.

use compose_model::ObjectId;

/// Converts an id to gix's type.
pub(crate) fn to_gix(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// Converts an id from gix's type. Returns `None` if the hash is not SHA-1.
pub(crate) fn from_gix(id: &gix::oid) -> Option<ObjectId> {
    <[u8; 20]>::try_from(id.as_bytes()).ok().map(ObjectId::from_bytes)
}
