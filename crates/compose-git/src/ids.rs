//! Object ids here and in gix.

use compose_model::ObjectId;

/// Our id as gix's.
pub(crate) fn to_gix(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// gix's id as ours; `None` for a hash that is not SHA-1.
pub(crate) fn from_gix(id: &gix::oid) -> Option<ObjectId> {
    <[u8; 20]>::try_from(id.as_bytes()).ok().map(ObjectId::from_bytes)
}
