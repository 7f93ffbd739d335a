//! Which rank holds what, and which counts it.

use alloc::vec::Vec;

use crate::Covers;

/// The rank that a [tied](Shards::tied) tensor counts on.
///
/// # Examples
///
/// ```
/// use steadygrad::reduce::{Owner, Shards};
/// let shards = Shards::tensors().tied("norm.", Owner(2));
/// assert!(shards.counts("norm.scale", 2) && !shards.counts("norm.scale", 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub usize);

/// How one gradient lies on several ranks: by whole tensors, or each tensor cut by elements; and which of them are there
/// more than once.
///
/// A *partial* gradient, which is yet to be summed over ranks, is neither: a norm of summands is not the norm of the sum
/// (those of 1 and −1 are 1, that of their sum is 0). Reduce it first.
///
/// # Examples
///
/// ```
/// use steadygrad::reduce::{Owner, Shards};
///
/// // Each rank has some of the layers, and all of them the norms and the embedding.
/// let shards = Shards::tensors().tied("norm.", Owner(0)).tied("embed.", Owner(3));
/// assert!(shards.counts("layers.7.w", 1));                                // whoever has it
/// assert!(shards.counts("norm.scale", 0) && !shards.counts("norm.scale", 1));
/// assert!(shards.counts("embed.w", 3) && !shards.counts("embed.w", 0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shards {
    pub(super) is_cut: bool,
    pub(super) is_checked: bool,
    tied: Vec<(Covers, Owner)>,
}

impl Shards {
    /// Each rank holds whole tensors, and each tensor is on one rank, but for those that are tied. What a rule makes of
    /// one tensor is then found where it is, and crosses no wire.
    ///
    /// ```
    /// use steadygrad::reduce::{Shards, Threads};
    /// use steadygrad::Guard;
    ///
    /// let shards = [[("w", [3.0_f64])], [("v", [4.0])]];
    /// let ranks = Threads::ranks_of(2).into_iter().zip(shards);
    /// std::thread::scope(|scope| {
    ///     for (wire, mut grads) in ranks {
    ///         scope.spawn(move || {
    ///             let mut guard = Guard::new().reduced_by(wire, Shards::tensors());
    ///             assert_eq!(guard.step(&mut grads).map(|report| report.before()), Ok(5.0));   // on both
    ///         });
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn tensors() -> Self {
        Self::default()
    }

    /// Every rank holds a part, which may be empty, of every tensor, under the same names in the same order.
    ///
    /// Sums are those of single elements, each a rounded square (or power) that is added as integers, so that they are
    /// the same bits for every cut, on one rank too. That is a second read of the elements, and one more for each rule
    /// behind edits that are not one factor for all. The whole of each tensor is known on every rank if a rule asks for
    /// it ([`Needs::tensors`](crate::Needs::tensors)), which costs a record for each tensor; else the tensors of a
    /// measurement are this rank's parts. [Units](crate::Units) of a tensor that is cut are an error of every step.
    #[must_use]
    pub fn elements() -> Self {
        Self {
            is_cut: true,
            ..Self::default()
        }
    }

    /// The tensors that these names cover are the same on every rank that holds them: replicas, or one parameter of two
    /// owners, under one name. They count once, on their owner, which has to hold them. Of several ties the first counts.
    /// On a single rank there is nobody else, and all counts.
    ///
    /// NaN in one replica is a fault on every rank, which [`Skip`](crate::OnNonFinite::Skip) leaves as it is on all;
    /// [`ZeroTensor`](crate::OnNonFinite::ZeroTensor) would zero that replica and no other.
    ///
    /// Whether replicas are alike is looked at where it is [asked for](Shards::checked).
    #[must_use]
    pub fn tied(mut self, covers: impl Into<Covers>, owner: Owner) -> Self {
        self.tied.push((covers.into(), owner));
        self
    }

    /// Looks, at every step, whether tensors that are tied are alike on all ranks that hold them and there on their
    /// owner, whether others are on one rank alone, and once whether the rules of all ranks have the same settings. What
    /// is not so is an error of the step, on every rank, that names the tensor and the rank.
    ///
    /// It costs a call for maxima more, of 16 bytes for each tensor that is tied and on several ranks, and two for sums
    /// where names are new. If one rank checks, all do.
    #[must_use]
    pub fn checked(self) -> Self {
        Self {
            is_checked: true,
            ..self
        }
    }

    /// Whether the tensor with this name counts on this rank.
    #[must_use]
    pub fn counts(&self, name: &str, rank: usize) -> bool {
        self.owner(name).is_none_or(|owner| owner.0 == rank)
    }

    /// The last rank that anything is tied to.
    pub(super) fn last_owner(&self) -> usize {
        let owners = self.tied.iter().map(|(_, owner)| owner.0);
        owners.max().unwrap_or(0)
    }

    /// On whom the tensor with this name counts, if it is tied.
    pub(super) fn owner(&self, name: &str) -> Option<Owner> {
        let tie = self.tied.iter().find(|(covers, _)| covers.covers(name));
        tie.map(|(_, owner)| *owner)
    }
}
