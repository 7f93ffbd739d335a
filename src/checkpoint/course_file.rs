//! How a run was going, as text beside what was saved.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{failed, unreadable};
use crate::course::Course;
use crate::{Entry, Result, State};

/// The file in a checkpoint that is not the user's.
pub(super) const NAME: &str = "steadygrad.txt";

/// What stands in its first line.
const FIRST: &str = "steadygrad course 1";

/// A line for each entry: its key, and its numbers by their bits, since a state holds nothing else.
pub(super) fn write(course: &Course, path: &Path) -> Result<()> {
    let (mut state, mut text) = (State::default(), String::from(FIRST));
    course.save(&mut state);
    for (key, entry) in state.entries() {
        if let Entry::List(numbers) = entry {
            let _ = write!(text, "\n{key}");
            numbers.iter().for_each(|n| {
                let _ = write!(text, " {n:016x}");
            });
        }
    }
    text.push('\n');
    // One that the user wrote under this name is not to be lost.
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| failed(path, &error))
}

pub(super) fn read(path: &Path) -> Result<Course> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    let mut lines = text.lines();
    if lines.next() != Some(FIRST) {
        return Err(unreadable(path, &format!("its first line to be {FIRST:?}")));
    }
    let mut state = State::default();
    for line in lines {
        let mut words = line.split(' ');
        let key = ["healthy", "losses", "norms", "last"];
        let word = words.next().unwrap_or_default();
        let key = key.into_iter().find(|key| *key == word);
        let numbers: Option<Vec<i64>> = words
            .map(|word| u64::from_str_radix(word, 16).ok().map(u64::cast_signed))
            .collect();
        let (Some(key), Some(numbers)) = (key, numbers) else {
            return Err(unreadable(path, "a key and numbers on every line"));
        };
        state.put(key, Entry::List(numbers));
    }
    Course::loaded(&state).map_err(|error| unreadable(path, &error.to_string()))
}
