//! A map of colours: one column for each training step, one row for each time step.

use super::axis::Axis;
use super::bands::{Bands, Seen};
use super::beside::{self, LINE, NEAR, WORDS};
use super::framed::{HEADING, Margins};
use super::ink::{INK, QUIET};
use super::letters;
use super::scene::{Frame, Point, Scene, Side};

/// The height of the map.
const HEIGHT: f64 = 220.0;
/// As few pixels as a cell may be wide or high: more cells are drawn as the gravest of their neighbours.
const CELL: [f64; 2] = [3.0, 2.0];
/// What is written below the map.
const STEPS: &str = "training step";

/// Norms over time and training step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heat {
    pub(super) heading: String,
    /// What the colours and the rows mean.
    pub(super) meaning: String,
    /// The training steps, rising, and the norms at each time.
    pub(super) columns: Vec<(f64, Vec<f64>)>,
}

/// Rows that look alike: their upper and lower end.
type Run = ([f64; 2], Seen);

impl Heat {
    fn bands(&self) -> Bands {
        let norms = self.columns.iter().flat_map(|(_, norms)| norms);
        Bands::new(norms.copied())
    }

    fn time(&self) -> usize {
        let times = self.columns.iter().map(|(_, norms)| norms.len());
        times.max().unwrap_or(0)
    }

    /// What the map wants beside it.
    pub(super) fn margins(&self) -> Margins {
        let ticks = self.bands().ticks();
        let texts = ticks.iter().map(|tick| letters::width(&tick.text, WORDS));
        Margins {
            left: NEAR + letters::width(&self.time().to_string(), WORDS),
            right: 36.0 + texts.fold(30.0, f64::max),
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
        let top = top + 2.0 * LINE + 8.0;
        let frame = Frame {
            left: left + margins.left,
            top,
            right: left + width - margins.right,
            bottom: top + HEIGHT,
        };
        let x = Axis::places(self.borders().into_iter(), false);
        match x {
            Some(x) if self.time() > 0 => {
                let found = self.cells(scene, &frame, &x);
                self.scale(scene, &frame, &found);
                beside::left(scene, &frame, &Axis::cells(self.time()).ticks(5));
            }
            _ => {
                let middle = (frame.left + frame.width() / 2.0, top + HEIGHT / 2.0);
                scene.text("nothing was recorded", middle, Side::Middle, WORDS, INK);
            }
        }
        let (upper, lower) = ([frame.left, frame.right], [frame.right, frame.left]);
        let around = upper.map(|x| (x, frame.top)).into_iter();
        let around = around.chain(lower.map(|x| (x, frame.bottom)));
        let around = around.chain([(frame.left, frame.top)]);
        scene.line(around.collect(), QUIET, 1.0);
        beside::below(scene, &frame, frame.bottom, x, STEPS);
        frame.bottom + beside::room_below(STEPS)
    }

    /// Where each column begins, and where the last one ends.
    fn borders(&self) -> Vec<f64> {
        let mut borders: Vec<f64> = self.columns.iter().map(|column| column.0).collect();
        match borders[..] {
            [.., before, last] => borders.push(last + (last - before)),
            [only] => borders.push(only + 1.0),
            [] => (),
        }
        borders
    }

    /// Draws the cells, those alike as one, and says which kinds of them there are.
    fn cells(&self, scene: &mut Scene, frame: &Frame, x: &Axis) -> Vec<Seen> {
        let bands = self.bands();
        let borders = self.borders().into_iter();
        let borders = borders.map(|step| frame.left + x.share(step) * frame.width());
        let borders: Vec<f64> = borders.collect();
        let mut found = Vec::new();
        let mut open: Vec<(Frame, Seen)> = Vec::new();
        let mut column = 0;
        while column < self.columns.len() {
            // As many columns as no eye would part.
            let left = borders[column];
            let near = borders[column + 1..].iter();
            let near = near.take_while(|&&border| border - left < CELL[0]).count();
            let end = (column + near + 1).min(self.columns.len());
            let runs = self.runs(&self.columns[column..end], &bands, frame);
            let goes_on =
                |(frame, seen): &(Frame, Seen)| runs.contains(&([frame.top, frame.bottom], *seen));
            for (frame, seen) in open.extract_if(.., |rect| !goes_on(rect)) {
                bands.paint(scene, frame, seen);
            }
            for (ends, seen) in runs {
                found.push(seen);
                let [top, bottom] = ends;
                let right = borders[end];
                let known = open
                    .iter_mut()
                    .find(|(frame, _)| [frame.top, frame.bottom] == ends);
                if let Some((frame, _)) = known {
                    frame.right = right;
                } else {
                    let frame = Frame {
                        left,
                        top,
                        right,
                        bottom,
                    };
                    open.push((frame, seen));
                }
            }
            column = end;
        }
        for (frame, seen) in open {
            bands.paint(scene, frame, seen);
        }
        found
    }

    /// What is seen in some columns, from top to bottom.
    fn runs(&self, columns: &[(f64, Vec<f64>)], bands: &Bands, frame: &Frame) -> Vec<Run> {
        let time = self.time();
        let rows = time.min((frame.height() / CELL[1]) as usize);
        let height = |row: usize| frame.bottom - row as f64 / rows as f64 * frame.height();
        let mut runs: Vec<Run> = Vec::new();
        for row in (0..rows).rev() {
            let (first, end) = (row * time / rows, (row + 1) * time / rows);
            let norms = columns
                .iter()
                .flat_map(|(_, norms)| norms.iter().take(end).skip(first));
            let Some(seen) = norms.map(|&norm| bands.of(norm)).max() else {
                continue;
            };
            let (top, bottom) = (height(row + 1), height(row));
            match runs.last_mut() {
                Some(([_, until], last)) if *last == seen && *until == top => *until = bottom,
                _ => runs.push(([top, bottom], seen)),
            }
        }
        runs
    }

    /// The scale of colours, beside the frame.
    fn scale(&self, scene: &mut Scene, frame: &Frame, found: &[Seen]) {
        let bands = self.bands();
        let (left, right) = (frame.right + 12.0, frame.right + 26.0);
        let mut bottom = frame.bottom;
        let apart = Seen::APART.into_iter();
        for (seen, name) in apart.filter(|(seen, _)| found.contains(seen)) {
            let top = bottom - 12.0;
            bands.paint(
                scene,
                Frame {
                    left,
                    top,
                    right,
                    bottom,
                },
                seen,
            );
            let middle = (right + 6.0, f64::midpoint(top, bottom));
            scene.text(name, middle, Side::Left, WORDS, INK);
            bottom -= 18.0;
        }
        let height = (bottom - frame.top) / f64::from(bands.count);
        for band in (0..bands.count).rev() {
            let bottom = bottom - f64::from(band) * height;
            let top = bottom - height;
            bands.paint(
                scene,
                Frame {
                    left,
                    top,
                    right,
                    bottom,
                },
                Seen::Band(band),
            );
        }
        let mut free = bottom;
        for tick in bands.ticks() {
            let y = bottom - tick.share * (bottom - frame.top);
            if y <= free {
                free = y - 1.2 * WORDS;
                scene.line(vec![(right, y), (right + 4.0, y)], QUIET, 1.0);
                scene.text(&tick.text, (right + 6.0, y), Side::Left, WORDS, INK);
            }
        }
    }
}
