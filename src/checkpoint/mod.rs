//! A gate for checkpoints: what is saved is whole or not there, what was good is marked, and the last good one stays.
//!
//! [`Checkpoints`] is a directory of them, [`Resumed`] checks that a run goes on as it was.

mod course_file;
mod disk;
mod resumed;
#[cfg(all(test, feature = "serde"))]
mod tests;

use core::fmt;
use std::format;
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::vec::Vec;
use std::{fs, process};

use crate::course::{Course, Doubt};
use crate::{Error, Result};

pub use resumed::Resumed;

/// Checkpoints of one run, in a directory of their own.
///
/// A checkpoint is a directory with whatever files the loop writes. It is written under another name, brought to the
/// disk with all that is in it, and renamed: whoever looks finds it whole or not at all, also after a crash or a loss
/// of power. It is *new* at first; when the run has had so many healthy steps more, the parameters in it have shown that
/// they are good, and it is marked so by a second rename. Older ones are removed, but never the last good one.
///
/// ```text
/// 000041.step-4000.good    000042.step-4100.good    000043.step-4200.new
/// ```
///
/// The numbers at the front count upwards, since after a rollback steps come again. Only one process at a time may save
/// into a directory.
///
/// # Examples
///
/// ```
/// use steadygrad::{checkpoint::Checkpoints, clip, keep::Keep, Action, Guard, Recovery, Step};
/// use std::fs;
/// # let dir = std::env::temp_dir().join(format!("steadygrad-doc-{}", std::process::id()));
///
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let mut recovery = Recovery::new(Keep::after(20)?);
/// let mut checkpoints = Checkpoints::new(&dir, 2)?.confirmed_after(20);   // holds the last two good ones
/// let mut w = 4.0_f32;
/// for _ in 0..150 {
///     let (loss, mut grads) = (w * w, [2.0 * w]);
///     let step = guard.step(Step::new(&mut grads).params(&[w]).loss(loss))?;
///     if recovery.act(step, &mut w)? == Action::Apply {
///         w -= 0.1 * recovery.rate() as f32 * grads[0];
///     }
///     checkpoints.confirm(recovery.course())?;
///     let step = guard.report().step();
///     if step % 50 == 0 {
///         checkpoints.save(recovery.course(), step, |dir| fs::write(dir.join("w"), w.to_string()))?;
///     }
/// }
///
/// // After a crash, in another process:
/// let checkpoints = Checkpoints::new(&dir, 2)?;
/// let good = checkpoints.newest_good()?.expect("there is one");
/// assert_eq!(good.step(), 100);                                   // the one of step 150 is not confirmed
/// let w: f32 = fs::read_to_string(good.path().join("w"))?.parse()?;
/// let mut resumed = good.resumed()?;                              // asked on each of the first steps
/// let step = guard.step(Step::new(&mut [2.0 * w]).params(&[w]).loss(w * w))?;
/// resumed.check(&step)?;
/// # fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoints {
    dir: PathBuf,
    most: usize,
    after: u64,
    next: u64,
    waiting: Vec<Waiting>,
}

/// One that is not confirmed yet.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    found: Checkpoint,
    /// The healthy steps that it takes.
    until: u64,
    /// How often the run had been lost.
    lost: u64,
}

/// What stands at the end of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    New,
    Good,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Good => "good",
        }
    }
}

/// One checkpoint, as it lies in its directory.
///
/// # Examples
///
/// ```
/// use steadygrad::{checkpoint::Checkpoints, Course};
/// # let dir = std::env::temp_dir().join(format!("steadygrad-one-{}", std::process::id()));
///
/// let mut checkpoints = Checkpoints::new(&dir, 3)?;
/// checkpoints.save(&Course::default(), 7, |dir| std::fs::write(dir.join("w"), "0.5"))?;
/// let all = checkpoints.all()?;
/// assert_eq!((all.len(), all[0].step(), all[0].is_good()), (1, 7, false));
/// assert_eq!(std::fs::read_to_string(all[0].path().join("w"))?, "0.5");
/// assert!(all[0].path().ends_with("000001.step-7.new"));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
    number: u64,
    step: u64,
    mark: Mark,
}

