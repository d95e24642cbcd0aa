//! A composition's record: a file beside its tree.
//!
//! It names the user's operations repo (a path that leads into a composition means that repo) and
//! everything that was staged, so that files the pipeline wrote can be told apart.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read as _, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::names::{ACTIVE, COMPOSITION, RECORD, TREE};

/// The record's first field. Another format would get another number.
const MAGIC: &[u8] = b"bitops-compose composition 1";

/// The largest record in bytes: ten times that of a million names of the usual length.
const LARGEST: u64 = 256 << 20;

/// The origin of a composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The environment that was composed.
    pub(crate) environment: String,
    /// The user's operations repo that it was composed over.
    pub(crate) root: PathBuf,
    /// The link's target that shows the user's repo.
    pub(crate) back: PathBuf,
}

/// What was staged under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StagedKind {
    /// A real directory.
    Directory,
    /// A composed file.
    File,
    /// A link to the user's own file or directory, or a recreated link of the user's.
    Users,
}

impl StagedKind {
    fn byte(self) -> u8 {
        match self {
            StagedKind::Directory => b'd',
            StagedKind::File => b'f',
            StagedKind::Users => b'u',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [StagedKind::Directory, StagedKind::File, StagedKind::Users]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }
}

/// The names that were staged in each real directory, by its path below the tree ("" is the tree's
/// root).
pub(crate) type Listing = BTreeMap<PathBuf, BTreeMap<OsString, StagedKind>>;

impl Record {
    /// Writes the record with the names in each directory.
    pub(crate) fn write<'a, N: Iterator<Item = (&'a OsStr, StagedKind)>>(
        &self,
        composition: &Path,
        dirs: impl Iterator<Item = (&'a Path, N)>,
    ) -> io::Result<()> {
        let mut out = io::BufWriter::new(fs::File::create(composition.join(RECORD))?);
        for field in [
            MAGIC,
            self.environment.as_bytes(),
            self.root.as_os_str().as_bytes(),
            self.back.as_os_str().as_bytes(),
        ] {
            out.write_all(field)?;
            out.write_all(b"\0")?;
        }
        for (dir, names) in dirs {
            // Only directories are written with a leading slash: no name contains one.
            out.write_all(b"/")?;
            out.write_all(dir.as_os_str().as_bytes())?;
            out.write_all(b"\0")?;
            for (name, kind) in names {
                out.write_all(&[kind.byte()])?;
                out.write_all(name.as_bytes())?;
                out.write_all(b"\0")?;
            }
        }
        // Runs of other users read it as well.
        out.into_inner()?
            .set_permissions(fs::Permissions::from_mode(0o644))
    }

    /// Reads the record. Returns `None` if the directory is not a complete composition.
    pub(crate) fn read(composition: &Path) -> Option<Self> {
        let bytes = read(composition).ok()?;
        Self::parse(&bytes).map(|(record, _)| record)
    }

    /// Reads the record of the composition that a link names. It is used if it belongs to this user,
    /// to root, or to the link's owner, who could give the link any target.
    pub(crate) fn read_behind(link: &Path, composition: &Path) -> Option<Self> {
        let of_link = fs::symlink_metadata(link).ok()?.uid();
        Self::read_of(composition, &[of_link])
    }

    /// Reads the record of a composition that a path leads into. It is used if it belongs to this
    /// user, to root, to the owner of a home that no other user can write to, or to the owner of the
    /// home's link, if that shows this composition.
    pub(crate) fn read_trusted(composition: &Path) -> Option<Self> {
        let home = composition.parent()?;
        let mut owners = Vec::new();
        let found = fs::metadata(home).ok()?;
        if found.mode() & 0o022 == 0 {
            owners.push(found.uid());
        }
        let link = home.join(ACTIVE);
        let shows = |shown: PathBuf| fs::canonicalize(composition).is_ok_and(|own| shown.starts_with(own));
        if fs::canonicalize(&link).is_ok_and(shows) {
            owners.push(fs::symlink_metadata(&link).ok()?.uid());
        }
        Self::read_of(composition, &owners)
    }

    fn read_of(composition: &Path, owners: &[u32]) -> Option<Self> {
        let own = rustix::process::geteuid().as_raw();
        let owner = fs::symlink_metadata(composition.join(RECORD)).ok()?.uid();
        let is_trusted = owner == own || owner == 0 || owners.contains(&owner);
        is_trusted.then(|| Self::read(composition)).flatten()
    }

    /// Reads the record with the staged names.
    pub(crate) fn read_all(composition: &Path) -> io::Result<(Self, Listing)> {
        let bytes = read(composition)?;
        let (record, rest) = Self::parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok((record, listing(rest)))
    }

    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = bytes;
        let mut field = || {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let (field, after) = rest.split_at(end);
            rest = &after[1..];
            Some(field)
        };
        if field()? != MAGIC {
            return None;
        }
        let environment = String::from_utf8(field()?.to_vec()).ok()?;
        let root = path(field()?);
        let back = path(field()?);
        let record = Self {
            environment,
            root,
            back,
        };
        Some((record, rest))
    }
}

