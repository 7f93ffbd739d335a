//! What rules want done to the tensors of a set.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::edit::{Edit, Stored, in_order};
use crate::factor::Factor;
use crate::names::Names;
use crate::{Error, Norm, Result, Stats, Wide};

/// The operations of one tensor, on the heap only from the second on.
#[derive(Clone, Debug, Default)]
struct List {
    first: Option<Stored>,
    /// All of them, if there are several.
    several: Vec<Stored>,
}

impl List {
    const NEW: Self = Self {
        first: None,
        several: Vec::new(),
    };

    /// With space for so many operations.
    fn with_room(operations: usize) -> Self {
        Self {
            first: None,
            several: Vec::with_capacity(if operations > 1 { operations } else { 0 }),
        }
    }

    fn as_slice(&self) -> &[Stored] {
        if self.several.is_empty() {
            self.first.as_slice()
        } else {
            &self.several
        }
    }

    fn push(&mut self, op: Stored) {
        match self.first {
            None => self.first = Some(op),
            Some(first) => {
                if self.several.is_empty() {
                    self.several.push(first);
                }
                self.several.push(op);
            }
        }
    }

    fn reserve(&mut self, operations: usize) {
        if operations > 1 {
            self.several.reserve(operations);
        }
    }

    /// Becomes equal to `other`, in place.
    fn copy(&mut self, other: &Self) {
        self.first = other.first;
        self.several.clone_from(&other.several);
    }

    fn clear(&mut self) {
        self.first = None;
        self.several.clear();
    }
}

/// One [`Edit`] for each tensor of a set: where rules write what they want done.
///
/// The space is reused from step to step. Rules come in the order of the chain, and what one pushes
/// acts on what those before it left.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Factor};
///
/// let mut grads = vec![vec![1.0_f32, 2.0], vec![3.0]];
/// let mut edits = Edits::for_count(2);
/// edits.scale_all(Factor::new(2.0)?);
/// edits.zero(1);
/// edits.apply(&mut grads)?;
/// assert_eq!(grads, [vec![2.0, 4.0], vec![0.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// What is done to every tensor that has no list of its own.
    all: List,
    /// What is done to each of the first `apart` tensors. What follows is kept for later.
    lists: Vec<List>,
    apart: usize,
    count: usize,
    arena: Vec<Factor>,
    names: Option<Arc<Names>>,
    pushed: u64,
    grows: bool,
    /// Norms that rules have seen to.
    held: Vec<Held>,
    members: Vec<u32>,
    /// How many units there were, and how many factors for them, where these differed.
    misfit: Option<(usize, usize)>,
    /// How many operations a new list has room for.
    room: usize,
}

/// What a rule has seen to: that the norm of the whole, or of each tensor, is at most `max`. Elements that are
/// rounded to their type, and norms that follow by arithmetic, may come out a little above; that is no news to
/// the rules behind it.
#[derive(Clone, Copy, Debug)]
struct Held {
    each: bool,
    norm: Norm,
    max: f64,
    /// Where those that the rule saw stand in `members`, unless it saw all.
    members: Option<(usize, usize)>,
    /// Which group of the whole set those are.
    of: Option<u32>,
}

/// Of as many tensors and the same [`Edit`] for each.
impl PartialEq for Edits {
    fn eq(&self, other: &Self) -> bool {
        let different = self.different().max(other.different());
        self.count == other.count && (0..different).all(|i| self.get(i) == other.get(i))
    }
}

impl Edits {
    /// For no tensor at all.
    pub(crate) const NONE: Self = Self {
        all: List::NEW,
        lists: Vec::new(),
        apart: 0,
        count: 0,
        arena: Vec::new(),
        names: None,
        pushed: 0,
        grows: false,
        held: Vec::new(),
        members: Vec::new(),
        misfit: None,
        room: 0,
    };

    /// Keep everything in a set of `count` tensors of any names.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut grads = vec![vec![1.0_f32], vec![2.0]];
    /// assert!(Edits::for_count(2).apply(&mut grads).is_ok());
    /// assert!(Edits::for_count(3).apply(&mut grads).is_err());   // meant for another set
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn for_count(count: usize) -> Self {
        let mut edits = Self::default();
        edits.reset(count, None);
        edits
    }

