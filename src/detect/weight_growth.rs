//! Weights that run away.

use alloc::vec::Vec;
use core::fmt;

use super::tracks::Tracks;
use super::{Alarms, Detector, Relation, Subject, at_least_one};
use crate::biases::Choice;
use crate::{Covers, Error, Needs, Norm, Outcome, Result, State, StepView, Verdict, Wide};

/// Fires when the norm of a parameter tensor is above `ratio` times its first value, or grew by more
/// than a given amount per step over a window of steps.
///
/// ```text
/// ‖w_t‖ > ratio · max(‖w_first‖, floor),   floor = 0 unless set
/// (‖w_t‖ − ‖w_s‖)/(t − s) > growth,        where asked for: s is the step of the window-th norm before this one
/// ```
///
/// Every tensor that is above its bound is told, each an event of its own, which begins and ends. Biases, gains and
/// shifts are not watched unless they are [chosen](WeightGrowth::on): they start at almost nothing, grow many times
/// over, and are none the worse for it. Which they are is told as for penalties
/// ([`all_but_biases`](crate::penalty::all_but_biases)): a tensor of one axis is one, also where it is all there is.
/// If no tensor is watched, the detector abstains.
///
/// Over a row of steps with parameters s is t − window; steps without them go by and count. Norms beyond the range
/// of `f64` are compared like any other. The step must carry the parameters
/// ([`Step::params`](crate::Step::params)). The first value of a tensor is its first finite norm above 0. For weights
/// that start at almost zero set a [`floor`](WeightGrowth::floor). Norms that are not finite teach nothing. Parameters
/// of other names or another number are another model, of which nothing is known yet.
///
/// Weights grow late: in a run that is being lost they have often grown only when the loss has long been up, and in many
/// a healthy run they grow as well. Over 296 recorded runs of recurrent nets a ratio of 10 fired in time for 58 of 79
/// that diverged and in 23 of 217 that did not, a ratio of 2 for 69 and in 52. Watch the loss beside it
/// ([`Spike`](super::Spike)).
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::WeightGrowth, Guard, Step};
///
/// let mut guard = Guard::new().detect(WeightGrowth::new(10.0)?.per_step(0.5, 2)?);
/// let mut fired = vec![];
/// for w in [1.0, 1.1, 1.2, 2.5, 11.0] {
///     let params = [("w_rec", [w]), ("bias", [0.0])];
///     let mut grads = [("w_rec", [0.0]), ("bias", [0.0])];
///     let report = guard.step(Step::new(&mut grads).params(&params))?;
///     fired.push(report.alarms().first().map(|alarm| alarm.to_string()));
/// }
/// assert_eq!(fired[..3], [None, None, None]);
/// assert_eq!(
///     fired[3].as_deref().unwrap(),
///     "step 4: the growth per step of parameter w_rec is 0.7000, above 0.5000 (weight growth)",
/// );
/// assert!(fired[4].is_some());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct WeightGrowth {
    ratio: f64,
    floor: f64,
    per_step: Option<(f64, usize)>,
    choice: Choice,
    tensors: Tracks<Track>,
}

/// Steps that are remembered at most.
const LONGEST_WINDOW: usize = 1_000_000;

/// What is remembered of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
struct Track {
    first: Option<Wide>,
    /// The last norms, each with the number of its step: a ring.
    window: Vec<(u64, Wide)>,
    oldest: usize,
}

impl Default for WeightGrowth {
    /// Above 10 times the first value.
    fn default() -> Self {
        Self {
            ratio: 10.0,
            floor: 0.0,
            per_step: None,
            choice: Choice::default(),
            tensors: Tracks::default(),
        }
    }
}

