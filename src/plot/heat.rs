//! A map of colours: one column for each training step, one row for each time step.

use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::{RGBColor, WHITE};

use super::axis::Axis;
use super::framed::{HEADING, LINE, Margins, WORDS};
use super::ink::{ALERT, INK, QUIET};
use super::letters;
use super::scene::{Frame, Point, Scene, Side};

/// The height of the map.
const HEIGHT: f64 = 220.0;
/// As few pixels as a cell may be wide or high: more cells are drawn as the largest of their neighbours.
const CELL: [f64; 2] = [3.0, 2.0];
/// About so many colours: bands can be found again on the scale, a smooth change cannot.
const BANDS: f64 = 18.0;

/// Norms over time and training step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heat {
    pub(super) heading: String,
    /// What the colours and the rows mean.
    pub(super) meaning: String,
    /// The training steps, rising, and the norms at each time.
    pub(super) columns: Vec<(f64, Vec<f64>)>,
}

/// What is seen of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// Exactly 0, which has no logarithm.
    Zero,
    Band(i32),
    Infinite,
    Nan,
}

/// The colours of powers of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bands {
    /// The powers of ten from one band to the next.
    step: f64,
    first: i32,
    count: i32,
}

impl Bands {
    fn new(norms: impl Iterator<Item = f64>) -> Option<Self> {
        let logs = norms
            .filter(|norm| *norm > 0.0 && norm.is_finite())
            .map(f64::log10);
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (log.min(low), log.max(high))
        });
        if low > high {
            return None;
        }
        let rough = ((high - low) / BANDS).max(0.05);
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = nice
            .into_iter()
            .find(|&step| step >= rough)
            .unwrap_or(rough);
        let first = (low / step).floor() as i32;
        let last = (high / step).floor() as i32;
        Some(Self {
            step,
            first,
            count: last - first + 1,
        })
    }

    fn of(&self, norm: f64) -> Seen {
        match norm {
            _ if norm.is_nan() => Seen::Nan,
            _ if norm.is_infinite() => Seen::Infinite,
            _ if norm <= 0.0 => Seen::Zero,
            _ => Seen::Band((norm.log10() / self.step).floor() as i32),
        }
    }

    fn ink(&self, band: i32) -> RGBColor {
        let share = (f64::from(band - self.first) + 0.5) / f64::from(self.count);
        ViridisRGB.get_color(share)
    }

    /// The powers of ten at the ends of the scale.
    fn ends(&self) -> [f64; 2] {
        [self.first, self.first + self.count].map(|end| self.step * f64::from(end))
    }
}

impl Heat {
    fn norms(&self) -> impl Iterator<Item = f64> {
        self.columns
            .iter()
            .flat_map(|(_, norms)| norms.iter().copied())
    }

    fn time(&self) -> usize {
        self.columns
            .iter()
            .map(|(_, norms)| norms.len())
            .max()
            .unwrap_or(0)
    }

    pub(super) fn margins(&self) -> Margins {
        let scale = Bands::new(self.norms()).map(|bands| scale_ticks(&bands));
        let ticks = scale
            .iter()
            .flatten()
            .map(|(_, text)| letters::width(text, WORDS));
        Margins {
            left: 6.0 + letters::width(&self.time().to_string(), WORDS),
            right: 36.0 + ticks.fold(30.0, f64::max),
        }
    }

