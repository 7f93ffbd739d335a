//! What happened from step to step, in a strip below the curves.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::ink::{GRID, INK, pale};
use super::letters;
use super::scene::{Frame, Scene, Side};
use super::shape::Shape;
use super::tags::{GAP, SIZE};

/// The height of a lane.
pub(super) const HEIGHT: f64 = 17.0;

/// A strip with spans along the axis of a chart, and its name beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) ink: RGBColor,
    pub(super) spans: Vec<Span>,
    /// Whether each span is a thing with a beginning of its own, not one step beside others.
    pub(super) of_events: bool,
}

/// From one place to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) first: f64,
    pub(super) last: f64,
}

impl Lane {
    /// Of single places, in their order.
    pub(super) fn of_places(
        name: String,
        ink: RGBColor,
        places: impl Iterator<Item = f64>,
    ) -> Self {
        let spans = places.map(|at| Span {
            first: at,
            last: at,
        });
        Self {
            name,
            ink,
            spans: spans.collect(),
            of_events: false,
        }
    }

    /// Draws it from `top` on, below a frame.
    pub(super) fn draw(&self, scene: &mut Scene, frame: &Frame, top: f64, right: f64, x: &Axis) {
        let middle = top + HEIGHT / 2.0;
        scene.line(vec![(frame.left, middle), (frame.right, middle)], GRID, 1.0);
        let half = if self.of_events { 3.0 } else { 4.0 };
        for (left, end) in self.bars(frame, x) {
            let bar = Frame {
                left,
                right: end,
                top: middle - half,
                bottom: middle + half,
            };
            let ink = if self.of_events {
                pale(self.ink, 0.55)
            } else {
                self.ink
            };
            scene.rect(bar, ink);
            if self.of_events {
                let begin = Frame {
                    right: left + 2.0,
                    top: middle - 6.0,
                    bottom: middle + 6.0,
                    ..bar
                };
                scene.rect(begin, self.ink);
            }
        }
        let key = frame.right + 13.0;
        Shape::Square.draw(scene, (key, middle), 3.5, self.ink);
        let name = letters::fitted(&self.name, SIZE, right - frame.right - GAP + 1.0);
        scene.text(&name, (frame.right + GAP, middle), Side::Left, SIZE, INK);
    }

    /// From where to where something is drawn: at least so wide that it is seen, and in one where no eye would part it.
    fn bars(&self, frame: &Frame, x: &Axis) -> Vec<(f64, f64)> {
        let place = |at: f64| frame.left + x.share(at).clamp(0.0, 1.0) * frame.width();
        let mut bars: Vec<(f64, f64)> = Vec::new();
        for span in &self.spans {
            // Also where one of them is NaN.
            let is_seen = x.share(span.first) <= 1.0 && x.share(span.last) >= 0.0;
            if !is_seen {
                continue;
            }
            let (first, last) = (place(span.first), place(span.last));
            let left = (first - 1.0).max(frame.left);
            let end = (last + 1.0).max(left + 2.0);
            match bars.last_mut() {
                Some((begin, until)) if left <= *until + 0.5 => {
                    // Two events that begin in one column are one to the eye; others each have their beginning.
                    if !self.of_events || left < *begin + 2.0 {
                        *until = until.max(end);
                    } else {
                        let after = (*until).max(left);
                        *until = left;
                        bars.push((left, end.max(after)));
                    }
                }
                _ => bars.push((left, end)),
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        left: 0.0,
        top: 0.0,
        right: 100.0,
        bottom: 100.0,
    };

    fn bars(spans: &[(f64, f64)], of_events: bool) -> Vec<(f64, f64)> {
        let spans = spans.iter().map(|&(first, last)| Span { first, last });
        let lane = Lane {
            name: String::new(),
            ink: INK,
            spans: spans.collect(),
            of_events,
        };
        lane.bars(&FRAME, &Axis::between(0.0, 100.0))
    }

    #[test]
    fn single_places_are_seen_and_neighbours_are_one() {
        assert_eq!(bars(&[(50.0, 50.0)], false), [(49.0, 51.0)]);
        assert_eq!(
            bars(&[(50.0, 50.0), (52.0, 52.0), (90.0, 90.0)], false),
            [(49.0, 53.0), (89.0, 91.0)]
        );
        let all: Vec<_> = (0..10_000)
            .map(|i| (f64::from(i) / 100.0, f64::from(i) / 100.0))
            .collect();
        assert_eq!(bars(&all, false).len(), 1);
    }

    #[test]
    fn each_event_has_a_beginning() {
        let begins = |spans: &[(f64, f64)]| {
            bars(spans, true)
                .into_iter()
                .map(|bar| bar.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(begins(&[(10.0, 20.0), (21.0, 40.0)]), [9.0, 20.0]);
        assert_eq!(begins(&[(10.0, 20.0), (50.0, 60.0)]), [9.0, 49.0]);
        // A thousand events a pixel are not a thousand marks.
        let many: Vec<_> = (0..10_000)
            .map(|i| (f64::from(i) / 100.0, f64::from(i) / 100.0))
            .collect();
        assert!(bars(&many, true).len() <= 51);
    }
}