impl WeightGrowth {
    /// Watches for norms above `ratio` times their first value.
    ///
    /// ```
    /// use steadygrad::{detect::WeightGrowth, Guard, Step};
    /// let mut guard = Guard::new().detect(WeightGrowth::new(2.0)?);
    /// for (w, fires) in [(1.0_f32, false), (2.0, false), (2.1, true)] {
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0_f32]).params(&[w]))?.alarms().is_empty(), fires);
    /// }
    /// assert!(WeightGrowth::new(1.0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `ratio` is not above 1.
    pub fn new(ratio: f64) -> Result<Self> {
        if ratio > 1.0 {
            Ok(Self {
                ratio,
                ..Self::default()
            })
        } else {
            Err(Error::Setting {
                what: "ratio of weight growth",
                expected: "a number above 1",
                found: ratio,
            })
        }
    }

    /// Takes smaller first values for `floor`: below `ratio * floor` no norm is an alarm. 0 by default, so
    /// that every first value is taken as it is.
    ///
    /// ```
    /// use steadygrad::{detect::WeightGrowth, Guard, Step};
    /// let mut guard = Guard::new().detect(WeightGrowth::new(10.0)?.floor(0.01)?);
    /// for (w, fires) in [(1e-8, false), (1e-3, false), (0.1, false), (0.11, true)] {
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0]).params(&[w]))?.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `floor` is negative or NaN.
    pub fn floor(self, floor: f64) -> Result<Self> {
        if floor >= 0.0 {
            Ok(Self { floor, ..self })
        } else {
            Err(Error::Setting {
                what: "floor of weight growth",
                expected: "a number ≥ 0",
                found: floor,
            })
        }
    }

    /// Chooses the tensors by their names: by a function, which may capture, or by how they begin.
    ///
    /// ```
    /// use steadygrad::{detect::WeightGrowth, Guard, Step};
    /// let (growth, mut grads) = (WeightGrowth::new(10.0)?, [("w", [0.0]), ("bias", [0.0])]);
    /// let mut guard = Guard::new().detect(growth.clone()).detect(growth.on(|name: &str| name == "bias"));
    /// assert!(guard.step(Step::new(&mut grads).params(&[("w", [1.0]), ("bias", [1e-4])]))?.alarms().is_empty());
    /// let report = guard.step(Step::new(&mut grads).params(&[("w", [11.0]), ("bias", [1e-2])]))?;
    /// assert_eq!((report.alarms()[0].tensor(), report.alarms()[1].tensor()), (Some("w"), Some("bias")));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on(self, covers: impl Into<Covers>) -> Self {
        Self {
            choice: Choice(Some(covers.into())),
            ..self
        }
    }

    /// Also watches for norms that grew by more than `growth` per step over the last `window` steps with
    /// parameters.
    ///
    /// ```
    /// use steadygrad::{detect::WeightGrowth, Guard, Step};
    /// let mut guard = Guard::new().detect(WeightGrowth::new(f64::INFINITY)?.per_step(0.5, 2)?);
    /// for (w, fires) in [(1.0_f32, false), (1.75, false), (2.0, false), (3.0, true)] {
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0_f32]).params(&[w]))?.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `growth` is not above 0, or `window` is 0 or above a million.
    pub fn per_step(self, growth: f64, window: usize) -> Result<Self> {
        let what = "window of weight growth";
        at_least_one(what, window as u64)?;
        if window > LONGEST_WINDOW {
            return Err(Error::Setting {
                what,
                expected: "at most a million steps",
                found: window as f64,
            });
        }
        if growth > 0.0 {
            Ok(Self {
                per_step: Some((growth, window)),
                ..self
            })
        } else {
            Err(Error::Setting {
                what: "weight growth per step",
                expected: "a number above 0",
                found: growth,
            })
        }
    }
}

impl Track {
    /// With room for a whole window, so that no later step allocates.
    fn new(window: usize) -> Self {
        Self {
            window: Vec::with_capacity(window),
            ..Self::default()
        }
    }

    /// The step and the norm `window` norms ago, if there are so many.
    fn past(&self, window: usize) -> Option<(u64, Wide)> {
        self.window
            .get(self.oldest)
            .copied()
            .filter(|_| self.window.len() == window)
    }

    fn learn(&mut self, step: u64, norm: Wide, window: usize) {
        if self.first.is_none() && norm > Wide::ZERO {
            self.first = Some(norm);
        }
        if self.window.len() < window {
            self.window.push((step, norm));
        } else if window > 0 {
            self.window[self.oldest] = (step, norm);
            self.oldest = (self.oldest + 1) % window;
        }
    }
}

