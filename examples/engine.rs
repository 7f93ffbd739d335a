//! An adapter for a device in an afternoon: one that works on a thread of its own and never answers but when it is asked
//! for numbers. `cargo run --example engine`

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use steadygrad::device::{
    Axes, Engine, Fold, Kind, Map, Place, Places, Remote, Zip, conformance, global_norm,
};
use steadygrad::{Error, Guard, Result, clip};
use tell::{Told, tell};

mod tell;

/// What the device keeps: numbers under tickets.
type Memory = HashMap<u64, Vec<f32>>;

/// Something for the device to do, when it comes to it.
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The way to a device that reckons in `f32`.
#[derive(Clone, Debug)]
struct Queue {
    jobs: mpsc::Sender<Job>,
    tickets: Arc<AtomicU64>,
}

/// Numbers that the device has, or will have when its queue has come that far.
#[derive(Clone, Debug)]
struct Handle {
    slot: Arc<Slot>,
    dims: Vec<usize>,
}

/// Frees the numbers when the last handle is gone.
#[derive(Debug)]
struct Slot {
    ticket: u64,
    jobs: mpsc::Sender<Job>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let ticket = self.ticket;
        let free: Job = Box::new(move |memory| drop(memory.remove(&ticket)));
        // A device that is gone has freed all.
        let _ = self.jobs.send(free);
    }
}

impl Queue {
    fn start() -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::spawn(move || {
            let mut memory = Memory::new();
            waiting.into_iter().for_each(|job| job(&mut memory));
        });
        Self {
            jobs,
            tickets: Arc::default(),
        }
    }

    /// Queues the making of `len` numbers out of those of `x`.
    fn make(
        &self,
        x: &[&Handle],
        len: usize,
        f: impl FnOnce(&[&[f32]]) -> Vec<f32> + Send + 'static,
    ) -> Result<Handle> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let from: Vec<u64> = x.iter().map(|x| x.slot.ticket).collect();
        self.queue(move |memory| {
            let numbers: Vec<&[f32]> = from.iter().map(|ticket| &memory[ticket][..]).collect();
            let made = f(&numbers);
            memory.insert(ticket, made);
        })?;
        let slot = Arc::new(Slot {
            ticket,
            jobs: self.jobs.clone(),
        });
        Ok(Handle {
            slot,
            dims: vec![len],
        })
    }

    fn queue(&self, job: impl FnOnce(&mut Memory) + Send + 'static) -> Result<()> {
        let gone = |_| Error::Storage("expected a device, found that it is gone".into());
        self.jobs.send(Box::new(job)).map_err(gone)
    }

    fn tensor(&self, values: &[f64], dims: &[usize]) -> Result<Handle> {
        let numbers: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let handle = self.make(&[], numbers.len(), |_| numbers)?;
        Ok(Handle {
            dims: dims.to_vec(),
            ..handle
        })
    }
}

fn len(x: &Handle) -> usize {
    x.dims.iter().product()
}

fn unknown(what: &impl std::fmt::Debug) -> Error {
    Error::Storage(format!(
        "expected an operation of this device, found {what:?}"
    ))
}

impl Engine for Queue {
    type Array = Handle;

    fn dims(&self, x: &Handle) -> Vec<usize> {
        x.dims.clone()
    }

    fn kind(&self, _: &Handle) -> Result<Kind> {
        Ok(Kind::F32)
    }

    fn arithmetic(&self, _: &Handle) -> Kind {
        Kind::F32
    }

    fn widest(&self, _: &Handle) -> Kind {
        Kind::F32
    }

    fn part(&self, x: &Handle, [before, len, after]: Axes, range: Range<usize>) -> Result<Handle> {
        self.make(&[x], before * range.len() * after, move |x| {
            let rows = x[0].chunks(len * after).take(before);
            rows.flat_map(|row| &row[range.start * after..range.end * after])
                .copied()
                .collect()
        })
    }

    fn to_front(&self, x: &Handle, [before, count, after]: Axes) -> Result<Handle> {
        self.make(&[x], len(x), move |x| {
            let at = |i: usize, b: usize| &x[0][(b * count + i) * after..][..after];
            (0..count)
                .flat_map(|i| (0..before).flat_map(move |b| at(i, b)))
                .copied()
                .collect()
        })
    }

    fn cast(&self, x: Handle, _: Kind) -> Result<Handle> {
        Ok(x)
    }

