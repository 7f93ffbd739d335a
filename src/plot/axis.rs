//! From values to places, and the values that are written beside an axis.

/// How far from the middle half of what it shows an axis of logarithms reaches, in powers of ten: beyond that a single
/// value would leave the others no room.
const REACH: f64 = 9.0;

/// A stretch of values, or of their decimal logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    /// Whether only whole values are worth writing beside it.
    is_whole: bool,
}

/// What is written beside an axis, and how far along it: 0 at its lower end, 1 at its upper one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) share: f64,
    pub(super) text: String,
}

impl Axis {
    /// Of equal steps, around every finite value; none without such.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = ends(values.filter(|value| value.is_finite()))?;
        // Halves, since the whole may be beyond the range of f64.
        let room = match high / 2.0 - low / 2.0 {
            0.0 if low == 0.0 => 1.0,
            0.0 => low.abs() / 10.0,
            half => half / 12.0,
        };
        Some(Self::between(low - room, high + room))
    }

    /// Of equal steps, from here to there.
    pub(super) fn between(low: f64, high: f64) -> Self {
        let edge = f64::MAX;
        let low = low.clamp(-edge, edge / 2.0);
        let least = low + (low.abs() * 1e-9).max(f64::MIN_POSITIVE);
        Self {
            low,
            high: high.clamp(-edge, edge).max(least),
            is_log: false,
            is_whole: false,
        }
    }

    /// Of the places of what is shown: from the first to the last of them; with `is_log`, of equal ratios.
    pub(super) fn places(places: impl Iterator<Item = f64> + Clone, is_log: bool) -> Option<Self> {
        let usable = |place: &f64| place.is_finite() && (*place > 0.0 || !is_log);
        let places = places.filter(usable);
        let is_whole = places.clone().all(|place| place.fract() == 0.0);
        let (first, last) = ends(places)?;
        let (low, high) = match (is_log, first == last) {
            (true, true) => (first / 2.0, 2.0 * first),
            (false, true) => (first - 1.0, first + 1.0),
            _ => (first, last),
        };
        let axis = if is_log {
            Self::powers_between(low.log10(), high.log10())
        } else {
            Self::between(low, high)
        };
        Some(Self { is_whole, ..axis })
    }

    /// Of the places 0, 1, … below `count`, each of which is one wide.
    pub(super) fn cells(count: usize) -> Self {
        Self {
            is_whole: true,
            ..Self::between(-0.5, count.max(1) as f64 - 0.5)
        }
    }

    /// Of equal ratios, from one power of ten to another.
    pub(super) fn powers_between(low: f64, high: f64) -> Self {
        Self {
            is_log: true,
            ..Self::between(low, high)
        }
    }

    /// Of equal ratios, around the values that are finite and above 0; none without such.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut logs: Vec<f64> = values
            .filter(|&value| value > 0.0 && value.is_finite())
            .map(f64::log10)
            .collect();
        if logs.is_empty() {
            return None;
        }
        logs.sort_unstable_by(f64::total_cmp);
        let last = logs.len() - 1;
        let (quarter, three) = (logs[last / 4], logs[last - last / 4]);
        let near = |log: &f64| (quarter - REACH..=three + REACH).contains(log);
        let (low, high) = ends(logs.into_iter().filter(near))?;
        let (low, high) = match high - low {
            3.0.. => (low.floor(), high.ceil()),
            decades => (low - 0.06 * decades - 0.04, high + 0.06 * decades + 0.04),
        };
        Some(Self {
            low,
            high,
            is_log: true,
            is_whole: false,
        })
    }

    /// So far along the axis; below 0 or above 1 for what it has no place for, NaN for NaN.
    pub(super) fn share(&self, value: f64) -> f64 {
        (self.scaled(value) / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    /// The nearest value that the axis has a place for; NaN for NaN.
    pub(super) fn clamped(&self, value: f64) -> f64 {
        match self.share(value) {
            share if share > 1.0 => self.end(self.high),
            share if share < 0.0 => self.end(self.low),
            _ => value,
        }
    }

    /// Round values in the order of size, about as many.
    pub(super) fn ticks(&self, about: usize) -> Vec<Tick> {
        // Where values are that near to each other, equal ratios are nearly equal steps.
        if self.is_log && self.high - self.low > 1.05 {
            self.powers(about)
        } else {
            self.round(about)
        }
    }

    /// The value at an end.
    fn end(&self, end: f64) -> f64 {
        if self.is_log { 10_f64.powf(end) } else { end }
    }

    fn scaled(&self, value: f64) -> f64 {
        match self.is_log {
            // A negative number has no logarithm, and lies below all that have.
            true if value <= 0.0 => f64::NEG_INFINITY,
            true => value.log10(),
            false => value,
        }
    }

    fn round(&self, about: usize) -> Vec<Tick> {
        let [low, high] = [self.low, self.high].map(|end| self.end(end));
        let rough = high / about as f64 - low / about as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let ends = |step: f64| ((low / step).ceil(), (high / step).floor());
        let least = (0.85 * about as f64).max(3.0);
        let nice = [10.0, 5.0, 2.0, 1.0, 0.5, 0.2].map(|factor| factor * power);
        let is_enough = |&step: &f64| ends(step).1 - ends(step).0 + 1.0 >= least;
        let step = nice.into_iter().find(is_enough).unwrap_or(power);
        let step = if self.is_whole { step.max(1.0) } else { step };
        let (first, last) = ends(step);
        // Values that no f64 tells apart have no round ones between them.
        if !(0.0..=100.0).contains(&(last - first)) {
            return Vec::new();
        }
        let largest = low.abs().max(high.abs());
        (0..=(last - first) as u32)
            .map(|index| (first + f64::from(index)) * step)
            .map(|value| Tick {
                share: self.share(value),
                text: rounded(value, step, largest),
            })
            .collect()
    }

    fn powers(&self, about: usize) -> Vec<Tick> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let decades = self.high - self.low;
        let factors: &[u8] = match decades {
            ..1.5 => &[1, 2, 5],
            ..3.1 => &[1, 3],
            _ => &[1],
        };
        let least = (0.7 * about as f64).max(3.0) as i32;
        let is_enough = |&every: &i32| {
            let count = last.div_euclid(every) - (first - 1).div_euclid(every);
            factors.len() == 1 && count >= least
        };
        let every = [200, 100, 50, 20, 10, 5, 3, 2].into_iter().find(is_enough);
        let every = every.unwrap_or(1);
        let is_plain = self.low > -3.5 && self.high < 4.5;
        (first - 1..=last)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .flat_map(|exponent| factors.iter().map(move |&factor| (factor, exponent)))
            .map(|(factor, exponent)| {
                let log = f64::from(factor).log10() + f64::from(exponent);
                Tick {
                    share: (log - self.low) / decades,
                    text: if is_plain {
                        plain(factor, exponent)
                    } else {
                        power(factor, exponent)
                    },
                }
            })
            .filter(|tick| (-1e-9..=1.0 + 1e-9).contains(&tick.share))
            .collect()
    }
}