/// Numbers as a state keeps them: their significands, and the exponents of the powers of two they are times.
fn save_wides(state: &mut State, keys: [&'static str; 2], all: impl Iterator<Item = Wide>) {
    let (m, e): (Vec<f64>, Vec<u64>) = all
        .map(Wide::parts)
        .map(|(m, e)| (m, e.cast_unsigned()))
        .unzip();
    state.put(keys[0], &m[..]);
    state.put(keys[1], &e[..]);
}

fn load_wides(state: &State, keys: [&'static str; 2]) -> Result<Vec<Wide>> {
    let (m, e): (Vec<f64>, Vec<u64>) = (state.get(keys[0])?, state.get(keys[1])?);
    as_many("exponents", m.len(), e.len())?;
    let wide = |(m, e): (f64, u64)| Wide::new(m, e.cast_signed());
    Ok(m.into_iter().zip(e).map(wide).collect())
}

fn as_many(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::State {
            expected: alloc::format!("{expected} {what}"),
            found: alloc::format!("{found}"),
        })
    }
}

impl Track {
    fn save(&self, state: &mut State) {
        save_wides(state, ["first", "of 2^"], self.first.into_iter());
        let (newer, older) = self.window.split_at(self.oldest);
        let in_order = || older.iter().chain(newer);
        let steps: Vec<u64> = in_order().map(|(step, _)| *step).collect();
        state.put("steps", &steps[..]);
        save_wides(
            state,
            ["norms", "norms of 2^"],
            in_order().map(|(_, norm)| *norm),
        );
    }

    fn load(state: &State, window: usize) -> Result<Self> {
        let first = load_wides(state, ["first", "of 2^"])?;
        let steps: Vec<u64> = state.get("steps")?;
        let norms = load_wides(state, ["norms", "norms of 2^"])?;
        as_many("norms of a window", steps.len(), norms.len())?;
        if steps.len() > window {
            as_many("norms of a window at most", window, steps.len())?;
        }
        let mut track = Self::new(window);
        track.first = first.first().copied();
        track.window.extend(steps.into_iter().zip(norms));
        Ok(track)
    }
}

impl Detector for WeightGrowth {
    fn name(&self) -> &'static str {
        "weight growth"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_tensors().of_params()
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        // The weights that come now are those of an older step.
        if outcome.verdict == Verdict::Rollback {
            for (_, track) in self.tensors.watched() {
                track.window.clear();
                track.oldest = 0;
            }
        }
    }

    fn save(&self, state: &mut State) {
        self.tensors.save(state, Track::save);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let window = self.per_step.map_or(0, |(_, window)| window);
        self.tensors = Tracks::loaded(state, |tensor| Track::load(tensor, window))?;
        Ok(())
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let Some(params) = step.params else {
            return;
        };
        let window = self.per_step.map_or(0, |(_, window)| window);
        let choice = &self.choice;
        let watches = |name: &str, dims: Option<&[usize]>| choice.covers(name, dims);
        if let Some(watched) = self.tensors.meet(params, watches, || Track::new(window)) {
            alarms.reserve(watched * (1 + usize::from(self.per_step.is_some())));
        }
        let (ratio, floor) = (Wide::from(self.ratio), Wide::from(self.floor));
        let [mut watched, mut judged] = [0, 0];
        for (index, track) in self.tensors.watched() {
            watched += 1;
            let norm = params.tensor(index).norm(Norm::L2);
            if !norm.is_finite() {
                continue;
            }
            judged += 1;
            let mut check = |quantity, value: Wide, bound: Wide| {
                if value > bound {
                    let alarm = step.alarm("weight growth", Subject::Parameter(index));
                    alarms.raise(alarm.bounded(quantity, value, Relation::Above, bound));
                }
            };
            if let Some(first) = track.first {
                let first = if first < floor { floor } else { first };
                check("norm", norm, ratio * first);
            }
            if let (Some((growth, _)), Some((then, past))) = (self.per_step, track.past(window)) {
                let steps = step.number.saturating_sub(then).max(1);
                let growth_of = norm.beyond(past) / Wide::from(steps as f64);
                check("growth per step", growth_of, Wide::from(growth));
            }
            track.learn(step.number, norm, window);
        }
        if watched == 0 {
            alarms.abstain("no weight is watched");
        } else if judged == 0 {
            alarms.hold();
        }
    }
}

