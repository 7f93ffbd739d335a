//! Starts every peer in a process of its own and lets them run in turn, round after round.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::facts::FACTS;
use crate::sets::{self, Set};
use crate::table::{self, Row};
use crate::tell::Told;
use crate::work::{PASSES, TYPES, WORKS, Work};

pub(crate) const USAGE: &str = "\
peers [facts] [OPTIONS]

  facts            what each peer makes of inputs that overflow, vanish or are not finite
  --rounds N       rounds, in each of which every peer runs in turn (default 5)
  --quick          one short round
  --only A,B       only these of measure, keep, clip, value, l1, l2, sgd
  --set A,B        only these of gpt2, lstm, tiny, many, 512MiB, 5MB, 256KiB
  --threads N      only this number of threads (default 1 and 2)
  --peers A,B      only these of ours, guard, ndarray, candle, steadygrad-candle,
                   burn, steadygrad-burn, torch, optax";

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    facts: bool,
    rounds: usize,
    budget_ms: u32,
    only: Option<Vec<Work>>,
    sets: Option<Vec<String>>,
    threads: Vec<usize>,
    peers: Option<Vec<String>>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            facts: false,
            rounds: 5,
            budget_ms: 200,
            only: None,
            sets: None,
            threads: vec![1, 2],
            peers: None,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .ok_or(format!("expected a value after {word}"))
            };
            let names = |text: &str, known: &[&str]| -> Result<Vec<String>, String> {
                let unknown = text.split(',').find(|name| !known.contains(name));
                match unknown {
                    Some(name) => Err(format!(
                        "expected {word} of {}; found {name}",
                        known.join(", ")
                    )),
                    None => Ok(text.split(',').map(str::to_owned).collect()),
                }
            };
            let number = |text: &str| match text.parse() {
                Ok(n) if n > 0 => Ok(n),
                _ => Err(format!("expected a positive number, found {text}")),
            };
            match word {
                "facts" => options.facts = true,
                "--quick" => (options.rounds, options.budget_ms) = (1, 20),
                "--rounds" => options.rounds = number(value()?)?,
                "--threads" => options.threads = vec![number(value()?)?],
                "--set" => {
                    let sets = [sets::nets(), sets::buffers()].concat();
                    let known: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
                    options.sets = Some(names(value()?, &known)?);
                }
                "--peers" => options.peers = Some(names(value()?, &PEERS[1..])?),
                "--only" => {
                    let known = WORKS.map(Work::name);
                    let known = known.each_ref().map(String::as_str);
                    let works = names(value()?, &known)?;
                    options.only = Some(
                        works
                            .iter()
                            .filter_map(|name| Work::from_name(name))
                            .collect(),
                    );
                }
                _ => return Err(format!("found {word}; --help lists the options")),
            }
        }
        Ok(options)
    }

    fn wants_peer(&self, name: &str) -> bool {
        name == "limits"
            || self
                .peers
                .as_ref()
                .is_none_or(|names| names.iter().any(|n| n == name))
    }

    fn wants_set(&self, set: &Set) -> bool {
        self.sets
            .as_ref()
            .is_none_or(|names| names.contains(&set.name))
    }

    fn wants_work(&self, work: Work) -> bool {
        self.only
            .as_ref()
            .is_none_or(|works| works.contains(&work) || works.contains(&work.of_f32()))
    }
}

/// A column of the table: a peer's process, and which of its variants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Compared to the column before it, instead of ours.
    pub(crate) is_adapter: bool,
    peer: &'static str,
    variant: &'static str,
}

const fn column(title: &'static str, peer: &'static str) -> Column {
    Column {
        title,
        is_adapter: false,
        peer,
        variant: "",
    }
}

const fn adapter(title: &'static str, peer: &'static str) -> Column {
    Column {
        is_adapter: true,
        ..column(title, peer)
    }
}

/// The columns after the limit; ours comes first, an adapter right behind what it replaces.
pub(crate) const COLUMNS: [Column; 10] = [
    column("ours", "ours"),
    column("ours, `Guard::step`", "guard"),
    column("naive ndarray", "ndarray"),
    column("candle loop", "candle"),
    adapter("`steadygrad-candle` (to the loop)", "steadygrad-candle"),
    column("burn, per tensor", "burn"),
    adapter("`steadygrad-burn` (to burn's)", "steadygrad-burn"),
    column("PyTorch", "torch"),
    Column {
        variant: "-foreach",
        ..column("PyTorch foreach", "torch")
    },
    column("optax, jit", "optax"),
];

