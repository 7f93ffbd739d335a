//! Which tensors lie in the same storage.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Tensor, TensorId, Var};

/// A tensor and the address of its storage, which tells it from every other that is alive, on any device.
pub(crate) struct Placed {
    pub(crate) tensor: Tensor,
    storage: usize,
}

/// A variable and its gradient, by where they lie.
pub(crate) struct Pair {
    pub(crate) var: TensorId,
    /// That of the variable, where it is known.
    storage: Option<usize>,
    pub(crate) grad: Option<Placed>,
}

fn storage_of(tensor: &Tensor) -> usize {
    let (storage, _) = tensor.storage_and_layout();
    std::ptr::from_ref(&*storage).addr()
}

impl Placed {
    fn new(tensor: &Tensor) -> Self {
        Self {
            tensor: tensor.detach(),
            storage: storage_of(tensor),
        }
    }
}

impl Pair {
    pub(crate) fn new(var: &Var, grad: Option<&Tensor>) -> Self {
        Self {
            var: var.id(),
            storage: Some(storage_of(var)),
            grad: grad.map(Placed::new),
        }
    }

    /// A gradient of something of which the id is known, and no more.
    pub(crate) fn of_unknown(id: TensorId, grad: &Tensor) -> Self {
        Self {
            var: id,
            storage: None,
            grad: Some(Placed::new(grad)),
        }
    }
}

/// The storages in which more than one tensor lies, and what is taken of them.
#[derive(Default)]
pub(crate) struct Shared(HashMap<usize, Taken>);

#[derive(Default)]
struct Taken {
    /// A variable owns all of its storage.
    by_variable: bool,
    /// The variables that came by.
    vars: Vec<TensorId>,
    /// Where runs of elements start and end, none of which overlap.
    runs: BTreeMap<usize, usize>,
}

impl Shared {
    pub(crate) fn among<'a>(pairs: impl ExactSizeIterator<Item = &'a Pair> + Clone) -> Self {
        // Sorted, equal addresses stand side by side: cheaper than a map of all, and most often none are.
        let mut all = Vec::with_capacity(2 * pairs.len());
        for pair in pairs.clone() {
            all.extend(pair.storage);
            all.extend(pair.grad.as_ref().map(|grad| grad.storage));
        }
        all.sort_unstable();
        let twice = all.windows(2).filter(|next| next[0] == next[1]);
        let mut shared: HashMap<usize, Taken> =
            twice.map(|next| (next[0], Taken::default())).collect();
        if !shared.is_empty() {
            for pair in pairs {
                let storage = pair.storage.as_ref();
                if let Some(taken) = storage.and_then(|storage| shared.get_mut(storage)) {
                    taken.by_variable = true;
                }
            }
        }
        Self(shared)
    }

    /// Whether the variable comes for the first time.
    pub(crate) fn is_new(&mut self, pair: &Pair) -> bool {
        let storage = pair.storage.as_ref();
        let Some(taken) = storage.and_then(|storage| self.0.get_mut(storage)) else {
            return true;
        };
        let is_new = !taken.vars.contains(&pair.var);
        if is_new {
            taken.vars.push(pair.var);
        }
        is_new
    }

    /// Takes the elements of a gradient if they lie in a row and are free.
    pub(crate) fn take(&mut self, grad: &Placed) -> bool {
        let Some((start, end)) = grad.tensor.layout().contiguous_offsets() else {
            return false;
        };
        let Some(taken) = self.0.get_mut(&grad.storage) else {
            return true;
        };
        let before = taken.runs.range(..end).next_back();
        let is_free = !taken.by_variable && before.is_none_or(|(_, &before)| before <= start);
        if is_free && start < end {
            taken.runs.insert(start, end);
        }
        is_free
    }
}
