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

/// Returns the id that git gives to a file with these bytes.
pub fn blob_id(bytes: &[u8]) -> compose_model::BlobId {
    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, bytes);
    let id = id.ok().and_then(|id| from_gix(&id));
    compose_model::BlobId(id.unwrap_or(ObjectId::from_bytes([0; 20])))
}