const PEERS: [&str; 10] = [
    "limits",
    "ours",
    "guard",
    "ndarray",
    "candle",
    "steadygrad-candle",
    "burn",
    "steadygrad-burn",
    "torch",
    "optax",
];

/// A running peer.
struct Process {
    name: &'static str,
    about: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// `Err` says what is missing and how to get it.
    fn start(name: &'static str, threads: usize) -> Result<Self, String> {
        let mut command = if matches!(name, "torch" | "optax") {
            let mut python =
                Command::new(std::env::var("PEERS_PYTHON").unwrap_or("python3".to_owned()));
            python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.py"));
            python
        } else {
            let mut this =
                Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            this.arg("child");
            this
        };
        for variable in [
            "RAYON_NUM_THREADS",
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
        ] {
            command.env(variable, threads.to_string());
        }
        command
            .args([name, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let failed = |error: io::Error| format!("{name}: {error}");
        let mut child = command.spawn().map_err(failed)?;
        let requests = child.stdin.take().expect("a piped input");
        let answers = BufReader::new(child.stdout.take().expect("a piped output"));
        let mut process = Self {
            name,
            about: String::new(),
            child,
            requests,
            answers,
        };
        match process.read()?.split_once(' ') {
            Some(("ready", about)) => about.clone_into(&mut process.about),
            Some(("missing", what)) => return Err(what.to_owned()),
            _ => return Err(format!("{name}: did not start")),
        }
        Ok(process)
    }

    fn read(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(n) if n > 0 => Ok(line.trim_end().to_owned()),
            _ => Err(format!("{} ended", self.name)),
        }
    }

    fn ask(&mut self, request: &str) -> Result<String, String> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| format!("{}: {error}", self.name))?;
        self.read()
    }

    /// Milliseconds and the value found; `None` where the peer has no such work.
    fn run(&mut self, work: &str, budget_ms: u32) -> Result<Option<(f64, f64)>, String> {
        let answer = self.ask(&format!("run {work} {budget_ms}"))?;
        let mut numbers = answer
            .split(' ')
            .skip(1)
            .map(|word| word.parse().unwrap_or(f64::NAN));
        Ok(numbers.next().zip(numbers.next()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whether it ended already or not, nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All peers of one number of threads.
struct Ensemble(Vec<Process>);

impl Ensemble {
    fn start(options: &Options, threads: usize, missing: &mut Vec<String>) -> Self {
        let wanted = PEERS.into_iter().filter(|name| options.wants_peer(name));
        let mut processes = Vec::new();
        for name in wanted {
            match Process::start(name, threads) {
                Ok(process) => processes.push(process),
                Err(what) if missing.contains(&what) => {}
                Err(what) => missing.push(what),
            }
        }
        Self(processes)
    }

    fn get(&mut self, name: &str) -> Option<&mut Process> {
        self.0.iter_mut().find(|process| process.name == name)
    }

    /// Milliseconds, or NaN where there is no such peer or no such work.
    fn run(&mut self, peer: &str, work: &str, options: &Options) -> Result<(f64, f64), String> {
        const NONE: (f64, f64) = (f64::NAN, f64::NAN);
        match self.get(peer) {
            Some(process) => Ok(process.run(work, options.budget_ms)?.unwrap_or(NONE)),
            None => Ok(NONE),
        }
    }

    fn load(&mut self, set: &Set, peers: &[&str]) -> Result<(), String> {
        let request = format!("set {} {}", set.name, set.shapes_as_text());
        for process in self
            .0
            .iter_mut()
            .filter(|process| peers.contains(&process.name))
        {
            process.ask(&request)?;
        }
        Ok(())
    }
}

/// Tells on standard error how far it is. Where that is closed, it need not be told.
fn progress(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Runs everything and prints the table.
pub(crate) fn play(options: &Options, out: &mut dyn Write) -> Told {
    let mut missing = Vec::new();
    if options.facts {
        return play_facts(options, &mut missing, out);
    }
    let mut rows = Vec::new();
    let mut about = Vec::new();
    for &threads in &options.threads {
        let mut ensemble = Ensemble::start(options, threads, &mut missing);
        about = ensemble
            .0
            .iter()
            .skip(1)
            .map(|process| process.about.clone())
            .collect();
        for set in sets::nets().iter().filter(|set| options.wants_set(set)) {
            rows.extend(play_net(options, &mut ensemble, set, threads)?);
        }
        for set in sets::buffers().iter().filter(|set| options.wants_set(set)) {
            rows.extend(play_buffer(options, &mut ensemble, set, threads)?);
        }
    }
    writeln!(out, "{}", table::header(options.rounds, &about))?;
    writeln!(out, "{}", table::render(&mut rows))?;
    report(&missing, out)
}

fn play_net(
    options: &Options,
    ensemble: &mut Ensemble,
    set: &Set,
    threads: usize,
) -> Result<Vec<Row>, String> {
    progress(format_args!("{}, {threads} thread(s): loading", set.title));
    ensemble.load(set, &PEERS)?;
    let works = WORKS.into_iter().filter(|&work| options.wants_work(work));
    let mut rows: Vec<Row> = works.map(|work| Row::new(set, work, threads)).collect();
    for round in 1..=options.rounds {
        progress(format_args!(" {round}"));
        for row in &mut rows {
            // Beside each work, since memory is not equally fast at all times.
            let (read, _) = ensemble.run("limits", &Work::Read.name(), options)?;
            let (rewrite, _) = ensemble.run("limits", &Work::Rewrite.name(), options)?;
            row.limit.push(row.work.limit(read, rewrite));
            let mut values = Vec::new();
            for (i, column) in COLUMNS.iter().enumerate() {
                let request = format!("{}{}", row.work.name(), column.variant);
                let (ms, value) = ensemble.run(column.peer, &request, options)?;
                row.times[i].push(ms);
                values.push((column.title, value));
            }
            if round == 1 && row.work.is_comparable() {
                compare(row, &values);
            }
        }
    }
    progress(format_args!("\n"));
    Ok(rows)
}

/// Peers that do not find the same norm do not do the same work.
fn compare(row: &Row, values: &[(&str, f64)]) {
    let Some(&(_, first)) = values.iter().find(|(_, value)| value.is_finite()) else {
        return;
    };
    for (peer, value) in values.iter().filter(|(_, value)| value.is_finite()) {
        if (value / first - 1.0).abs() > 0.05 {
            progress(format_args!(
                "\n{}, {}: {peer} finds {value}, expected {first}\n",
                row.set,
                row.work.title()
            ));
        }
    }
}

fn play_buffer(
    options: &Options,
    ensemble: &mut Ensemble,
    set: &Set,
    threads: usize,
) -> Result<Vec<Row>, String> {
    let works = TYPES.into_iter().filter(|&work| options.wants_work(work));
    let mut types: Vec<Row> = works.map(|work| Row::new(set, work, threads)).collect();
    if types.is_empty() {
        return Ok(types);
    }
    progress(format_args!("{}, {threads} thread(s):", set.title));
    ensemble.load(set, &["limits", "ours"])?;
    let mut passes = PASSES.map(|pass| Row::new(set, pass, threads));
    for round in 1..=options.rounds {
        progress(format_args!(" {round}"));
        for row in &mut passes {
            row.limit
                .push(ensemble.run("limits", &row.work.name(), options)?.0);
        }
        let [read, rewrite, squares] = passes
            .each_ref()
            .map(|row| *row.limit.last().expect("a time of this round"));
        for row in &mut types {
            row.limit.push(if row.work == Work::Measure {
                squares
            } else {
                row.work.limit(read, rewrite)
            });
            row.times[0].push(ensemble.run("ours", &row.work.name(), options)?.0);
        }
    }
    progress(format_args!("\n"));
    Ok(passes.into_iter().chain(types).collect())
}

fn play_facts(options: &Options, missing: &mut Vec<String>, out: &mut dyn Write) -> Told {
    let mut ensemble = Ensemble::start(options, 1, missing);
    let mut columns = Vec::new();
    for process in ensemble
        .0
        .iter_mut()
        .filter(|process| process.name != "limits")
    {
        let answer = process.ask("facts")?;
        let results = answer
            .trim_start_matches("ok ")
            .split('|')
            .map(str::to_owned)
            .collect::<Vec<_>>();
        columns.push((process.about.clone(), results));
    }
    let titles: Vec<_> = FACTS.iter().map(|fact| fact.title).collect();
    writeln!(out, "{}", table::facts(&titles, &columns))?;
    report(missing, out)
}

/// Paragraphs of their own, since a line right below a table belongs to it.
fn report(missing: &[String], out: &mut dyn Write) -> Told {
    for what in missing {
        writeln!(out, "\nMissing: {what}")?;
    }
    Ok(())
}
