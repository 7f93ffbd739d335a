//! What a detector remembers of each tensor.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::names::Names;
use crate::{Error, Measurement, Result, State};

/// Something for each tensor that is watched. Tensors of other names or another number are another model, of which
/// nothing is known.
#[derive(Clone, PartialEq)]
pub(super) struct Tracks<T> {
    names: Option<Arc<Names>>,
    /// None for a tensor that is not watched.
    tensors: Vec<Option<T>>,
}

impl<T> Default for Tracks<T> {
    fn default() -> Self {
        Self {
            names: None,
            tensors: Vec::new(),
        }
    }
}

impl<T> Tracks<T> {
    /// Looks at which tensors there are. If they are not those of the step before, says how many are watched; what is to
    /// be remembered of each of them is made at once, so that no later step allocates.
    pub(super) fn meet(
        &mut self,
        seen: &Measurement,
        watches: impl Fn(&str, Option<&[usize]>) -> bool,
        make: impl Fn() -> T,
    ) -> Option<usize> {
        let as_many = self.tensors.len() == seen.len();
        let known = self.names.as_ref().filter(|_| as_many);
        if known.is_some_and(|names| Arc::ptr_eq(names, seen.names())) {
            return None;
        }
        if known.is_none_or(|names| **names != **seen.names()) {
            self.tensors.clear();
            self.tensors.resize_with(seen.len(), || None);
        }
        for (index, tensor) in self.tensors.iter_mut().enumerate() {
            if watches(seen.name(index), seen.names().dims(index)) {
                tensor.get_or_insert_with(&make);
            } else {
                *tensor = None;
            }
        }
        self.names = Some(Arc::clone(seen.names()));
        Some(self.watched().count())
    }

    /// Those that are watched, each with its place.
    pub(super) fn watched(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let tensors = self.tensors.iter_mut().enumerate();
        tensors.filter_map(|(index, tensor)| Some((index, tensor.as_mut()?)))
    }

    /// How many tensors are known, watched or not.
    pub(super) fn len(&self) -> usize {
        self.tensors.len()
    }

    pub(super) fn save(&self, state: &mut State, save: impl Fn(&T, &mut State)) {
        let names = self.names.as_deref();
        let name = |i| String::from(names.and_then(|names| names.get(i)).unwrap_or_default());
        let names: Vec<String> = (0..self.tensors.len()).map(name).collect();
        state.put("names", names);
        for tensor in &self.tensors {
            let mut inner = State::default();
            if let Some(tensor) = tensor {
                save(tensor, &mut inner);
            }
            state.put("tensor", inner);
        }
    }

    /// What was saved.
    pub(super) fn loaded(state: &State, load: impl Fn(&State) -> Result<T>) -> Result<Self> {
        let names: Vec<String> = state.get("names")?;
        let watched = |tensor: &State| (!tensor.is_empty()).then(|| load(tensor)).transpose();
        let tensors = state.states("tensor").map(watched);
        let tensors = tensors.collect::<Result<Vec<_>>>()?;
        if names.len() != tensors.len() {
            return Err(Error::State {
                expected: alloc::format!("{} tensors", names.len()),
                found: alloc::format!("{}", tensors.len()),
            });
        }
        let names = (!names.is_empty()).then(|| {
            let mut all = Names::default();
            names.iter().for_each(|name| all.push(name, None));
            Arc::new(all)
        });
        Ok(Self { names, tensors })
    }
}

/// Of how many tensors it knows.
impl<T> fmt::Debug for Tracks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracks")
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn seen(names: &[&'static str]) -> Measurement {
        let set: Vec<(&str, [f64; 1])> = names.iter().map(|name| (*name, [1.0])).collect();
        Measurement::of(&set).unwrap()
    }

    fn meet(tracks: &mut Tracks<u64>, names: &[&'static str]) -> Option<usize> {
        tracks.meet(&seen(names), |name, _| name != "bias", || 0)
    }

    fn places(tracks: &mut Tracks<u64>) -> Vec<(usize, u64)> {
        tracks.watched().map(|(i, count)| (i, *count)).collect()
    }

    #[test]
    fn the_same_tensors_are_remembered_and_others_are_another_model() {
        let mut tracks = Tracks::default();
        assert_eq!(meet(&mut tracks, &["a", "bias", "c"]), Some(2));
        tracks
            .watched()
            .for_each(|(i, count)| *count = 5 + i as u64);
        // Read anew they are the same, under names that are equal.
        assert_eq!(meet(&mut tracks, &["a", "bias", "c"]), Some(2));
        assert_eq!(places(&mut tracks), [(0, 5), (2, 7)]);
        let again = seen(&["a", "bias", "c"]);
        assert!(tracks.meet(&again, |_, _| true, || 1).is_some());
        assert_eq!(places(&mut tracks), [(0, 5), (1, 1), (2, 7)]);
        assert_eq!(tracks.meet(&again, |_, _| true, || 1), None);
        for others in [vec!["a", "bias", "d"], vec!["a", "bias"]] {
            let mut tracks = tracks.clone();
            meet(&mut tracks, &others);
            assert!(tracks.watched().all(|(_, count)| *count == 0), "{others:?}");
        }
    }

    #[test]
    fn what_was_saved_is_met_again() {
        let mut tracks = Tracks::default();
        meet(&mut tracks, &["a", "bias", "c"]);
        tracks
            .watched()
            .for_each(|(i, count)| *count = 5 + i as u64);
        let mut state = State::default();
        tracks.save(&mut state, |count, state| state.put("count", *count));
        let mut again = Tracks::loaded(&state, |state| state.get("count")).unwrap();
        meet(&mut again, &["a", "bias", "c"]);
        assert_eq!(places(&mut again), [(0, 5), (2, 7)]);
        state.put("tensor", State::default());
        assert!(Tracks::loaded(&state, |state| state.get::<u64>("count")).is_err());
    }
}