    /// Draws it below and to the right of a corner, and says where it ends.
    pub(super) fn draw(
        &self,
        scene: &mut Scene,
        (left, top): Point,
        width: f64,
        margins: Margins,
    ) -> f64 {
        let heading = (left, top + LINE / 2.0);
        scene.text(&self.heading, heading, Side::Left, HEADING, INK);
        let meaning = letters::fitted(&self.meaning, WORDS, width);
        scene.text(&meaning, (left, top + 1.5 * LINE), Side::Left, WORDS, QUIET);
        let frame = Frame {
            left: left + margins.left,
            top: top + 2.0 * LINE + 8.0,
            right: left + width - margins.right,
            bottom: top + 2.0 * LINE + 8.0 + HEIGHT,
        };
        if self.time() == 0 {
            let middle = (frame.left + frame.width() / 2.0, frame.top + HEIGHT / 2.0);
            scene.text("nothing was recorded", middle, Side::Middle, WORDS, INK);
        } else {
            let bands = Bands::new(self.norms());
            let found = self.cells(scene, &frame, bands.as_ref());
            self.scale(scene, &frame, bands.as_ref(), &found);
        }
        self.axes(scene, &frame);
        frame.bottom + 18.0 + LINE
    }

    /// Where each column begins, and where the last one ends.
    fn borders(&self) -> Vec<f64> {
        let mut borders: Vec<f64> = self.columns.iter().map(|column| column.0).collect();
        let last = match borders[..] {
            [.., before, last] => last + (last - before),
            [only] => only + 1.0,
            [] => 1.0,
        };
        borders.push(last);
        borders
    }

    fn axes(&self, scene: &mut Scene, frame: &Frame) {
        let y = Axis::cells(self.time());
        for tick in y.ticks(5) {
            let at = frame.bottom - tick.share * frame.height();
            scene.line(vec![(frame.left - 4.0, at), (frame.left, at)], QUIET, 1.0);
            scene.text(&tick.text, (frame.left - 6.0, at), Side::Right, WORDS, INK);
        }
        if let Some(x) = Axis::places(self.borders().into_iter(), false) {
            for tick in x.ticks((frame.width() / 90.0) as usize) {
                let at = frame.left + tick.share * frame.width();
                let foot = frame.bottom + 4.0;
                scene.line(vec![(at, frame.bottom), (at, foot)], QUIET, 1.0);
                scene.text(&tick.text, (at, foot + 8.0), Side::Middle, WORDS, INK);
            }
        }
        let corners = [
            (frame.left, frame.top),
            (frame.right, frame.top),
            (frame.right, frame.bottom),
            (frame.left, frame.bottom),
            (frame.left, frame.top),
        ];
        scene.line(corners.to_vec(), QUIET, 1.0);
        let middle = (
            frame.left + frame.width() / 2.0,
            frame.bottom + 18.0 + LINE / 2.0,
        );
        scene.text("training step", middle, Side::Middle, WORDS, QUIET);
    }

    /// Draws the cells, those alike as one, and says which kinds of them there are beside bands.
    fn cells(&self, scene: &mut Scene, frame: &Frame, bands: Option<&Bands>) -> Vec<Seen> {
        let none = Bands {
            step: 1.0,
            first: 0,
            count: 1,
        };
        let bands = bands.unwrap_or(&none);
        let borders = self.borders();
        let Some(x) = Axis::places(borders.iter().copied(), false) else {
            return Vec::new();
        };
        let place = |step: f64| frame.left + x.share(step) * frame.width();
        let rows = self.time().min((HEIGHT / CELL[1]) as usize);
        let mut found = Vec::new();
        let mut open: Vec<(Frame, Seen)> = Vec::new();
        let mut column = 0;
        while column < self.columns.len() {
            // As many columns as no eye would part.
            let left = place(borders[column]);
            let mut end = column + 1;
            while end < self.columns.len() && place(borders[end]) - left < CELL[0] {
                end += 1;
            }
            let right = place(borders[end]);
            let near = &self.columns[column..end];
            column = end;

            let runs = self.runs(near, rows, bands, frame);
            let (stay, done): (Vec<_>, Vec<_>) = open.into_iter().partition(|(frame, seen)| {
                runs.iter()
                    .any(|run| run.0 == [frame.top, frame.bottom] && run.1 == *seen)
            });
            done.into_iter().for_each(|done| cell(scene, done, bands));
            open = stay;
            for ([top, bottom], seen) in runs {
                if !matches!(seen, Seen::Band(_)) && !found.contains(&seen) {
                    found.push(seen);
                }
                match open
                    .iter_mut()
                    .find(|(frame, _)| frame.top == top && frame.bottom == bottom)
                {
                    Some((frame, _)) => frame.right = right,
                    None => open.push((
                        Frame {
                            left,
                            top,
                            right,
                            bottom,
                        },
                        seen,
                    )),
                }
            }
        }
        open.into_iter().for_each(|done| cell(scene, done, bands));
        found.sort_unstable();
        found
    }

