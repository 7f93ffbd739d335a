//! From elements to [`Stats`]: the fast pass, and the rare ones that only some inputs need.

use super::chunks::{self, CHUNK};
use super::edit::{At, apply};
use super::lanes::BLOCK;
use super::measure::{self, How, Lanes, Pair, Sums};
use crate::needs::Look;
use crate::number::{Number, Part};
use crate::slice::{SliceRef, each_slice};
use crate::stats::Power;
use crate::{Edit, Stats, Wide, math};

/// Elements that stay in the nearest cache, in whole blocks.
const NEAR: usize = 8 * BLOCK;

/// Elements held back until they fill whole blocks.
const HELD: usize = 4 * BLOCK;

/// Gives the elements of a tensor to a receiver, run by run, the same each time it is asked.
pub(crate) type Feed<'a, T> = dyn Fn(&mut dyn FnMut(&[T])) + 'a;

/// What one read says of the elements that `feed` gives.
pub(crate) fn stats<T: Number>(feed: &Feed<'_, T>, look: Look) -> Stats {
    let read = |how: &How<T::Part>| {
        let mut stream = Stream::new(*how);
        feed(&mut |run| stream.push(run));
        stream.finish()
    };
    let (len, sums) = read(&How::usual(look));
    complete(len, sums, look, feed, &|how| read(how).1)
}

/// The same for one slice, without holding anything back.
#[inline]
pub(crate) fn stats_of_slice<T: Number>(xs: &[T], look: Look) -> Stats {
    let sums = sums_of_slice(xs, &How::usual(look));
    complete_slice(xs, sums, look)
}