/// What was saved.
///
/// # Examples
///
/// ```
/// use steadygrad::{checkpoint::Checkpoints, Course};
/// # let dir = std::env::temp_dir().join(format!("steadygrad-saved-{}", std::process::id()));
/// let mut checkpoints = Checkpoints::new(&dir, 3)?;
/// let saved = checkpoints.save(&Course::default(), 7, |dir| std::fs::write(dir.join("w"), "0.5"))?;
/// assert_eq!(saved.doubt().unwrap().to_string(), "0 healthy steps in a row, fewer than 20");
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    path: PathBuf,
    doubt: Option<Doubt>,
}

impl Saved {
    /// Where it lies. It is renamed when it is confirmed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it will never be marked as good, if so.
    #[must_use]
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }
}

impl Checkpoint {
    /// Of a name in the directory.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let mut parts = name.split('.');
        let number = parts.next()?.parse().ok()?;
        let step = parts.next()?.strip_prefix("step-")?.parse().ok()?;
        let mark = parts.next()?;
        let mark = [Mark::New, Mark::Good]
            .into_iter()
            .find(|known| known.name() == mark)?;
        (parts.next().is_none()).then_some(Self {
            path,
            number,
            step,
            mark,
        })
    }

    fn marked(&self, mark: Mark) -> Self {
        let Self { number, step, .. } = *self;
        let name = format!("{number:06}.step-{step}.{}", mark.name());
        Self {
            path: self.path.with_file_name(name),
            mark,
            ..*self
        }
    }

    /// Where its files lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The step that it was saved behind.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Whether it was confirmed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.mark == Mark::Good
    }

    /// How the run was going when it was saved.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if that cannot be read.
    pub fn course(&self) -> Result<Course> {
        course_file::read(&self.path.join(course_file::NAME))
    }

    /// What compares the first steps of a run that goes on from here with how it was going.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::course`].
    pub fn resumed(&self) -> Result<Resumed> {
        self.course().map(|course| Resumed::after(&course))
    }
}

impl Checkpoints {
    /// Those in `dir`, which is made if it is not there; of the good ones the last `most` stay, 1 at least. What a
    /// process left that was killed while it saved is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the directory cannot be made or read, and [`Error::Setting`] if `most` is 0.
    pub fn new(dir: impl Into<PathBuf>, most: usize) -> Result<Self> {
        if most == 0 {
            return Err(Error::Setting {
                what: "good checkpoints that stay",
                expected: "at least 1",
                found: 0.0,
            });
        }
        let mut checkpoints = Self {
            dir: dir.into(),
            most,
            after: 20,
            next: 1,
            waiting: Vec::new(),
        };
        let dir = &checkpoints.dir;
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        for path in disk::entries(dir)? {
            if disk::is_left_over(&path) {
                fs::remove_dir_all(&path).map_err(|error| failed(&path, &error))?;
            }
        }
        let last = checkpoints.all()?.first().map(|newest| newest.number);
        checkpoints.next = last.unwrap_or(0) + 1;
        Ok(checkpoints)
    }

    /// Marks a checkpoint as good when the run has had so many healthy steps more, and asks for as many in a row before
    /// it is saved. 20 by default.
    #[must_use]
    pub fn confirmed_after(self, healthy_steps: u64) -> Self {
        Self {
            after: healthy_steps,
            ..self
        }
    }

