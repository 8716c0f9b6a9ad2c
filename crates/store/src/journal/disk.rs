//! What the journal's writer needs of a disk, so that tests can give it one that fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes the files that the journal writes to.
pub trait Disk: Send {
    /// Makes a new, empty file. Errors: also if there is one of that name.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
}

/// A file that is only appended to.
pub trait DiskFile: Send {
    /// One write(2): returns how many bytes went out, which may be fewer than given.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// The same file, for the thread that makes it durable.
    fn file(&self) -> io::Result<File>;
}

/// The disk of this machine.
pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(
            OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?,
        ))
    }
}

impl DiskFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn file(&self) -> io::Result<File> {
        self.try_clone()
    }
}