    /// Makes new lists large enough for so many operations more.
    pub(crate) fn make_room(&mut self, operations: usize) {
        self.room += operations;
        self.held.reserve(self.room);
    }

    pub(crate) fn reset(&mut self, count: usize, names: Option<&Arc<Names>>) {
        self.lists[..self.apart].iter_mut().for_each(List::clear);
        self.apart = 0;
        self.all.clear();
        if self.room > 0 {
            self.all.reserve(self.room);
            // All at once, so that no later step allocates.
            self.make_lists(count);
        }
        self.arena.clear();
        self.held.clear();
        self.members.clear();
        self.misfit = None;
        (self.count, self.pushed) = (count, 0);
        self.grows = false;
        if !matches!((&self.names, names), (Some(mine), Some(theirs)) if Arc::ptr_eq(mine, theirs))
        {
            self.names = names.cloned();
        }
    }

    /// Makes lists for the first `count` tensors, if there is memory for so many.
    fn make_lists(&mut self, count: usize) -> bool {
        let (room, made) = (self.room, self.lists.len());
        if made < count {
            if self.lists.try_reserve(count - made).is_err() {
                return false;
            }
            self.lists.resize_with(count, || List::with_room(room));
        }
        true
    }

    /// How many tensors tell of all: those that have a list of their own, and the first behind them.
    fn different(&self) -> usize {
        self.count.min(self.apart + 1)
    }

    /// The number of tensors.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// assert_eq!(Edits::for_count(3).len(), 3);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no tensor.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// assert!(Edits::default().is_empty());
    /// assert!(!Edits::for_count(1).is_empty());   // one tensor, even if it is kept
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing is to be done to any tensor.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut edits = Edits::for_count(2);
    /// assert!(edits.is_keep());
    /// edits.zero(1);
    /// assert!(!edits.is_keep());
    /// ```
    #[must_use]
    pub fn is_keep(&self) -> bool {
        self.pushed == 0
    }