/// What it was told to do, and of how many tensors it knows.
impl fmt::Debug for WeightGrowth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightGrowth")
            .field("ratio", &self.ratio)
            .field("floor", &self.floor)
            .field("per_step", &self.per_step)
            .field("on", &self.choice.0)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measurement;
    use alloc::string::String;
    use alloc::vec;

    fn owned((number, name): (u64, &str)) -> (u64, String) {
        (number, name.into())
    }

    fn run(detector: &mut WeightGrowth, series: &[[f64; 2]]) -> Vec<(u64, String)> {
        let mut fired = vec![];
        for (number, &[a, b]) in (1..).zip(series) {
            let grads = Measurement::default();
            let params = Measurement::of(&[("a", [a]), ("v", [b])]).unwrap();
            let view = StepView::new(number, &grads).params(&params);
            let mut alarms = Alarms::default();
            detector.observe(&view, &mut alarms);
            let told = alarms.iter().map(|alarm| alarm.tensor().unwrap().into());
            fired.extend(told.map(|name| (number, name)));
        }
        fired
    }

    #[test]
    fn names_every_tensor_that_grew() {
        let series = [[1.0, 2.0], [2.0, 4.0], [2.1, 3.9], [2.5, 9.0], [1.0, 2.0]];
        let fired = run(&mut WeightGrowth::new(2.0).unwrap(), &series);
        assert_eq!(fired, [(3, "a"), (4, "a"), (4, "v")].map(owned));
    }

    #[test]
    fn starts_at_zero_and_strange_values_do_not_blind_it() {
        let series = [
            [0.0, f64::NAN],
            [0.5, 3.0],
            [f64::INFINITY, 6.1],
            [1.1, f64::NAN],
            [1.2, 1.0],
        ];
        let fired = run(&mut WeightGrowth::new(2.0).unwrap(), &series);
        assert_eq!(fired, [(3, "v"), (4, "a"), (5, "a")].map(owned));
    }

    #[test]
    fn a_floor_stands_in_for_first_values_below_it() {
        let series = [[1e-8, 1.0], [1e-3, 1.5], [0.02, 2.0], [0.03, 2.5]];
        // Without one, as the ratio says: 1e5 is above 2.
        let fired = run(&mut WeightGrowth::new(2.0).unwrap(), &series);
        assert_eq!(fired, [(2, "a"), (3, "a"), (4, "a"), (4, "v")].map(owned));
        // Equality is not above; the tensor above the floor is judged as before.
        let mut floored = WeightGrowth::new(2.0).unwrap().floor(0.01).unwrap();
        assert_eq!(run(&mut floored, &series), [(4, "a"), (4, "v")].map(owned));
        let mut high = WeightGrowth::new(2.0).unwrap().floor(1.0).unwrap();
        assert_eq!(run(&mut high, &series), [(4, "v")].map(owned));
        // The growth per step knows no floor.
        let mut steep = high.per_step(0.005, 1).unwrap();
        assert_eq!(run(&mut steep, &series[..1]).len(), 0);
        assert_eq!(run(&mut steep, &[[0.02, 1.0]]), [(1, "a")].map(owned));
    }

    #[test]
    fn growth_per_step_over_a_window() {
        let mut detector = WeightGrowth::new(1e9).unwrap().per_step(1.0, 3).unwrap();
        let series = [
            [1.0, 1.0],
            [2.0, 1.0],
            [3.0, 1.0],
            [4.0, 1.0],
            [5.5, 1.0],
            [6.0, 1.0],
            [6.0, 9.0],
        ];
        // Over three steps: 1.0 is not above 1.0; 3.5/3, 3/3, then v by 8/3.
        let fired = run(&mut detector, &series);
        assert_eq!(fired, [(5, "a"), (7, "v")].map(owned));
    }

    #[test]
    fn settings_are_checked() {
        for ratio in [1.0, 0.0, f64::NAN] {
            assert!(WeightGrowth::new(ratio).is_err());
        }
        for floor in [-1.0, f64::NAN] {
            assert!(WeightGrowth::new(2.0).unwrap().floor(floor).is_err());
        }
        assert!(WeightGrowth::new(2.0).unwrap().per_step(0.0, 2).is_err());
        assert!(WeightGrowth::new(2.0).unwrap().per_step(1.0, 0).is_err());
    }
}