    /// Saves what `write` puts into the directory that it is given. Behind the update of step number `step`, so that a
    /// run that goes on from it begins with the next one.
    ///
    /// It is always saved; whether it can become a good one goes by the run's course: it takes enough healthy
    /// steps behind it, and loss and norm near their centres. If not, it [says why](Saved::doubt). Whoever wants none
    /// of these asks [`Course::doubt`] before.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] with what `write` said, or the disk. Then nothing was saved, and no other checkpoint was
    /// touched; or it was, and an older one could not be removed.
    pub fn save<E: fmt::Display>(
        &mut self,
        course: &Course,
        step: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Saved> {
        let number = self.next;
        let unfinished = disk::unfinished(&self.dir, number, process::id());
        let found = Checkpoint {
            path: self.dir.join("_"),
            number,
            step,
            mark: Mark::New,
        };
        let found = found.marked(Mark::New);
        let written = fs::create_dir(&unfinished)
            .map_err(|error| failed(&unfinished, &error))
            .and_then(|()| {
                write(&unfinished).map_err(|error| failed(&unfinished, &error))?;
                course_file::write(course, &unfinished.join(course_file::NAME))?;
                disk::reached(Stage::Written);
                disk::sync_all(&unfinished)?;
                disk::reached(Stage::Synced);
                disk::rename(&unfinished, &found.path)
            });
        if let Err(error) = written {
            // What cannot be removed now is when the directory is opened again.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
        self.next += 1;
        disk::reached(Stage::Named);
        let doubt = course.doubt(self.after);
        let path = found.path.clone();
        if doubt.is_none() {
            self.waiting.push(Waiting {
                found,
                until: course.healthy_steps().saturating_add(self.after),
                lost: course.lost(),
            });
        }
        self.rotate()?;
        Ok(Saved { path, doubt })
    }

    /// Marks those as good that the run has confirmed, and tells the newest of them: to be asked on every step. One
    /// behind which the run was lost is never marked.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the disk refuses; it is tried again on the next step.
    pub fn confirm(&mut self, course: &Course) -> Result<Option<Checkpoint>> {
        self.waiting.retain(|waiting| waiting.lost == course.lost());
        let mut newest = None;
        while let Some(waiting) = self.waiting.first() {
            if course.healthy_steps() < waiting.until {
                break;
            }
            let good = waiting.found.marked(Mark::Good);
            disk::rename(&waiting.found.path, &good.path)?;
            disk::reached(Stage::Marked);
            self.waiting.remove(0);
            newest = Some(good);
        }
        if newest.is_some() {
            self.rotate()?;
        }
        Ok(newest)
    }

    /// Removes what is older than the good ones that stay, and all that is not good but the newest, as many as of
    /// these, behind the newest good one.
    fn rotate(&self) -> Result<()> {
        let (mut good, mut new) = (0, 0);
        for found in self.all()? {
            let stays = if found.is_good() {
                good += 1;
                good <= self.most
            } else {
                new += 1;
                let waits = self.waiting.iter().any(|waiting| waiting.found == found);
                waits || good == 0 && new <= self.most
            };
            if !stays {
                disk::remove(&self.dir, &found.path, found.number)?;
            }
        }
        Ok(())
    }

    /// All that were saved, the newest first, confirmed or not.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the directory cannot be read.
    pub fn all(&self) -> Result<Vec<Checkpoint>> {
        let entries = disk::entries(&self.dir)?.into_iter();
        let mut all: Vec<Checkpoint> = entries.filter_map(Checkpoint::of).collect();
        all.sort_by_key(|found| core::cmp::Reverse(found.number));
        Ok(all)
    }

    /// The newest that was confirmed: where a run goes on.
    ///
    /// # Errors
    ///
    /// As [`Checkpoints::all`].
    pub fn newest_good(&self) -> Result<Option<Checkpoint>> {
        Ok(self.all()?.into_iter().find(Checkpoint::is_good))
    }
}

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Written,
    Synced,
    Named,
    Marked,
    Renamed,
}

fn failed(path: &Path, error: &dyn fmt::Display) -> Error {
    Error::Checkpoint {
        path: path.display().to_string(),
        what: error.to_string(),
    }
}

fn unreadable(path: &Path, expected: &str) -> Error {
    failed(path, &format!("expected {expected}"))
}