    /// The edit of tensor `index`; [`Edit::KEEP`] beyond the last.
    ///
    /// ```
    /// use steadygrad::{Edits, Op};
    /// let mut edits = Edits::for_count(1);
    /// edits.zero_all();
    /// assert_eq!(edits.get(0).ops().collect::<Vec<_>>(), [Op::Zero]);
    /// assert!(edits.get(7).is_keep());
    /// ```
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Edit<'_> {
        if index >= self.count {
            return Edit::KEEP;
        }
        let list = self.lists[..self.apart].get(index).unwrap_or(&self.all);
        Edit {
            ops: list.as_slice(),
            arena: &self.arena,
        }
    }

    /// Scales tensor `index`.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor};
    /// let mut grads = vec![vec![4.0_f32], vec![8.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale(1, Factor::new(0.5)?);
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [[4.0], [4.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale(&mut self, index: usize, factor: Factor) {
        self.push(index, Stored::Scale(factor));
    }

    /// Scales every tensor.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor};
    /// let mut grads = vec![vec![4.0_f32], vec![8.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale_all(Factor::new(0.5)?);
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [[2.0], [4.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale_all(&mut self, factor: Factor) {
        self.push_all(Stored::Scale(factor));
    }

    /// Clamps tensor `index` into `[min, max]`. A NaN bounds nothing; if `min` is above `max`, every number
    /// becomes `max`.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut grads = vec![vec![0.5_f32, f32::NEG_INFINITY, 7.0]; 3];
    /// let mut edits = Edits::for_count(3);
    /// edits.clamp(0, -1.0, 2.0);
    /// edits.clamp(1, -1.0, f64::NAN);
    /// edits.clamp(2, 3.0, 2.0);
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [[0.5, -1.0, 2.0], [0.5, -1.0, 7.0], [2.0, 2.0, 2.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn clamp(&mut self, index: usize, min: f64, max: f64) {
        let (min, max) = in_order(min, max);
        self.push(index, Stored::Clamp { min, max });
    }

    /// Scales each unit of tensor `index` along `axis` by its own factor. If there are not as many as units,
    /// applying the edits is an error.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::array;
    /// use steadygrad::{Edits, Factor};
    ///
    /// let mut w = array![[1.0_f32, 2.0], [3.0, 4.0]];
    /// let mut edits = Edits::for_count(1);
    /// edits.scale_units(0, 0, &[Factor::ONE, Factor::new(0.5)?]);   // along axis 0, so a factor for each row
    /// edits.apply(&mut w)?;
    /// assert_eq!(w, array![[1.0, 2.0], [1.5, 2.0]]);
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale_units(&mut self, index: usize, axis: usize, factors: &[Factor]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(factors);
        self.push(
            index,
            Stored::ScaleUnits {
                axis,
                start,
                len: factors.len(),
            },
        );
    }

    /// Makes every element of tensor `index` +0.0.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut grads = vec![vec![1.0_f32], vec![f32::NAN, -3.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [vec![1.0], vec![0.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn zero(&mut self, index: usize) {
        self.push(index, Stored::Zero);
    }

    /// Makes every element of every tensor +0.0.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut grads = vec![vec![1.0_f32], vec![f32::NAN, -3.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero_all();
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [vec![0.0], vec![0.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn zero_all(&mut self) {
        self.push_all(Stored::Zero);
    }

    /// Notes that there were not as many factors as units.
    pub(crate) fn misfit(&mut self, units: usize, factors: usize) {
        self.misfit.get_or_insert((units, factors));
    }

    /// Whether every rule wrote as many factors as there are units.
    pub(crate) fn check(&self) -> Result<()> {
        self.misfit.map_or(Ok(()), |(expected, found)| {
            Err(Error::Count {
                what: "factors for the units",
                expected,
                found,
            })
        })
    }

    /// How many operations were pushed so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Notes that a rule has seen to a norm, of all tensors or of these.
    pub(crate) fn hold(
        &mut self,
        each: bool,
        norm: Norm,
        max: f64,
        members: Option<&[u32]>,
        of: Option<u32>,
    ) {
        let members = members.map(|members| {
            let start = self.members.len();
            self.members.extend_from_slice(members);
            (start, self.members.len())
        });
        self.held.push(Held {
            each,
            norm,
            max,
            members,
            of,
        });
    }

    /// The tensors that a norm is of, unless it is of all.
    fn members_of(&self, held: &Held) -> Option<&[u32]> {
        let (start, end) = held.members?;
        self.members.get(start..end)
    }

    /// Whether the norm of this group is seen to.
    fn holds(&self, held: &Held, group: Option<&[u32]>) -> bool {
        let members = self.members_of(held);
        if held.each {
            // Of one tensor, the norm of each is that of all.
            let one = group.map_or(self.count == 1, |group| group.len() == 1);
            let of_it = |members: &[u32]| members.contains(&group.map_or(0, |group| group[0]));
            one && members.is_none_or(of_it)
        } else {
            members == group
        }
    }

    /// Whether what was measured lies a little above a norm that rules have seen to.
    pub(crate) fn settles(&self, total: &Stats, tensors: &[Stats]) -> bool {
        self.held.iter().any(|held| {
            let above = |stats: &Stats| stats.norm(held.norm) > Wide::from(held.max);
            // A group's total is not looked at here, so it may be above.
            held.members.is_some()
                || self.holds(held, None) && above(total)
                || held.each && tensors.iter().any(above)
        })
    }

    /// Takes the norm of the whole, measured or followed by arithmetic, for what the rules have made of it.
    pub(crate) fn settle_total(&self, total: &mut Stats) {
        for held in self.held.iter().filter(|held| self.holds(held, None)) {
            total.hold(held.norm, held.max);
        }
    }

    /// The same for a group.
    pub(crate) fn settle_group(&self, members: &[u32], total: &mut Stats) {
        let of_group = |held: &&Held| self.holds(held, Some(members));
        for held in self.held.iter().filter(of_group) {
            total.hold(held.norm, held.max);
        }
    }

    /// The same for a total over ranks: `seen_to` says whether it is the norm of the whole or of a group, or that of
    /// each tensor in it, that a rule has seen to.
    pub(crate) fn settle_by(&self, total: &mut Stats, seen_to: impl Fn(bool, Option<u32>) -> bool) {
        for held in self.held.iter().filter(|held| seen_to(held.each, held.of)) {
            total.hold(held.norm, held.max);
        }
    }

    /// The same for each tensor.
    pub(crate) fn settle_tensors(&self, tensors: &mut [Stats]) {
        for held in self.held.iter().filter(|held| held.each) {
            match self.members_of(held) {
                Some(members) => {
                    for &member in members {
                        if let Some(stats) = tensors.get_mut(member as usize) {
                            stats.hold(held.norm, held.max);
                        }
                    }
                }
                None => {
                    for stats in &mut *tensors {
                        stats.hold(held.norm, held.max);
                    }
                }
            }
        }
    }

    /// The same for tensor `index` alone.
    pub(crate) fn settle_tensor(&self, index: usize, stats: &mut Stats) {
        for held in self.held.iter().filter(|held| held.each) {
            let members = self.members_of(held);
            if members.is_none_or(|members| members.binary_search(&(index as u32)).is_ok()) {
                stats.hold(held.norm, held.max);
            }
        }
    }

    /// Whether an operation may make an element larger than it was.
    fn note_growth(&mut self, op: Stored) {
        let grows = match op {
            Stored::Scale(factor) => factor > Factor::ONE,
            Stored::Clamp { min, max } => min > 0.0 || max < 0.0,
            Stored::ScaleUnits { start, len, .. } => {
                let mut factors = self.arena[start..start + len].iter();
                !factors.all(|&factor| factor <= Factor::ONE)
            }
            Stored::Zero => false,
        };
        if grows {
            self.held.clear();
            self.grows = true;
        }
    }

    /// Whether any operation may.
    pub(crate) fn may_grow(&self) -> bool {
        self.grows
    }

    /// Whether nobody knows which tensors these edits were planned for.
    pub(crate) fn are_nameless(&self) -> bool {
        self.names.is_none()
    }

    /// Whether units of some tensor have factors of their own.
    #[cfg(feature = "rayon")]
    pub(crate) fn have_units(&self) -> bool {
        !self.arena.is_empty()
    }

    /// The names of the tensors these edits were planned for.
    pub(crate) fn name(&self, index: usize) -> Option<&str> {
        self.names.as_ref().and_then(|names| names.get(index))
    }

    /// The one factor that everything is scaled by; `None` if tensors differ or are not only scaled.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor};
    /// let mut edits = Edits::for_count(2);
    /// edits.scale_all(Factor::new(0.5)?);
    /// assert_eq!(edits.common_factor(), Some(Factor::new(0.5)?));
    /// edits.scale(0, Factor::new(0.5)?);
    /// assert_eq!(edits.common_factor(), None);   // 0.25 for the one, 0.5 for the other
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn common_factor(&self) -> Option<Factor> {
        if self.is_keep() {
            return Some(Factor::ONE);
        }
        let first = self.get(0);
        let alike = (1..self.different()).all(|i| self.get(i).ops == first.ops);
        if alike { first.factor() } else { None }
    }

    /// The smallest factor by which a tensor is scaled; 1 for those that are kept or only clamped.
    pub(crate) fn least_factor(&self) -> f64 {
        let factors = (0..self.different()).map(|i| self.get(i).least_factor());
        factors.reduce(f64::min).unwrap_or(1.0)
    }

    fn push(&mut self, index: usize, op: Stored) {
        if index >= self.count {
            return;
        }
        if index >= self.apart {
            // No set has more tensors than there is memory for lists, so that nobody misses an edit.
            if !self.make_lists(index + 1) {
                return;
            }
            for list in &mut self.lists[self.apart..=index] {
                list.copy(&self.all);
            }
            self.apart = index + 1;
        }
        self.note_growth(op);
        self.lists[index].push(op);
        self.pushed = self.pushed.saturating_add(1);
    }

    fn push_all(&mut self, op: Stored) {
        self.note_growth(op);
        for list in &mut self.lists[..self.apart] {
            list.push(op);
        }
        self.all.push(op);
        self.pushed = self.pushed.saturating_add(self.count as u64);
    }
}
