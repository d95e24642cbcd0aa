//! `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_<n>` and `GIT_CONFIG_VALUE_<n>`: values of git's
//! configuration in the environment.

use crate::options::Options;

/// The most values that are read.
const MOST: usize = 10_000;

/// Returns the values in their order, each as a file of configuration. What git would refuse is
/// skipped with a warning.
pub(super) fn files(options: &Options) -> Vec<gix::config::File> {
    let Some(count) = options.utf8_variable("GIT_CONFIG_COUNT") else {
        return Vec::new();
    };
    let Some(count) = count.trim().parse::<usize>().ok().filter(|count| *count <= MOST) else {
        tracing::warn!("GIT_CONFIG_COUNT is not a number of values, and is ignored");
        return Vec::new();
    };
    let mut files = Vec::new();
    for number in 0..count {
        let key = format!("GIT_CONFIG_KEY_{number}");
        let value = options
            .environment
            .get(std::ffi::OsStr::new(&format!("GIT_CONFIG_VALUE_{number}")))
            .and_then(|value| value.to_str());
        let file = options
            .utf8_variable(&key)
            .zip(value)
            .and_then(|(key, value)| file_of_one_value(key, value))
            .and_then(|text| {
                let metadata = gix::config::file::Metadata::from(gix::config::Source::Env);
                gix::config::File::from_bytes_no_includes(text.as_bytes(), metadata, Default::default()).ok()
            });
        match file {
            Some(file) => files.push(file),
            None => tracing::warn!("{key} is not a key of git's configuration with a value, and is ignored"),
        }
    }
    files
}

/// Writes one value as a file: a key is `section.name` or `section.SUBSECTION.name`.
fn file_of_one_value(key: &str, value: &str) -> Option<String> {
    let (section, rest) = key.split_once('.')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let (subsection, name) = match rest.rsplit_once('.') {
        Some((subsection, name)) => (Some(subsection), name),
        None => (None, rest),
    };
    if !is_name(section) || !is_name(name) || subsection.is_some_and(|text| text.contains('\n')) {
        return None;
    }
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let subsection = subsection.map_or_else(String::new, |text| format!(" \"{}\"", escape(text)));
    let value = escape(value).replace('\n', "\\n").replace('\t', "\\t");
    Some(format!("[{section}{subsection}]\n{name} = \"{value}\"\n"))
}
