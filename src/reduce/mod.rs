//! One norm across machines: a guard on each rank, and the same bits on all of them.
//!
//! Where a gradient is spread over ranks, its norm is that of no part; and where one rank skips a step that another takes,
//! the run is lost, or hangs. [`Guard::reduced_by`](crate::Guard::reduced_by) lets the guards of all ranks agree. Totals
//! are exact integers ([`Total`](crate::Total)), which an all-reduce adds in any order, so norms, factors, verdicts and
//! reports are those of one process under the same [`Shards`], bit for bit, for any number of ranks. Behind a clamp that
//! bites, what is left is measured in another way than without shards, and a norm may differ from that in its last bits.
//!
//! # Which gradients
//!
//! | how a model lies on ranks | before the guard | shards |
//! |---|---|---|
//! | whole on each (data-parallel) | sum the gradients over ranks | [`Shards::tensors`], all [tied](Shards::tied) to one owner |
//! | by layers, stages, experts | – | [`Shards::tensors`], what several hold tied to one of them |
//! | each tensor cut (FSDP, tensor-parallel) | scatter the sums | [`Shards::elements`], what is not cut tied |
//!
//! A gradient that is yet to be summed over ranks has no norm that could be made of those of its summands.
//!
//! # Calls
//!
//! An [`AllReduce`] knows two calls: integers summed, and maxima. A *record* is a call for maxima and one for sums, and
//! tells what a set of tensors comes to, and each group of them that a rule is for. There is one
//!
//! - for the gradients of a step, which parameters and updates share if they are given, and the losses;
//! - before a rule behind a clipper, unless only rules that look are between them;
//! - of what is left of the gradients;
//!
//! and two calls alone, for maxima: before a clipper behind a detector that decides, and for the verdict at the end. So a
//! [`GlobalNorm`](crate::clip::GlobalNorm) with a [`NormThreshold`](crate::detect::NormThreshold) behind it makes three
//! sums and four maxima. The number follows from the rules alone: an empty shard, a rank without gradients, another
//! verdict make the same calls. A record is as wide as its numbers need, at most 600 bytes for each measurement of `f32` or
//! narrower elements and a norm. At their first step ranks make one call more, to see whether they have the same rules; and
//! something that is not finite costs a sum, with which its name goes to all ranks, and a record where a policy zeroes.
//!
//! # Errors
//!
//! What goes wrong on one rank is an error of the step on all: each tells its own, the others that of the first such
//! rank. It ends the step on all ranks at the same call, and they may go on. Ranks whose rules, sets or steps do not go
//! together get an [`Error::Wire`](crate::Error::Wire) that says how they differ, and [`Shards::checked`] finds more. A rank
//! that is gone is what the carrier makes of it: [`Threads`] give the others an error.
//!
//! # What differs by rank
//!
//! Rules for single tensors look at those on their own rank, so alarms are this rank's; their verdict holds on all, and
//! [`Report::decided_on`](crate::Report::decided_on) tells where it was come to. [`detect::all`](crate::detect::all()) of
//! two rules for single tensors hears both only where both speak on one rank. Losses may differ: rules see the exact mean of
//! those that were given. Signals are each rank's own. A plan that is dropped on one rank has to be dropped on all.
//!
//! # A carrier of one's own
//!
//! Sums of `i64` and maxima of `f64` are system operations of MPI. They are element types of NCCL as well: an adapter
//! copies the numbers to the device, calls `ncclAllReduce` with `ncclInt64` and `ncclSum`, or `ncclFloat64` and `ncclMax`,
//! and waits for the stream; what failed there is an error of every call from then on. An engine that sums floats alone
//! (burn's collectives) needs integers as pieces that it adds exactly: 16 bits in each `f32`, carried on every rank, are
//! exact for 256 ranks, summed and never averaged; maxima it has to know, or a gather does for both calls. Whatever it is,
//! a carrier gives all ranks the same bits, in the order of their calls, and never waits for a rank that it knows is gone.
//!
//! # Examples
//!
//! Two threads with a part of a gradient each, of which both hold the embedding:
//!
//! ```
//! use steadygrad::reduce::{Owner, Shards, Threads};
//! use steadygrad::{clip, Guard};
//!
//! let parts = [[("encoder", [2.0_f64]), ("embed", [1.0])], [("decoder", [2.0]), ("embed", [1.0])]];
//! let clipped = std::thread::scope(|scope| {
//!     let ranks = Threads::ranks_of(2).into_iter().zip(parts).map(|(wire, mut grads)| {
//!         scope.spawn(move || {
//!             let mut guard = Guard::new()
//!                 .clip(clip::GlobalNorm::new(1.5)?)
//!                 .reduced_by(wire, Shards::tensors().tied("embed", Owner(0)));
//!             let report = guard.step(&mut grads)?;
//!             assert_eq!((report.before(), report.after()), (3.0, 1.5));   // of 2, 2 and 1
//!             Ok::<_, steadygrad::Error>(grads)
//!         })
//!     });
//!     let ranks: Vec<_> = ranks.collect();
//!     ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Result<Vec<_>, _>>()
//! })?;
//! assert_eq!(clipped[0], [("encoder", [1.0]), ("embed", [0.5])]);
//! assert_eq!(clipped[1], [("decoder", [1.0]), ("embed", [0.5])]);
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod behind;
mod directory;
mod first;
mod greeting;
mod hash;
mod loss;
mod mean;
mod parts;
mod shards;
mod sums;
#[cfg(feature = "std")]
mod threads;
mod together;
mod wire;
mod word;

pub use shards::{Owner, Shards};
#[cfg(feature = "std")]
pub use threads::Threads;

pub(crate) use behind::Behind;
pub(crate) use first::Brought;
pub(crate) use greeting::Rules;
pub(crate) use mean::Signed;
pub(crate) use wire::Wire;
pub(crate) use word::Word;

use alloc::boxed::Box;
use core::fmt::Debug;

use crate::Result;

/// Carries numbers between the ranks of a guard. Every rank makes the same calls in the same order.
///
/// # Examples
///
/// A carrier for one rank, for a program that may run alone:
///
/// ```
/// use steadygrad::reduce::{AllReduce, Shards};
/// use steadygrad::{clip, Guard, Result};
///
/// #[derive(Debug)]
/// struct Alone;
///
/// impl AllReduce for Alone {
///     fn rank(&self) -> usize { 0 }
///     fn ranks(&self) -> usize { 1 }
///     fn sum(&mut self, _: &mut [i64]) -> Result<()> { Ok(()) }
///     fn max(&mut self, _: &mut [f64]) -> Result<()> { Ok(()) }
/// }
///
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?).reduced_by(Alone, Shards::elements());
/// assert_eq!(guard.step(&mut [3.0, 4.0])?.after(), 1.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait AllReduce: Send + Sync + Debug {
    /// Which rank this is, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn ranks(&self) -> usize;

    /// Makes each integer the sum over all ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Wire`](crate::Error::Wire) if a rank is gone or calls do not fit together.
    fn sum(&mut self, limbs: &mut [i64]) -> Result<()>;

    /// Makes each number the maximum over all ranks; none of them is NaN.
    ///
    /// # Errors
    ///
    /// As [`AllReduce::sum`].
    fn max(&mut self, values: &mut [f64]) -> Result<()>;
}

/// A boxed carrier is the carrier.
impl<W: AllReduce + ?Sized> AllReduce for Box<W> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn ranks(&self) -> usize {
        (**self).ranks()
    }

    fn sum(&mut self, limbs: &mut [i64]) -> Result<()> {
        (**self).sum(limbs)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<()> {
        (**self).max(values)
    }
}
