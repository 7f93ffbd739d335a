//! The colours of a heat map.

use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::{RGBColor, WHITE};

use super::axis::{Axis, Tick};
use super::ink::ALERT;
use super::scene::{Frame, Scene};

/// About so many colours: bands can be found again on the scale, a smooth change cannot.
const MOST: f64 = 18.0;
/// Of what is 0: no colour of the scale.
const NONE: RGBColor = RGBColor(228, 228, 228);

/// What is seen of a norm. Of several the gravest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Exactly 0, which has no logarithm.
    Zero,
    Band(i32),
    Infinite,
    Nan,
}

impl Seen {
    /// What has a name beside the scale.
    pub(super) const APART: [(Self, &'static str); 3] = [
        (Self::Zero, "0"),
        (Self::Infinite, "inf"),
        (Self::Nan, "NaN"),
    ];
}

/// Powers of ten, and the bands of colour into which they fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bands {
    /// The powers of ten from one band to the next.
    step: f64,
    first: i32,
    pub(super) count: i32,
}

impl Bands {
    /// Around all norms that have a logarithm; of none, no bands.
    pub(super) fn new(norms: impl Iterator<Item = f64>) -> Self {
        let logs = norms
            .filter(|norm| *norm > 0.0 && norm.is_finite())
            .map(f64::log10);
        let ends = logs.fold(None, |ends: Option<(f64, f64)>, log| {
            let (low, high) = ends.unwrap_or((log, log));
            Some((low.min(log), high.max(log)))
        });
        let Some((low, high)) = ends else {
            return Self {
                step: 1.0,
                first: 0,
                count: 0,
            };
        };
        let rough = ((high - low) / MOST).max(0.05);
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = nice.into_iter().find(|&step| step >= rough);
        let step = step.unwrap_or(rough);
        let [first, last] = [low, high].map(|log| (log / step).floor() as i32);
        Self {
            step,
            first,
            count: last - first + 1,
        }
    }

    pub(super) fn of(&self, norm: f64) -> Seen {
        match norm {
            _ if norm.is_nan() => Seen::Nan,
            _ if norm.is_infinite() => Seen::Infinite,
            _ if norm <= 0.0 => Seen::Zero,
            _ => Seen::Band((norm.log10() / self.step).floor() as i32 - self.first),
        }
    }

    /// The values that are written beside the scale.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        if self.count == 0 {
            return Vec::new();
        }
        let ends = [self.first, self.first + self.count].map(|end| self.step * f64::from(end));
        Axis::powers_between(ends[0], ends[1]).ticks(6)
    }

    /// Paints a rectangle with what is seen. It reaches a little under its neighbours, so that no white shows between
    /// them at other sizes.
    pub(super) fn paint(&self, scene: &mut Scene, frame: Frame, seen: Seen) {
        let reaching = Frame {
            right: frame.right + 0.5,
            bottom: frame.bottom + 0.5,
            ..frame
        };
        match seen {
            Seen::Zero => scene.rect(reaching, NONE),
            Seen::Band(band) => {
                let share = (f64::from(band) + 0.5) / f64::from(self.count);
                scene.rect(reaching, ViridisRGB.get_color(share));
            }
            Seen::Infinite => scene.rect(reaching, ALERT),
            Seen::Nan => {
                scene.rect(reaching, WHITE);
                let Frame {
                    left,
                    top,
                    right,
                    bottom,
                } = frame;
                scene.line(vec![(left, top), (right, bottom)], ALERT, 1.0);
                scene.line(vec![(left, bottom), (right, top)], ALERT, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_norm_has_a_band_and_there_are_not_too_many() {
        for decades in [0.0, 0.3, 1.0, 7.0, 40.0, 600.0] {
            let norms = (0..=100).map(|i| 10_f64.powf(decades * (f64::from(i) / 100.0 - 0.5)));
            let bands = Bands::new(norms.clone());
            assert!((1..=20).contains(&bands.count), "{bands:?}");
            let seen: Vec<_> = norms.map(|norm| bands.of(norm)).collect();
            assert!(seen.is_sorted(), "{seen:?}");
            assert_eq!(seen[0], Seen::Band(0));
            assert_eq!(seen[100], Seen::Band(bands.count - 1));
        }
    }

    #[test]
    fn what_has_no_logarithm_has_a_look_of_its_own() {
        let bands = Bands::new([0.0, f64::NAN, f64::INFINITY].into_iter());
        assert_eq!((bands.count, bands.ticks().len()), (0, 0));
        let seen = [0.0, f64::NAN, f64::INFINITY].map(|norm| bands.of(norm));
        assert_eq!(seen, [Seen::Zero, Seen::Nan, Seen::Infinite]);
        assert!(
            Seen::Nan > Seen::Infinite
                && Seen::Infinite > Seen::Band(99)
                && Seen::Band(-9) > Seen::Zero
        );
    }
}