/// Reads a record's file. Another user may have put anything there.
fn read(composition: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(flags)
        .open(composition.join(RECORD))?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

fn listing(bytes: &[u8]) -> Listing {
    let mut listing = Listing::new();
    let mut dir = PathBuf::new();
    for field in bytes.split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'/', name)) => {
                dir = path(name);
                listing.entry(dir.clone()).or_default();
            }
            Some((byte, name)) => {
                if let Some(kind) = StagedKind::of(*byte) {
                    let names = listing.entry(dir.clone()).or_default();
                    names.insert(OsStr::from_bytes(name).to_owned(), kind);
                }
            }
            None => {}
        }
    }
    listing
}

/// Returns the composition that a path leads into, judged by its names alone, and the rest of the
/// path below its tree.
pub(crate) fn composition_above(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut above = PathBuf::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        above.push(component);
        let starts = matches!(component, Component::Normal(name) if name.as_bytes().starts_with(COMPOSITION.as_bytes()));
        if starts && components.peek() == Some(&Component::Normal(TREE.as_ref())) {
            components.next();
            return Some((above, components.collect()));
        }
    }
    None
}

/// Returns the path in the user's repo if `path` leads into a composition, else `None`.
pub(crate) fn users_path(path: &Path) -> Option<PathBuf> {
    let (composition, below) = composition_above(path)?;
    let record = Record::read_trusted(&composition)?;
    // Joining "" would add a slash.
    Some(if below.as_os_str().is_empty() {
        record.root
    } else {
        record.root.join(below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_names_survives_writing_and_reading() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record {
            environment: "dev".into(),
            root: OsString::from_vec(b"/home/\xff\n".to_vec()).into(),
            back: "mount".into(),
        };
        let names = |names: &[(&[u8], StagedKind)]| {
            let owned = |(name, kind): &(&[u8], StagedKind)| (OsStr::from_bytes(name).to_owned(), *kind);
            names.iter().map(owned).collect::<BTreeMap<_, _>>()
        };
        let listing: Listing = [
            (
                PathBuf::new(),
                names(&[(b"dev", StagedKind::Directory), (b"\xff\n", StagedKind::Users)]),
            ),
            (
                PathBuf::from("dev"),
                names(&[(b"f", StagedKind::File), (b"u", StagedKind::Users)]),
            ),
            (PathBuf::from("empty"), BTreeMap::new()),
        ]
        .into();
        let names = |names: &'_ BTreeMap<OsString, StagedKind>| {
            let pairs = names.iter().map(|(name, kind)| (name.clone(), *kind));
            pairs.collect::<Vec<_>>()
        };
        let owned: Vec<_> = listing
            .iter()
            .map(|(dir, all)| (dir.clone(), names(all)))
            .collect();
        let dirs = owned.iter().map(|(dir, all)| {
            let names = all.iter().map(|(name, kind)| (name.as_os_str(), *kind));
            (dir.as_path(), names)
        });
        record.write(dir.path(), dirs).unwrap();
        assert_eq!(Record::read(dir.path()), Some(record.clone()));
        assert_eq!(Record::read_all(dir.path()).unwrap(), (record, listing));
        fs::write(dir.path().join(RECORD), "something else\0dev\0/\0mount\0").unwrap();
        assert_eq!(Record::read(dir.path()), None);
    }

    #[test]
    fn a_path_into_a_composition_is_recognized_by_its_names() {
        let above = |path: &str| {
            composition_above(Path::new(path))
                .map(|(composition, below)| (composition.display().to_string(), below.display().to_string()))
        };
        let found = |composition: &str, below: &str| Some((composition.to_owned(), below.to_owned()));
        assert_eq!(
            above("/home/composition.x/tree"),
            found("/home/composition.x", "")
        );
        assert_eq!(above("composition.x/tree/dev/a"), found("composition.x", "dev/a"));
        assert_eq!(above("/home/composition.x/other"), None);
        assert_eq!(above("/home/composition.x"), None);
        assert_eq!(above("/home/mount"), None);
    }
}