/// The same for several slices, which have so many `elements` together.
pub(crate) fn stats_of_slices(
    slices: &[Option<SliceRef<'_>>],
    elements: usize,
    look: Look,
    to: &mut [Stats],
) {
    chunks::side_by_side(slices, elements, to, |slice, to| {
        if let Some(slice) = slice {
            each_slice!(slice, SliceRef, xs => fill_in(xs, look, to));
        }
    });
}

/// Field by field: a copy of what was just written in smaller pieces would wait for them.
#[inline]
fn fill_in<T: Number>(xs: &[T], look: Look, to: &mut Stats) {
    let sums = sums_of_slice(xs, &How::usual(look));
    if are_all::<T>(&sums, look) {
        *to = plain(xs.len() as u64, &sums, look);
    } else {
        *to = complete_slice(xs, sums, look);
    }
}

#[inline]
fn sums_of_slice<T: Number>(xs: &[T], how: &How<T::Part>) -> Sums {
    if xs.len() <= CHUNK {
        return sums_of_chunk(xs, how);
    }
    let mut sums = Sums::ZERO;
    chunks::read(
        xs,
        |chunk| sums_of_chunk(chunk, how),
        |chunk| sums.add(chunk),
    );
    sums
}

/// Squares that are out of range are summed in range, while the chunk is near.
#[inline]
fn sums_of_chunk<T: Number>(chunk: &[T], how: &How<T::Part>) -> Sums {
    if T::Part::SQUARES_ARE_EXACT || how.times.is_some() {
        return measure::sums(chunk, how);
    }
    let sums = if chunk.len() <= NEAR {
        measure::sums(chunk, how)
    } else {
        let (first, rest) = chunk.split_at(NEAR);
        let mut lanes = Lanes::ZERO;
        measure::add(&mut lanes, first, how);
        // As the beginning is, so will the rest be.
        if let Some(sums) = sums_in_range(chunk, lanes.max(), how) {
            return sums;
        }
        measure::add(&mut lanes, rest, how);
        lanes.finish()
    };
    sums_in_range(chunk, sums.max, how).unwrap_or(sums)
}

/// The sums of elements whose squares are out of range, if those of elements up to `max` are, times what brings those
/// into range. Nothing if that does not do for all.
#[inline]
fn sums_in_range<T: Number>(chunk: &[T], max: f64, how: &How<T::Part>) -> Option<Sums> {
    if T::Part::squares_are_safe(max) || !max.is_finite() {
        return None;
    }
    let (shift, factor) = T::Part::shift(max);
    let times = Some(factor);
    let sums = measure::sums(chunk, &How { times, ..*how });
    let in_range = sums.are_finite() && T::Part::squares_are_safe(sums.max);
    in_range.then(|| Sums {
        max: sums.max * math::pow2(shift),
        shift,
        ..sums
    })
}

#[inline]
pub(super) fn complete_slice<T: Number>(xs: &[T], sums: Sums, look: Look) -> Stats {
    let feed = |to: &mut dyn FnMut(&[T])| to(xs);
    complete(xs.len() as u64, sums, look, &feed, &|how| {
        sums_of_slice(xs, how)
    })
}

/// Carries out `edit` on a slice and says what it leaves, block by block while it is near.
pub(crate) fn edit_and_stats<T: Number>(
    xs: &mut [T],
    edit: &Edit<'_>,
    at: Option<&At<'_>>,
    look: Look,
) -> Stats {
    let mut sums = Sums::ZERO;
    let how = How::usual(look);
    let chunk = |chunk: &mut [T]| {
        let mut lanes = Lanes::ZERO;
        for block in chunk.chunks_mut(NEAR) {
            apply(block, edit, at);
            measure::add(&mut lanes, block, &how);
        }
        let sums = lanes.finish();
        sums_in_range(chunk, sums.max, &how).unwrap_or(sums)
    };
    chunks::write(xs, chunk, |chunk| sums.add(chunk));
    complete_slice(xs, sums, look)
}

/// Sums over runs of any length: whole blocks go straight in, the rest is held back.
struct Stream<T: Number> {
    how: How<T::Part>,
    held: [T; HELD],
    holds: usize,
    lanes: Lanes<T>,
    in_chunk: usize,
    sums: Sums,
    len: u64,
}

impl<T: Number> Stream<T> {
    fn new(how: How<T::Part>) -> Self {
        Self {
            how,
            held: [T::default(); HELD],
            holds: 0,
            lanes: Lanes::ZERO,
            in_chunk: 0,
            sums: Sums::ZERO,
            len: 0,
        }
    }

    fn push(&mut self, mut run: &[T]) {
        self.len += run.len() as u64;
        if self.holds > 0 || run.len() < HELD {
            let taken = run.len().min(HELD - self.holds);
            let (fill, rest) = run.split_at(taken);
            self.held[self.holds..self.holds + taken].copy_from_slice(fill);
            self.holds += taken;
            if self.holds < HELD {
                return;
            }
            let held = self.held;
            self.add(&held);
            self.holds = 0;
            run = rest;
        }
        let (blocks, rest) = run.split_at(run.len() - run.len() % HELD);
        self.add(blocks);
        self.held[..rest.len()].copy_from_slice(rest);
        self.holds = rest.len();
    }

    fn add(&mut self, mut xs: &[T]) {
        while !xs.is_empty() {
            let (now, later) = xs.split_at(xs.len().min(CHUNK - self.in_chunk));
            measure::add(&mut self.lanes, now, &self.how);
            self.in_chunk += now.len();
            if self.in_chunk == CHUNK {
                self.close_chunk();
            }
            xs = later;
        }
    }

    fn close_chunk(&mut self) {
        self.sums.add(self.lanes.finish());
        self.lanes = Lanes::ZERO;
        self.in_chunk = 0;
    }

    fn finish(mut self) -> (u64, Sums) {
        let held = self.held;
        self.add(&held[..self.holds]);
        if self.in_chunk > 0 {
            self.close_chunk();
        }
        (self.len, self.sums)
    }
}

/// Whether the sums of the fast pass are all there is to say.
#[inline(always)]
fn are_all<T: Number>(sums: &Sums, look: Look) -> bool {
    let more = look.power.is_some() || look.range;
    sums.are_finite() && T::Part::squares_are_safe(sums.max) && !more
}

/// What they say then.
#[inline(always)]
fn plain(len: u64, sums: &Sums, look: Look) -> Stats {
    Stats {
        len,
        max_abs: sums.max,
        l1: look.l1.then(|| Wide::new(sums.l1.round(), 0)),
        sum_sq: Wide::new(sums.sq.round(), 0),
        ..Stats::EMPTY
    }
}

/// Turns the sums of the fast pass into `Stats`, reading again where they do not tell.
#[inline]
fn complete<T: Number>(
    len: u64,
    sums: Sums,
    look: Look,
    feed: &Feed<'_, T>,
    again: &dyn Fn(&How<T::Part>) -> Sums,
) -> Stats {
    if are_all::<T>(&sums, look) {
        return plain(len, &sums, look);
    }
    carefully(len, sums, look, feed, again)
}

/// For powers and ranges, for what is not finite, and for squares out of range.
#[cold]
fn carefully<T: Number>(
    len: u64,
    mut sums: Sums,
    look: Look,
    feed: &Feed<'_, T>,
    again: &dyn Fn(&How<T::Part>) -> Sums,
) -> Stats {
    let mut stats = Stats {
        len,
        ..Stats::EMPTY
    };
    if sums.are_finite() {
        stats.max_abs = sums.max;
    } else {
        count(feed, &mut stats);
    }
    let how = How::<T::Part>::usual(look);
    // Those of a slice are in range already.
    let out_of_range = sums.shift == 0 && !T::Part::squares_are_safe(sums.max);
    if !sums.are_finite() || out_of_range {
        let (shift, factor) = T::Part::shift(stats.max_abs);
        let again = again(&How {
            times: Some(factor),
            only_finite: true,
            ..how
        });
        sums = Sums { shift, ..again };
    }
    let shift = sums.shift;
    stats.l1 = look.l1.then(|| Wide::new(sums.l1.round(), shift));
    stats.sum_sq = Wide::new(sums.sq.round(), 2 * shift);
    if let Some(p) = look.power {
        stats.power = Power::of(p, power(feed, stats.max_abs, p));
    }
    if look.range {
        (stats.low, stats.high) = range(feed);
    }
    stats
}

/// Counts what is not finite and finds the first of it and the largest finite magnitude.
fn count<T: Number>(feed: &Feed<'_, T>, stats: &mut Stats) {
    let mut index = 0;
    feed(&mut |run| {
        for block in run.chunks(HELD) {
            let found = found(block);
            stats.max_abs = stats.max_abs.max(found.max_abs);
            stats.nan += found.nan;
            stats.pos_inf += found.pos_inf;
            stats.neg_inf += found.neg_inf;
            if stats.first_non_finite.is_none() && !stats.is_finite() {
                let first = block.iter().position(|x| !x.exact().is_finite());
                stats.first_non_finite = first.map(|i| index + i as u64);
            }
            index += block.len() as u64;
        }
    });
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
fn found<T: Number>(xs: &[T]) -> Stats {
    let (mut nan, mut pos, mut neg, mut max) = ([0_u64; 8], [0_u64; 8], [0_u64; 8], [0.0_f64; 8]);
    for chunk in xs.chunks(8) {
        let mut eight = [0.0; 8];
        for (to, x) in eight.iter_mut().zip(chunk) {
            *to = x.exact();
        }
        for (j, x) in eight.into_iter().enumerate() {
            nan[j] += u64::from(x.is_nan());
            pos[j] += u64::from(x == f64::INFINITY);
            neg[j] += u64::from(x == f64::NEG_INFINITY);
            let size = if x.is_finite() { x.abs() } else { 0.0 };
            max[j] = if size > max[j] { size } else { max[j] };
        }
    }
    Stats {
        nan: nan.iter().sum(),
        pos_inf: pos.iter().sum(),
        neg_inf: neg.iter().sum(),
        max_abs: max.into_iter().fold(0.0, f64::max),
        ..Stats::EMPTY
    }
}

/// The smallest and the largest finite element; (∞, −∞) if there is none.
pub(super) fn range<T: Number>(feed: &Feed<'_, T>) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    feed(&mut |run| {
        let (smallest, largest) = range_of(run);
        (low, high) = (low.min(smallest), high.max(largest));
    });
    (low, high)
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
pub(super) fn range_of<T: Number>(xs: &[T]) -> (f64, f64) {
    let (mut low, mut high) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    for chunk in xs.chunks(8) {
        for (j, x) in chunk.iter().enumerate() {
            let x = x.exact();
            // Infinities are counted, not ranked.
            let size = x.abs() < f64::INFINITY;
            low[j] = if size && x < low[j] { x } else { low[j] };
            high[j] = if size && x > high[j] { x } else { high[j] };
        }
    }
    (
        low.into_iter().fold(f64::INFINITY, f64::min),
        high.into_iter().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// Σ|x|^p of the finite elements, each taken as its share of the largest: so no power overflows, however
/// large p is, and the sum is at least 1.
fn power<T: Number>(feed: &Feed<'_, T>, max: f64, p: f64) -> Wide {
    if max == 0.0 {
        return Wide::ZERO;
    }
    let mut sum = Pair::ZERO;
    feed(&mut |run| {
        for x in run {
            let x = x.exact().abs();
            if x.is_finite() {
                sum.add(Pair(math::powf(x / max, p), 0.0));
            }
        }
    });
    Wide::new(sum.round(), 0) * Wide::from(max).power(p)
}
