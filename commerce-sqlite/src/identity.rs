//! Whether the files that a database is in are still those that were opened. SQLite goes on writing to a file that was deleted
//! or replaced, and all of that is lost with the process.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What is appended to the database's name in those of the files beside it: the write-ahead log, and the memory that all
/// processes share.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The files of an open database, by what they are called and by what they are. They are never opened: closing a file gives up
/// all locks of the process on it, SQLite's too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    database: Option<(PathBuf, FileId)>,
    beside: Vec<(PathBuf, FileId)>,
}

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|file| Self(file.dev(), file.ino()))
    }
}

/// How a file has gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    #[error("{} was deleted while it was open", .0.display())]
    Deleted(PathBuf),
    #[error("{} was replaced while it was open; restart the server to use the new file", .0.display())]
    Replaced(PathBuf),
    #[error("{} was emptied while it was open", .0.display())]
    Emptied(PathBuf),
}

impl From<Gone> for sqlx::Error {
    fn from(gone: Gone) -> Self {
        Self::Io(io::Error::other(gone))
    }
}

fn check((path, id): &(PathBuf, FileId)) -> Result<(), Gone> {
    match FileId::of(path) {
        Ok(found) if found == *id => Ok(()),
        Ok(_) => Err(Gone::Replaced(path.clone())),
        Err(_) => Err(Gone::Deleted(path.clone())),
    }
}

impl Identity {
    /// Of the database at this path, which is open; nothing, if it isn't in a file.
    pub(crate) fn of(database: &Path) -> Self {
        let file = FileId::of(database).ok().map(|id| (database.to_owned(), id));
        let mut files = Self { database: file, beside: Vec::new() };
        files.note_beside();
        files
    }

    /// Notes which files are beside it, now that a connection uses them. They go and come again when the last connection is
    /// closed and the next one opened.
    pub(crate) fn note_beside(&mut self) {
        let Some((database, _)) = &self.database else { return };
        let paths = BESIDE.iter().map(|suffix| with_suffix(database, suffix));
        self.beside = paths.filter_map(|path| FileId::of(&path).ok().map(|id| (path, id))).collect();
    }

    /// Whether every file is where it was. These few system calls cost a small part of a commit.
    pub(crate) fn check(&self) -> Result<(), Gone> {
        self.check_database()?;
        self.beside.iter().try_for_each(check)
    }

    /// The same of the database alone, which mustn't be empty either.
    pub(crate) fn check_database(&self) -> Result<(), Gone> {
        let Some(database) = &self.database else { return Ok(()) };
        check(database)?;
        match fs::metadata(&database.0) {
            Ok(file) if file.len() > 0 => Ok(()),
            _ => Err(Gone::Emptied(database.0.clone())),
        }
    }
}

/// The name of a file beside a database.
pub(crate) fn with_suffix(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_goes_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let [database, log, aside] = ["shop.db", "shop.db-wal", "aside"].map(|name| folder.path().join(name));
        fs::write(&database, "x").unwrap();
        fs::write(&log, "").unwrap();
        let files = Identity::of(&database);
        files.check().unwrap();

        fs::rename(&log, &aside).unwrap();
        assert!(matches!(files.check(), Err(Gone::Deleted(path)) if path == log));
        fs::write(&log, "").unwrap();
        assert!(matches!(files.check(), Err(Gone::Replaced(path)) if path == log));
        fs::rename(&aside, &log).unwrap();
        files.check().unwrap();

        fs::write(&database, "").unwrap();
        assert!(matches!(files.check(), Err(Gone::Emptied(path)) if path == database));
        fs::remove_file(&database).unwrap();
        assert!(matches!(files.check(), Err(Gone::Deleted(path)) if path == database));
        assert!(Identity::of(&database).check().is_ok(), "a database that is in no file can't be deleted");
    }
}
