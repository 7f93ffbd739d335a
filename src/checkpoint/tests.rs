use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::string::String;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, println, thread, vec};

use super::*;
use crate::detect::{NormThreshold, PersistentNorm, Spike};
use crate::keep::Keep;
use crate::{Action, Guard, GuardState, Recovery, State, Step, TensorSetMut, Verdict, clip};

/// Where this process is to stop, and at the how manieth time.
static STOP_AT: Mutex<Option<(String, u32)>> = Mutex::new(None);

/// Stops for good where it is to, and says so.
fn stop_at(name: &str) {
    let mut stop = STOP_AT.lock().unwrap();
    if let Some((at, times)) = &mut *stop
        && at == name
    {
        *times -= 1;
        if *times == 0 {
            println!("stopped");
            std::io::stdout().flush().unwrap();
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
    }
}

pub(super) fn reached(stage: Stage) {
    stop_at(&format!("{stage:?}"));
}

/// A directory that goes when the test does.
struct Dir(PathBuf);

static DIRS: AtomicU32 = AtomicU32::new(0);

impl Dir {
    fn new(name: &str) -> Self {
        let count = DIRS.fetch_add(1, Ordering::Relaxed);
        let name = format!("steadygrad-{name}-{}-{count}", process::id());
        let dir = env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
        let mut names: Vec<String> = disk::entries(&self.0).unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Least squares with momentum, batches by number, one of them NaN and one far off.
struct Run {
    w: Vec<f64>,
    v: Vec<f64>,
    guard: Guard,
    recovery: Recovery,
}

const STEPS: u64 = 90;
const LIMIT: f64 = 1e4;

impl Run {
    fn new() -> Self {
        Self {
            w: vec![3.0, -2.0, 0.1],
            v: vec![0.0; 3],
            guard: Guard::new()
                .detect_with(Verdict::Rollback, NormThreshold::new(LIMIT).unwrap())
                .detect(Spike::of_loss().window(16).unwrap())
                .detect(PersistentNorm::new(0.2, 4).unwrap())
                .clip(clip::GlobalNorm::new(2.0).unwrap()),
            recovery: Recovery::new(Keep::after(5).unwrap()),
        }
    }

    /// What the next step decides, in numbers that can be compared.
    fn step(&mut self) -> String {
        let step = self.guard.state().step + 1;
        let scale = match step {
            58 => f64::NAN,
            66 => 40.0,
            _ => 1.0 + 0.1 * (step * 7 % 11) as f64,
        };
        let mut grads: Vec<f64> = self.w.iter().map(|w| scale * (w - 0.5)).collect();
        let loss = self
            .w
            .iter()
            .map(|w| scale * (w - 0.5).powi(2))
            .sum::<f64>()
            + 0.1 * scale;
        let stepped = self
            .guard
            .step(Step::new(&mut grads).params(&self.w).loss(loss))
            .unwrap();
        let report = stepped.clone();
        let mut set: [(&str, &mut dyn TensorSetMut); 2] = [("w", &mut self.w), ("v", &mut self.v)];
        let action = self.recovery.act(stepped, &mut set).unwrap();
        if action == Action::Apply {
            for ((w, v), g) in self.w.iter_mut().zip(&mut self.v).zip(&grads) {
                *v = 0.5 * *v + g;
                *w -= 0.05 * self.recovery.rate() * *v;
            }
        }
        let alarms: Vec<String> = report.alarms().iter().map(ToString::to_string).collect();
        format!(
            "{action} {:x} {} {alarms:?}",
            report.factor().to_bits(),
            self.recovery
        )
    }

    /// Ten numbers a line, so that a file that is cut short is found out.
    fn save(&self, dir: &Path, state: &GuardState) -> std::io::Result<()> {
        let bits: Vec<u64> = self.w.iter().chain(&self.v).map(|x| x.to_bits()).collect();
        let text = serde_json::to_string(&bits)?;
        // Half of it first.
        let mut file = fs::File::create(dir.join("params"))?;
        file.write_all(&text.as_bytes()[..text.len() / 2])?;
        stop_at("half");
        file.write_all(&text.as_bytes()[text.len() / 2..])?;
        fs::create_dir(dir.join("states"))?;
        let states = (state, self.recovery.state());
        fs::write(dir.join("states/guard"), serde_json::to_string(&states)?)
    }

    fn resume(found: &Checkpoint) -> Self {
        let mut run = Self::new();
        let read = |name: &str| fs::read_to_string(found.path().join(name)).unwrap();
        let bits: Vec<u64> = serde_json::from_str(&read("params")).unwrap();
        let numbers: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
        (run.w, run.v) = (numbers[..3].to_vec(), numbers[3..].to_vec());
        let (guard, recovery): (GuardState, State) =
            serde_json::from_str(&read("states/guard")).unwrap();
        run.guard.restore(&guard).unwrap();
        run.recovery.restore(&recovery).unwrap();
        let set = [("w", run.w.clone()), ("v", run.v.clone())];
        run.recovery.start(&mut run.guard, &set).unwrap();
        run
    }

    /// To the end, with a checkpoint every ten steps.
    fn go_on(&mut self, checkpoints: &mut Checkpoints) -> Vec<String> {
        let mut decided = vec![];
        while self.guard.state().step < STEPS {
            decided.push(self.step());
            checkpoints.confirm(self.recovery.course()).unwrap();
            let state = self.guard.state();
            if state.step.is_multiple_of(10) {
                let course = self.recovery.course().clone();
                checkpoints
                    .save(&course, state.step, |dir| self.save(dir, &state))
                    .unwrap();
            }
        }
        decided
    }
}

fn open(dir: &Path) -> Checkpoints {
    Checkpoints::new(dir, 2).unwrap().confirmed_after(5)
}

const STOP: &str = "STEADYGRAD_TEST_STOP";
const WHERE: &str = "STEADYGRAD_TEST_DIR";

/// Nothing by itself: the other tests run it in a process of its own, and kill that.
#[test]
fn a_child_that_is_killed() {
    let Ok(dir) = env::var(WHERE) else {
        return;
    };
    if let Ok(stop) = env::var(STOP) {
        let (name, times) = stop.split_once(' ').unwrap();
        *STOP_AT.lock().unwrap() = Some((name.into(), times.parse().unwrap()));
    } else {
        println!("stopped");
    }
    loop {
        Run::new().go_on(&mut open(Path::new(&dir)));
    }
}

/// Runs the child until it stops or for so long, and kills it.
fn kill(dir: &Path, stop: Option<&str>, after: Duration) {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "checkpoint::tests::a_child_that_is_killed",
            "--nocapture",
        ])
        .env(WHERE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(stop) = stop {
        child.env(STOP, stop);
    }
    let mut child = child.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stopped = lines
        .map_while(Result::ok)
        .any(|line| line.ends_with("stopped"));
    assert!(stopped, "{stop:?} was not reached");
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Goes on from the newest good one, and holds every decision and bit against a run that was never killed.
fn goes_on_as_if_nothing_had_been(dir: &Dir, expected: &[String], bits: &[u64]) -> Option<u64> {
    let mut checkpoints = open(&dir.0);
    let found = checkpoints.newest_good().unwrap()?;
    let mut run = Run::resume(&found);
    let mut resumed = found.resumed().unwrap();
    let step = run.guard.state().step;
    assert_eq!(step, found.step());
    let mut decided = vec![run.step()];
    resumed.check(run.guard.report()).unwrap();
    for _ in 0..6 {
        decided.push(run.step());
        resumed.check(run.guard.report()).unwrap();
    }
    decided.extend(run.go_on(&mut checkpoints));
    assert_eq!(decided, expected[step as usize..], "from step {step}");
    let now: Vec<u64> = run.w.iter().chain(&run.v).map(|x| x.to_bits()).collect();
    assert_eq!(now, bits);
    assert!(
        !dir.names()
            .iter()
            .any(|name| disk::is_left_over(Path::new(name)))
    );
    Some(step)
}

/// The decisions and the last bits of a run that was never killed.
fn whole() -> (Vec<String>, Vec<u64>) {
    let dir = Dir::new("whole");
    let mut run = Run::new();
    let expected = run.go_on(&mut open(&dir.0));
    let skipped = expected.iter().filter(|said| said.starts_with("skipped"));
    assert_eq!(skipped.count(), 1);
    assert!(
        expected
            .iter()
            .filter(|said| said.contains("loss spike"))
            .count()
            >= 1
    );
    assert_eq!(
        dir.names(),
        [
            "000007.step-70.good",
            "000008.step-80.good",
            "000009.step-90.new"
        ]
    );
    let bits = run.w.iter().chain(&run.v).map(|x| x.to_bits());
    (expected, bits.collect())
}

#[test]
fn killed_at_any_stage_it_goes_on_from_the_last_good_one() {
    let (expected, bits) = whole();
    // The saves are at steps 10, 20, …; each is confirmed 5 steps later, from 35 on one is removed each time.
    for (stop, step) in [
        ("half 1", None),
        ("half 4", Some(30)),
        ("Written 4", Some(30)),
        ("Synced 4", Some(30)),
        ("Named 4", Some(30)),
        ("Named 1", None),
        ("Marked 1", Some(10)),
        ("Marked 4", Some(40)),
        ("Renamed 1", Some(30)),
        ("Renamed 3", Some(50)),
        ("half 9", Some(80)),
    ] {
        let dir = Dir::new("stages");
        kill(&dir.0, Some(stop), Duration::ZERO);
        let resumed = goes_on_as_if_nothing_had_been(&dir, &expected, &bits);
        assert_eq!(resumed, step, "{stop}");
    }
}

#[test]
fn killed_at_any_moment_it_goes_on_from_the_last_good_one() {
    let (expected, bits) = whole();
    let mut found = 0;
    for i in 0..12 {
        let dir = Dir::new("moments");
        kill(&dir.0, None, Duration::from_millis(7 * i * i % 100));
        found += u32::from(goes_on_as_if_nothing_had_been(&dir, &expected, &bits).is_some());
    }
    assert!(found > 0);
}

fn healthy(steps: u32) -> (Guard, Course) {
    let (mut guard, mut course) = (told(), Course::default());
    for _ in 0..steps {
        note(&mut guard, &mut course, 0.25);
    }
    (guard, course)
}

fn told() -> Guard {
    Guard::new().detect_with(Verdict::Rollback, NormThreshold::new(100.0).unwrap())
}

fn note(guard: &mut Guard, course: &mut Course, norm: f64) {
    course.note(&guard.step(Step::new(&mut [norm]).loss(0.5)).unwrap());
}

#[test]
fn the_last_good_one_is_never_rotated_away() {
    let dir = Dir::new("rotation");
    let (mut guard, mut course) = healthy(30);
    let mut checkpoints = open(&dir.0);
    let save = |checkpoints: &mut Checkpoints, course: &Course, step: u64| {
        checkpoints
            .save(course, step, |dir| fs::write(dir.join("w"), "1"))
            .unwrap()
    };
    let saved = save(&mut checkpoints, &course, 30);
    assert_eq!((saved.doubt(), saved.path().exists()), (None, true));
    for _ in 0..4 {
        note(&mut guard, &mut course, 0.25);
        assert_eq!(checkpoints.confirm(&course).unwrap(), None);
    }
    note(&mut guard, &mut course, 0.25);
    let good = checkpoints.confirm(&course).unwrap().unwrap();
    assert!(good.is_good() && good.step() == 30 && !saved.path().exists());
    // From now on all is in doubt.
    note(&mut guard, &mut course, 1e3);
    for step in 40..50 {
        note(
            &mut guard,
            &mut course,
            if step % 3 == 0 { 1e3 } else { 0.25 },
        );
        checkpoints.confirm(&course).unwrap();
        let saved = save(&mut checkpoints, &course, step);
        assert!(matches!(saved.doubt(), Some(Doubt::Young { of: 5, .. })));
    }
    assert_eq!(
        dir.names(),
        [
            "000001.step-30.good",
            "000010.step-48.new",
            "000011.step-49.new"
        ]
    );
    // Saved in good health, but lost before it was confirmed.
    for _ in 0..6 {
        note(&mut guard, &mut course, 0.25);
    }
    assert_eq!(save(&mut checkpoints, &course, 56).doubt(), None);
    note(&mut guard, &mut course, 1e3);
    for _ in 0..20 {
        note(&mut guard, &mut course, 0.25);
        assert_eq!(checkpoints.confirm(&course).unwrap(), None);
    }
    assert_eq!(open(&dir.0).newest_good().unwrap().unwrap().step(), 30);
    // A loss far off is a doubt too, however healthy the steps are called.
    course.note(&guard.step(Step::new(&mut [0.25]).loss(7.0)).unwrap());
    let saved = save(&mut checkpoints, &course, 77);
    assert!(
        matches!(saved.doubt(), Some(Doubt::Off(off)) if off.what == "loss"),
        "{saved:?}"
    );
    assert_eq!(open(&dir.0).newest_good().unwrap().unwrap().step(), 30);
}

#[test]
fn numbers_go_on_in_another_process_and_other_files_are_left_alone() {
    let dir = Dir::new("numbers");
    let (mut guard, mut course) = healthy(30);
    let mut checkpoints = open(&dir.0);
    for step in 1..=9 {
        checkpoints
            .save(&course, step, |_| Ok::<(), String>(()))
            .unwrap();
    }
    // All nine wait to be confirmed.
    assert_eq!(checkpoints.all().unwrap().len(), 9);
    for _ in 0..5 {
        note(&mut guard, &mut course, 0.25);
    }
    assert_eq!(checkpoints.confirm(&course).unwrap().unwrap().step(), 9);
    fs::write(dir.0.join("README"), "mine").unwrap();
    fs::create_dir(dir.0.join("000001.step-9.other")).unwrap();
    fs::create_dir(dir.0.join("unfinished-000012-1")).unwrap();
    let mut checkpoints = open(&dir.0);
    // A step that came again behind a rollback: what counts is what was saved last.
    checkpoints
        .save(&course, 4, |_| Ok::<(), String>(()))
        .unwrap();
    assert_eq!(
        dir.names(),
        [
            "000001.step-9.other",
            "000008.step-8.good",
            "000009.step-9.good",
            "000010.step-4.new",
            "README"
        ]
    );
    for _ in 0..5 {
        note(&mut guard, &mut course, 0.25);
    }
    checkpoints.confirm(&course).unwrap();
    assert_eq!(checkpoints.newest_good().unwrap().unwrap().step(), 4);
}

#[test]
fn what_cannot_be_saved_or_read_says_so() {
    let dir = Dir::new("errors");
    let (_, course) = healthy(30);
    let mut checkpoints = open(&dir.0);
    let half = |dir: &Path| {
        fs::write(dir.join("w"), "1").unwrap();
        Err::<(), _>("the disk is full")
    };
    let error = checkpoints.save(&course, 1, half).unwrap_err().to_string();
    assert!(
        error.starts_with("checkpoint ") && error.ends_with(": the disk is full"),
        "{error}"
    );
    assert_eq!(dir.names(), [""; 0]);
    let taken = |dir: &Path| fs::write(dir.join(course_file::NAME), "mine");
    let error = checkpoints.save(&course, 1, taken).unwrap_err().to_string();
    assert!(error.contains("steadygrad.txt"), "{error}");
    let saved = checkpoints
        .save(&course, 1, |_| Ok::<(), String>(()))
        .unwrap();
    let found = checkpoints.all().unwrap().remove(0);
    assert_eq!(found.course().unwrap(), course);
    for (text, expected) in [
        ("", "expected its first line to be \"steadygrad course 1\""),
        (
            "steadygrad course 1\nlosses x",
            "expected a key and numbers on every line",
        ),
        (
            "steadygrad course 1\nhealthy 1",
            "expected state: expected last, found nothing",
        ),
    ] {
        fs::write(saved.path().join(course_file::NAME), text).unwrap();
        let error = found.resumed().unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("steadygrad.txt: {expected}")),
            "{error}"
        );
    }
    fs::write(dir.0.join("file"), "").unwrap();
    assert!(matches!(
        Checkpoints::new(dir.0.join("file"), 2),
        Err(Error::Checkpoint { .. })
    ));
    assert!(matches!(
        Checkpoints::new(&dir.0, 0),
        Err(Error::Setting { .. })
    ));
    // Somebody else's hand: what is confirmed is not there any more.
    let (mut guard, mut course) = healthy(30);
    checkpoints
        .save(&course, 2, |_| Ok::<(), String>(()))
        .unwrap();
    (0..5).for_each(|_| note(&mut guard, &mut course, 0.25));
    fs::remove_dir_all(&dir.0).unwrap();
    assert!(matches!(
        checkpoints.confirm(&course),
        Err(Error::Checkpoint { .. })
    ));
}
