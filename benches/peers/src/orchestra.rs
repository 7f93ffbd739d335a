//! Starts every peer in a process of its own and lets them run in turn, round after round.

use std::io::Write;

use crate::facts::FACTS;
use crate::options::{Job, Options};
use crate::process::{Ensemble, GRADIENTS, Process, progress};
use crate::sets::{self, Set};
use crate::table::{self, Row};
use crate::tell::Told;
use crate::work::{PASSES, TYPES, WORKS, Work};

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

impl Process {
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

impl Ensemble {
    /// Milliseconds, or NaN where there is no such peer or no such work.
    fn run(&mut self, peer: &str, work: &str, options: &Options) -> Result<(f64, f64), String> {
        const NONE: (f64, f64) = (f64::NAN, f64::NAN);
        match self.get(peer) {
            Some(process) => Ok(process.run(work, options.budget_ms)?.unwrap_or(NONE)),
            None => Ok(NONE),
        }
    }

    fn load(&mut self, set: &Set, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
        let request = format!("set {} {}", set.name, set.shapes_as_text());
        let mut processes = self.0.iter_mut();
        processes
            .by_ref()
            .filter(|process| wanted(process.name))
            .try_for_each(|process| process.ask(&request).map(drop))
    }
}

/// The limits first, and the peers that are wanted.
fn start(options: &Options, threads: usize, missing: &mut Vec<String>) -> Ensemble {
    let peers = options.job.peers().iter().copied();
    let wanted = peers.filter(|name| options.wants_peer(name));
    Ensemble::start(
        GRADIENTS,
        ["limits"].into_iter().chain(wanted),
        threads,
        missing,
    )
}

fn wants(options: &Options, work: Work) -> bool {
    options.wants_work(&work.name()) || options.wants_work(&work.of_f32().name())
}

/// Runs everything and prints the table.
pub(crate) fn play(options: &Options, out: &mut dyn Write) -> Told {
    let mut missing = Vec::new();
    if options.job == Job::Facts {
        return play_facts(options, &mut missing, out);
    }
    let mut rows = Vec::new();
    let mut about = Vec::new();
    for &threads in &options.threads {
        let mut ensemble = start(options, threads, &mut missing);
        about = ensemble
            .0
            .iter()
            .skip(1)
            .map(|process| process.about.clone())
            .collect();
        for set in sets::nets()
            .iter()
            .filter(|set| options.wants_set(&set.name))
        {
            rows.extend(play_net(options, &mut ensemble, set, threads)?);
        }
        for set in sets::buffers()
            .iter()
            .filter(|set| options.wants_set(&set.name))
        {
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
    ensemble.load(set, |_| true)?;
    let works = WORKS.into_iter().filter(|&work| wants(options, work));
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
    let works = TYPES.into_iter().filter(|&work| wants(options, work));
    let mut types: Vec<Row> = works.map(|work| Row::new(set, work, threads)).collect();
    if types.is_empty() {
        return Ok(types);
    }
    progress(format_args!("{}, {threads} thread(s):", set.title));
    ensemble.load(set, |name| matches!(name, "limits" | "ours"))?;
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
    let mut ensemble = start(options, 1, missing);
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

/// What is missing, in paragraphs of their own, since a line right below a table belongs to it.
pub(crate) fn report(missing: &[String], out: &mut dyn Write) -> Told {
    for what in missing {
        writeln!(out, "\nMissing: {what}")?;
    }
    Ok(())
}
