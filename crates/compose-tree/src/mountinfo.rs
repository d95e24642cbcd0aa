//! The mount points of this process's mount namespace, from `/proc/self/mountinfo` (proc(5)).

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Mount points in the order in which they were mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountPoints(Vec<PathBuf>);

impl MountPoints {
    /// Reads the mount points from the system.
    pub(crate) fn read() -> io::Result<Self> {
        fs::read("/proc/self/mountinfo").map(|text| Self::parse(&text))
    }

    pub(crate) fn parse(text: &[u8]) -> Self {
        let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescape);
        Self(text.split(|byte| *byte == b'\n').filter_map(point).collect())
    }

    /// Returns the mount points at or below a directory.
    pub(crate) fn within<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.0
            .iter()
            .map(PathBuf::as_path)
            .filter(move |point| point.starts_with(dir))
    }

    /// Returns whether something is mounted at exactly this path.
    pub(crate) fn has(&self, place: &Path) -> bool {
        self.0.iter().any(|point| point == place)
    }

    /// Returns a mount point below a directory that a later mount, at the directory or between the
    /// two, hides.
    pub(crate) fn hidden_below<'a>(&'a self, dir: &'a Path) -> Option<&'a Path> {
        self.within(dir).find(|point| {
            let later = self.0.iter().skip_while(|first| first != point).skip(1);
            later
                .filter(|later| later.starts_with(dir))
                .any(|later| later != point && point.starts_with(later))
        })
    }
}

/// Decodes a field, in which spaces and the like are written as `\040`: a backslash and three octal
/// digits.
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
    use compose_testkit::fuzz::feed;

    use super::*;

    #[test]
    fn escaped_mount_points_are_decoded() {
        let points = MountPoints::parse(
            b"36 35 98:0 /a /opt/x rw,noatime master:1 - ext3 /dev/root rw\n37 36 0:1 / /opt/x/a\\040b\\134c rw - tmpfs t rw\n",
        );
        let below: Vec<_> = points.within(Path::new("/opt/x")).collect();
        assert_eq!(below, [Path::new("/opt/x"), Path::new("/opt/x/a b\\c")]);
        assert_eq!(points.within(Path::new("/opt/x/a")).count(), 0);
    }

    #[test]
    fn a_later_mount_above_hides_a_mount_point() {
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
    /// Formats a mount point as the kernel does.
    fn line(point: &Path) -> Vec<u8> {
        let mut line = b"36 35 98:0 / ".to_vec();
        for byte in point.as_os_str().as_encoded_bytes() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b'#' => line.extend(format!("\\{byte:03o}").bytes()),
                byte => line.push(*byte),
            }
        }
        line.extend(b" rw,noatime - ext3 /dev/root rw\n");
        line
    }

    #[test]
    fn damaged_lines_give_points_that_survive_a_round_trip() {
        let seeds = [
            "36 35 98:0 /a /opt/x rw,noatime master:1 - ext3 /dev/root rw\n37 36 0:1 / /opt/x/a\\040b\\134c rw - tmpfs t rw\n",
            "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /opt/x/mount rw - x x rw\n3 1 0:2 / /opt/x rw - x x rw\n",
        ];
        let pieces: [&[u8]; 16] = [
            b" ", b"  ", b"\n", b"/", b"//", b"/..", b"\\", b"\\04", b"\\040", b"\\777", b"\\+12", b"\\000",
            b"\0", b"\xff", b"/opt/x", b"-",
        ];
        feed(1000, &seeds, &pieces, |text, _| {
            let points = MountPoints::parse(text);
            let written: Vec<u8> = points.0.iter().flat_map(|point| line(point)).collect();
            assert_eq!(MountPoints::parse(&written), points);
            let dir = Path::new("/opt/x");
            assert!(points.within(dir).all(|point| point.starts_with(dir)));
            if let Some(hidden) = points.hidden_below(dir) {
                assert!(hidden.starts_with(dir) && hidden != dir);
            }
        });
    }
}
