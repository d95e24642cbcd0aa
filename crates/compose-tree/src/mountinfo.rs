//! The mount points of this process's namespace, from `/proc/self/mountinfo` (proc(5)).

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Mount points, in the order they were mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountPoints(Vec<PathBuf>);

impl MountPoints {
    /// Reads them from the system.
    pub(crate) fn read() -> io::Result<Self> {
        fs::read("/proc/self/mountinfo").map(|text| Self::parse(&text))
    }

    pub(crate) fn parse(text: &[u8]) -> Self {
        let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescape);
        Self(text.split(|byte| *byte == b'\n').filter_map(point).collect())
    }

    /// Those at or below a directory.
    pub(crate) fn within<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.0
            .iter()
            .map(PathBuf::as_path)
            .filter(move |point| point.starts_with(dir))
    }

    /// A mount point below a directory that a later mount, at the directory or between the two, hides.
    pub(crate) fn hidden_below<'a>(&'a self, dir: &'a Path) -> Option<&'a Path> {
        self.within(dir).find(|point| {
            let later = self.0.iter().skip_while(|first| first != point).skip(1);
            later
                .filter(|later| later.starts_with(dir))
                .any(|later| later != point && point.starts_with(later))
        })
    }
}

/// Spaces and the like stand as `\040`: a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = (byte == b'\\')
            .then(|| std::str::from_utf8(tail.get(..3)?).ok())
            .flatten();
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                out.push(value);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_with_their_escapes() {
        let points = MountPoints::parse(
            b"36 35 98:0 /a /opt/x rw,noatime master:1 - ext3 /dev/root rw\n37 36 0:1 / /opt/x/a\\040b\\134c rw - tmpfs t rw\n",
        );
        let below: Vec<_> = points.within(Path::new("/opt/x")).collect();
        assert_eq!(below, [Path::new("/opt/x"), Path::new("/opt/x/a b\\c")]);
        assert_eq!(points.within(Path::new("/opt/x/a")).count(), 0);
    }

    #[test]
    fn a_point_is_hidden_by_what_is_mounted_over_it_later() {
        let hidden = |points: &[&str]| {
            let text: String = points
                .iter()
                .map(|point| format!("1 1 0:1 / {point} rw - x x rw\n"))
                .collect();
            let points = MountPoints::parse(text.as_bytes());
            points.hidden_below(Path::new("/home")).map(Path::to_owned)
        };
        let mount = Some(PathBuf::from("/home/mount"));
        assert_eq!(hidden(&["/", "/home", "/home/mount", "/home/mount/dev"]), None);
        assert_eq!(hidden(&["/home/mount", "/home/mount", "/home/mounts", "/"]), None);
        assert_eq!(hidden(&["/home/mount", "/home"]), mount);
        assert_eq!(hidden(&["/home", "/home/mount", "/tmp", "/home"]), mount);
    }
}
