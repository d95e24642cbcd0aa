//! Checks the header of a pack before gix reads and indexes it.

use std::{io, path::Path, sync::atomic::AtomicBool};

use gix::progress::DynNestedProgress;

/// A pack whose announced number of objects was checked: gix reserves memory for all of them.
pub(crate) struct CheckedPack<'a> {
    header: io::Cursor<[u8; 12]>,
    rest: &'a mut dyn io::BufRead,
}

pub(crate) enum Unusable {
    Broken(io::Error),
    TooMany(u32),
}

impl<'a> CheckedPack<'a> {
    pub(crate) fn read(rest: &'a mut dyn io::BufRead, most: u32) -> Result<Self, Unusable> {
        let mut header = [0; 12];
        rest.read_exact(&mut header).map_err(Unusable::Broken)?;
        let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if count > most {
            return Err(Unusable::TooMany(count));
        }
        Ok(Self {
            header: io::Cursor::new(header),
            rest,
        })
    }

    /// Writes the pack and its index into a directory. No single allocation for an object exceeds
    /// `allocation` bytes.
    pub(crate) fn index(
        mut self,
        into: &Path,
        allocation: u64,
        progress: &mut dyn DynNestedProgress,
        interrupt: &AtomicBool,
    ) -> Result<gix::odb::pack::bundle::write::Outcome, gix::Error> {
        let options = gix::odb::pack::bundle::write::Options {
            // Repos are already fetched in parallel.
            thread_limit: Some(1),
            alloc_limit_bytes: usize::try_from(allocation).ok(),
            ..Default::default()
        };
        gix::odb::pack::Bundle::write_to_directory(
            &mut self,
            Some(into),
            progress,
            interrupt,
            None::<gix::odb::Handle>,
            gix::hash::Kind::Sha1,
            options,
        )
    }

    fn in_header(&self) -> bool {
        self.header.position() < 12
    }
}

impl io::Read for CheckedPack<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.in_header() {
            self.header.read(buffer)
        } else {
            self.rest.read(buffer)
        }
    }
}

impl io::BufRead for CheckedPack<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.in_header() {
            self.header.fill_buf()
        } else {
            self.rest.fill_buf()
        }
    }

    fn consume(&mut self, amount: usize) {
        if self.in_header() {
            self.header.consume(amount);
        } else {
            self.rest.consume(amount);
        }
    }
}
