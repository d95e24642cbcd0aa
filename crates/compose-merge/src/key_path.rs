//! Formats key paths for messages.

/// Formats one component of a key path: unchanged, or as a JSON string if it contains anything but
/// letters, digits, `_` and `-`.
pub(crate) fn key_component(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