    fn map(&self, x: Handle, f: Map) -> Result<Handle> {
        let one: Box<dyn Fn(f32) -> f32 + Send> = match f {
            Map::Abs => Box::new(f32::abs),
            Map::Square => Box::new(|x| x * x),
            Map::Sqrt => Box::new(f32::sqrt),
            Map::Power(p) => Box::new(move |x| x.powf(p as f32)),
            Map::Times(y) => Box::new(move |x| x * y as f32),
            Map::Under(y) => Box::new(move |x| y as f32 / x),
            Map::AtMost(y) => Box::new(move |x| if x > y as f32 { y as f32 } else { x }),
            Map::Clamp { min, max } => Box::new(move |x| {
                let x = if x < min as f32 { min as f32 } else { x };
                if x > max as f32 { max as f32 } else { x }
            }),
            Map::Zero => Box::new(|_| 0.0),
            Map::FiniteOr(y) => Box::new(move |x| if x.is_finite() { x } else { y as f32 }),
            Map::IsNan => Box::new(|x| f32::from(u8::from(x.is_nan()))),
            Map::IsFinite => Box::new(|x| f32::from(u8::from(x.is_finite()))),
            Map::Above(y) => Box::new(move |x| f32::from(u8::from(f64::from(x) > y))),
            Map::Below(y) => Box::new(move |x| f32::from(u8::from(f64::from(x) < y))),
            other => return Err(unknown(&other)),
        };
        self.make(&[&x], len(&x), move |x| {
            x[0].iter().map(|&x| one(x)).collect()
        })
    }

    fn zip(&self, x: Handle, [_, count, after]: Axes, by: &Handle, f: Zip) -> Result<Handle> {
        let one = match f {
            Zip::Plus => |x, y| x + y,
            Zip::Times => |x, y| x * y,
            Zip::Over => |x: f32, y: f32| x / y,
            other => return Err(unknown(&other)),
        };
        self.make(&[&x, by], len(&x), move |x| {
            let numbers = x[0].iter().enumerate();
            numbers
                .map(|(i, &y)| one(y, x[1][i / after % count]))
                .collect()
        })
    }

    fn fold(&self, x: Handle, rows: usize, f: Fold) -> Result<Handle> {
        let row: fn(&[f32]) -> f32 = match f {
            Fold::Sum => |row| row.iter().sum(),
            Fold::Max => |row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Fold::Min => |row| row.iter().copied().fold(f32::INFINITY, f32::min),
            other => return Err(unknown(&other)),
        };
        self.make(&[&x], rows, move |x| {
            x[0].chunks_exact(x[0].len() / rows).map(row).collect()
        })
    }

    fn values(&self, values: &[f64], _: &Handle) -> Result<Handle> {
        self.tensor(values, &[values.len()])
    }

    fn put(&self, x: &mut Handle, start: usize, values: Handle) -> Result<()> {
        let changed = self.make(&[x, &values], len(x), move |x| {
            let mut numbers = x[0].to_vec();
            numbers[start..start + x[1].len()].copy_from_slice(x[1]);
            numbers
        })?;
        x.slot = changed.slot;
        Ok(())
    }

    fn to_host(&self, all: Vec<Handle>) -> Result<Vec<f64>> {
        let (answer, numbers) = mpsc::channel();
        let from: Vec<u64> = all.iter().map(|x| x.slot.ticket).collect();
        self.queue(move |memory| {
            let numbers = from
                .iter()
                .flat_map(|ticket| &memory[ticket])
                .map(|&x| f64::from(x))
                .collect();
            let _ = answer.send(numbers);
        })?;
        numbers
            .recv()
            .map_err(|_| Error::Storage("expected numbers, found a device that is gone".into()))
    }
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let device = Queue::start();
    conformance(&device, &[Kind::F32], |values, dims, _| {
        device.tensor(values, dims)
    })?;
    writeln!(out, "the device conforms")?;

    // A set of gradients, one of them in host memory.
    let mut grads = Places::default();
    let remote = |values: &[f64], dims: &[usize]| -> Result<_> {
        Ok(Place::Remote(Remote::new(
            device.clone(),
            device.tensor(values, dims)?,
        )))
    };
    grads.push("w", remote(&[1.0, -2.0, 0.0, 2.0], &[2, 2])?);
    grads.push("b", Place::Host(vec![0.0_f32; 2]));
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    writeln!(out, "{}", guard.step(&mut grads)?.report())?;
    writeln!(out, "{} transfer", grads.transfers())?;

    // Squares of these overflow: they are looked at again, then scaled.
    let mut huge: Places<Vec<f32>, Queue> = Places::default();
    huge.push("w", remote(&[1e25, -2e25, 0.0, 2e25], &[2, 2])?);
    writeln!(out, "{}", guard.step(&mut huge)?.report())?;
    writeln!(out, "{} transfers", huge.transfers())?;

    // And without a word from the device until it is asked.
    huge = Places::default();
    huge.push("w", remote(&[3.0, 4.0], &[2])?);
    if let Some(clipped) = global_norm(&mut huge, 1.0)? {
        let transfers = huge.transfers();
        writeln!(
            out,
            "{transfers} transfers before norm and factor are {:?}",
            clipped.wait()?
        )?;
    }
    Ok(())
}