/// The least and the largest.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// A multiple of a step, with the digits that tell it from the next, in thousands or millions if the `largest` is large.
fn rounded(value: f64, step: f64, largest: f64) -> String {
    let exponent = step.log10().floor() as i32;
    if largest >= 1e9 || step < 1e-5 {
        let digits = (largest.log10().floor() as i32 - exponent).clamp(0, 17) as usize;
        return format!("{value:.digits$e}").replace("e0", "");
    }
    let (unit, down) = match largest {
        1e6.. => ("M", 6),
        1e4.. => ("k", 3),
        _ => ("", 0),
    };
    if value == 0.0 {
        return "0".into();
    }
    let decimals = (down - exponent).max(0) as usize;
    format!("{:.decimals$}{unit}", value / 10_f64.powi(down))
}

/// 0.02.
fn plain(factor: u8, exponent: i32) -> String {
    let decimals = (-exponent).max(0) as usize;
    format!("{:.decimals$}", f64::from(factor) * 10_f64.powi(exponent))
}

/// 2·10⁻².
fn power(factor: u8, exponent: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| digits[digit as usize]);
    let raised: String = exponent.to_string().chars().map(raised).collect();
    match factor {
        1 => format!("10{raised}"),
        _ => format!("{factor}·10{raised}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis, about: usize) -> Vec<String> {
        let ticks = axis.ticks(about);
        assert!(ticks.is_sorted_by(|a, b| a.share < b.share), "{ticks:?}");
        assert!(
            ticks
                .iter()
                .all(|tick| (-1e-6..1.0 + 1e-6).contains(&tick.share)),
            "{ticks:?}"
        );
        ticks.into_iter().map(|tick| tick.text).collect()
    }

    fn log(values: &[f64]) -> Axis {
        Axis::log(values.iter().copied()).unwrap()
    }

    #[test]
    fn steps_are_round_and_tell_no_more_digits_than_they_need() {
        assert_eq!(
            texts(Axis::between(0.0, 250.0), 5),
            ["0", "50", "100", "150", "200", "250"]
        );
        assert_eq!(
            texts(Axis::between(-0.12, 0.31), 4),
            ["-0.1", "0.0", "0.1", "0.2", "0.3"].map(|t| if t == "0.0" { "0" } else { t })
        );
        assert_eq!(
            texts(Axis::between(0.0, 20_000.0), 4),
            ["0", "5k", "10k", "15k", "20k"]
        );
        assert_eq!(
            texts(Axis::between(0.0, 2.4e6), 5),
            ["0", "0.5M", "1.0M", "1.5M", "2.0M"]
        );
        assert_eq!(
            texts(Axis::between(1e12, 3e12), 2),
            ["1e12", "2e12", "3e12"]
        );
        assert_eq!(
            texts(Axis::between(0.0, 3e-7), 3),
            ["0", "1e-7", "2e-7", "3e-7"]
        );
    }

    #[test]
    fn there_are_always_some_values_to_read_by() {
        for decades in 1..60 {
            for start in 0..20 {
                let low = 10_f64.powf(f64::from(start) / 20.0 - 2.0);
                let axis = log(&[low, low * 10_f64.powf(f64::from(decades) / 10.0)]);
                let count = axis.ticks(4).len();
                assert!((3..=9).contains(&count), "{axis:?}: {count}");
            }
        }
    }

    #[test]
    fn logarithms_have_whole_powers_or_round_figures_between_them() {
        assert_eq!(
            texts(log(&[0.02, 300.0]), 8),
            ["0.01", "0.1", "1", "10", "100", "1000"]
        );
        assert_eq!(texts(log(&[2e-7, 3e2]), 5), ["10⁻⁶", "10⁻³", "10⁰", "10³"]);
        assert_eq!(texts(log(&[0.1, 0.9]), 5), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(
            texts(log(&[1.2e-6, 9e-6]), 5),
            ["10⁻⁶", "2·10⁻⁶", "5·10⁻⁶", "10⁻⁵"]
        );
        assert_eq!(
            texts(log(&[0.98, 1.02]), 4),
            ["0.90", "0.95", "1.00", "1.05", "1.10"]
        );
    }

    #[test]
    fn a_share_is_linear_in_the_value_or_its_logarithm() {
        assert_eq!(Axis::between(2.0, 6.0).share(3.0), 0.25);
        let axis = log(&[1.0, 1e4]);
        assert_eq!([1.0, 10.0, 1e4].map(|x| axis.share(x)), [0.0, 0.25, 1.0]);
        assert_eq!([0.0, -1.0].map(|x| axis.share(x)), [f64::NEG_INFINITY; 2]);
        assert_eq!(axis.share(f64::INFINITY), f64::INFINITY);
        assert!(axis.share(f64::NAN).is_nan() && Axis::between(0.0, 1.0).share(f64::NAN).is_nan());
    }

    #[test]
    fn one_value_far_out_leaves_the_others_their_room() {
        let mut values = vec![1.0; 50];
        values.extend([1e300, 3.0, 1e-300]);
        let axis = log(&values);
        assert!(axis.share(3.0) > 0.3 && axis.share(1e300) > 1.0 && axis.share(1e-300) < 0.0);
    }

    #[test]
    fn no_values_have_no_axis_and_one_value_has_one() {
        let none = [f64::NAN, f64::INFINITY];
        assert_eq!(Axis::linear(none.into_iter()), None);
        assert_eq!(Axis::log(none.into_iter().chain([0.0, -1.0])), None);
        for value in [0.0, 1.0, -7.5, 1e-300, 5e-324, f64::MAX, f64::MIN] {
            let axis = Axis::linear([value].into_iter()).unwrap();
            assert!((0.0..=1.0).contains(&axis.share(value)), "{value}");
            axis.ticks(5);
        }
        for value in [1.0, 5e-324, f64::MAX] {
            let axis = log(&[value]);
            assert!((axis.share(value) - 0.5).abs() < 1e-6, "{value}");
            axis.ticks(5);
        }
    }

    #[test]
    fn places_have_an_axis_from_the_first_to_the_last() {
        let steps = |range: std::ops::RangeInclusive<u32>| range.map(f64::from);
        assert_eq!(
            texts(Axis::places(steps(1..=3), false).unwrap(), 8),
            ["1", "2", "3"]
        );
        assert_eq!(
            texts(Axis::places(steps(7..=7), false).unwrap(), 8),
            ["6", "7", "8"]
        );
        let years = [1957.5, 1960.0].into_iter();
        assert_eq!(
            texts(Axis::places(years, false).unwrap(), 3),
            ["1958", "1959", "1960"]
        );
        assert_eq!(
            texts(Axis::places(steps(1..=250), true).unwrap(), 6),
            ["1", "3", "10", "30", "100"]
        );
        assert_eq!(Axis::places(steps(1..=100), true).unwrap().share(10.0), 0.5);
        assert_eq!(Axis::places([f64::NAN].into_iter(), false), None);
    }

    #[test]
    fn the_whole_range_of_numbers_has_an_axis() {
        let axis = Axis::linear([f64::MIN, f64::MAX].into_iter()).unwrap();
        assert!((3..9).contains(&axis.ticks(5).len()));
        assert_eq!(axis.share(0.0), 0.5);
        let ticks = log(&[5e-324, 1e-320]).ticks(5);
        assert!(
            ticks.iter().all(|tick| tick.text.contains("⁻³²")),
            "{ticks:?}"
        );
    }
}
