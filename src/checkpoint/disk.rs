//! What it takes that files are whole: names that say so, and a disk that has them.

use std::path::{Path, PathBuf};
use std::vec::Vec;
use std::{format, fs, io};

use super::{Stage, failed};
use crate::Result;

/// What is not yet, and what is no longer, a checkpoint.
const LEFT_OVER: [&str; 2] = ["unfinished-", "removed-"];

/// Where a checkpoint is written before it is one.
pub(super) fn unfinished(dir: &Path, number: u64, process: u32) -> PathBuf {
    dir.join(format!("{}{number:06}-{process}", LEFT_OVER[0]))
}

/// Whether a process that was killed left it.
pub(super) fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LEFT_OVER.iter().any(|left| name.starts_with(left)))
}

/// What lies in a directory.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<PathBuf>>>()
    });
    entries.map_err(|error| failed(dir, &error))
}

/// Brings a directory to the disk with all that is in it.
pub(super) fn sync_all(dir: &Path) -> Result<()> {
    for path in entries(dir)? {
        let kind = fs::symlink_metadata(&path).map_err(|error| failed(&path, &error))?;
        if kind.is_dir() {
            sync_all(&path)?;
        } else if kind.is_file() {
            sync_file(&path).map_err(|error| failed(&path, &error))?;
        }
    }
    sync_dir(dir)
}

#[cfg(unix)]
fn sync_file(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Elsewhere only what is open for writing is brought to the disk.
#[cfg(not(unix))]
fn sync_file(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.sync_all()
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> Result<()> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| failed(dir, &error))
}

/// Elsewhere a directory cannot be opened as a file.
#[cfg(not(unix))]
fn sync_dir(_: &Path) -> Result<()> {
    Ok(())
}

/// Gives another name within the same directory, for good.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| failed(to, &error))?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// Removes a checkpoint. Half removed it would look like one, so it loses its name before.
pub(super) fn remove(dir: &Path, path: &Path, number: u64) -> Result<()> {
    let removed = dir.join(format!("{}{number:06}", LEFT_OVER[1]));
    rename(path, &removed)?;
    reached(Stage::Renamed);
    fs::remove_dir_all(&removed).map_err(|error| failed(&removed, &error))
}

/// Tells the tests, which kill the process there.
#[cfg(not(all(test, feature = "serde")))]
pub(super) fn reached(_: Stage) {}

#[cfg(all(test, feature = "serde"))]
pub(super) use super::tests::reached;