    /// Rows that look alike, from top to bottom.
    fn runs(
        &self,
        columns: &[(f64, Vec<f64>)],
        rows: usize,
        bands: &Bands,
        frame: &Frame,
    ) -> Vec<([f64; 2], Seen)> {
        let time = self.time();
        let mut runs: Vec<([f64; 2], Seen)> = Vec::new();
        for row in (0..rows).rev() {
            let (first, end) = (row * time / rows, (row + 1) * time / rows);
            let norms = columns
                .iter()
                .flat_map(|(_, norms)| norms.get(first..end.min(norms.len())));
            let Some(seen) = norms.flatten().map(|&norm| bands.of(norm)).max() else {
                continue;
            };
            let height = |row: usize| frame.bottom - row as f64 / rows as f64 * frame.height();
            let (top, bottom) = (height(row + 1), height(row));
            match runs.last_mut() {
                Some(([_, until], last)) if *last == seen && *until == top => *until = bottom,
                _ => runs.push(([top, bottom], seen)),
            }
        }
        runs
    }

    /// The scale of colours, beside the frame.
    fn scale(&self, scene: &mut Scene, frame: &Frame, bands: Option<&Bands>, found: &[Seen]) {
        let (left, right) = (frame.right + 12.0, frame.right + 26.0);
        let mut bottom = frame.bottom;
        for &seen in found {
            let swatch = Frame {
                left,
                right,
                top: bottom - 12.0,
                bottom,
            };
            let name = match seen {
                Seen::Zero => "0",
                Seen::Infinite => "inf",
                Seen::Nan | Seen::Band(_) => "NaN",
            };
            let none = Bands {
                step: 1.0,
                first: 0,
                count: 1,
            };
            cell(scene, (swatch, seen), bands.unwrap_or(&none));
            scene.text(name, (right + 6.0, bottom - 6.0), Side::Left, WORDS, INK);
            bottom -= 18.0;
        }
        let Some(bands) = bands else { return };
        let height = (bottom - frame.top) / f64::from(bands.count);
        for band in 0..bands.count {
            let bottom = bottom - f64::from(band) * height;
            let swatch = Frame {
                left,
                right,
                top: bottom - height,
                bottom,
            };
            scene.rect(swatch, bands.ink(bands.first + band));
        }
        for (share, text) in scale_ticks(bands) {
            let y = bottom - share * (bottom - frame.top);
            scene.line(vec![(right, y), (right + 4.0, y)], QUIET, 1.0);
            scene.text(&text, (right + 6.0, y), Side::Left, WORDS, INK);
        }
    }
}

/// The norms that are written beside the scale.
fn scale_ticks(bands: &Bands) -> Vec<(f64, String)> {
    let [low, high] = bands.ends();
    let ticks = Axis::powers_between(low, high).ticks(6);
    ticks
        .into_iter()
        .map(|tick| (tick.share, tick.text))
        .collect()
}

/// One cell. It reaches a little under its neighbours, so that no white shows between them at other sizes.
fn cell(scene: &mut Scene, (frame, seen): (Frame, Seen), bands: &Bands) {
    let reaching = Frame {
        right: frame.right + 0.5,
        bottom: frame.bottom + 0.5,
        ..frame
    };
    match seen {
        Seen::Zero => scene.rect(reaching, RGBColor(228, 228, 228)),
        Seen::Band(band) => scene.rect(reaching, bands.ink(band)),
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
