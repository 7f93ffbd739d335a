//! One norm across machines: a guard on each rank, the same bits on all of them.

mod directory;
mod greeting;
mod mean;
mod parts;
mod shards;
#[cfg(feature = "std")]
mod threads;
mod together;
mod wire;
mod word;

pub use shards::{Owner, Shards};
#[cfg(feature = "std")]
pub use threads::Threads;

pub(crate) use greeting::Rules;
pub(crate) use mean::Signed;
pub(crate) use wire::{Behind, Brought, Wire};
pub(crate) use word::Word;

use alloc::boxed::Box;
use core::fmt::Debug;

use crate::Result;

/// Carries numbers between ranks.
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
