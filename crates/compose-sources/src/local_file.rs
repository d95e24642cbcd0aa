//! Files of this machine that a config names, or that stand beside it.
//!
//! A config may come from anywhere, and must not be a way to read or to write other files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use compose_git::read_bounded as read;

/// Returns the path of a file with its links resolved, which must be below one of `roots`.
pub(crate) fn resolve_below(path: &Path, roots: &[&Path]) -> io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    for root in roots {
        if fs::canonicalize(root).is_ok_and(|root| real.starts_with(root)) {
            return Ok(real);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it leads out of the operations repo",
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("larger than 4"));
        assert_eq!(
            read(dir.path(), 5).unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
        assert_eq!(read(Path::new("/dev/null"), 5).unwrap(), b"");
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&large, 5).unwrap_err().to_string().contains("larger than 5"));
        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for special in [fifo.as_path(), Path::new("/dev/zero")] {
            let error = read(special, 5).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{}", special.display());
        }
    }

    #[test]
    fn no_path_and_no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repo");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("keys"), "").unwrap();
        fs::write(dir.path().join("secret"), "").unwrap();
        symlink("keys", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        for path in ["keys", "inside", "up/repo/keys"] {
            assert!(resolve_below(&root.join(path), &[&root]).is_ok(), "{path}");
        }
        for path in ["outside", "../secret", "up/secret"] {
            let error = resolve_below(&root.join(path), &[&root]).unwrap_err();
            assert_eq!(error.to_string(), "it leads out of the operations repo", "{path}");
        }
    }
}
