//! What is written along the sides of a frame.

use super::axis::{Axis, Tick};
use super::ink::{INK, QUIET};
use super::letters;
use super::scene::{Frame, Scene, Side};

/// The size of letters.
pub(super) const WORDS: f64 = 12.0;
/// From one line of letters to the next.
pub(super) const LINE: f64 = 16.0;
/// From a frame to what is written to the left of it.
pub(super) const NEAR: f64 = 6.0;
/// How much room values need below a frame.
const VALUES: f64 = 21.0;

/// How much room the axis from left to right needs, with or without a name.
pub(super) fn room_below(name: &str) -> f64 {
    VALUES + if name.is_empty() { 0.0 } else { LINE }
}

/// The axis from left to right, from this height on: its values as far as there is room for them, and its name.
pub(super) fn below(scene: &mut Scene, frame: &Frame, top: f64, axis: Option<Axis>, name: &str) {
    scene.line(vec![(frame.left, top), (frame.right, top)], QUIET, 1.0);
    let about = (frame.width() / 90.0).max(2.0) as usize;
    let mut free = f64::NEG_INFINITY;
    for tick in axis.map(|axis| axis.ticks(about)).unwrap_or_default() {
        let at = frame.left + tick.share * frame.width();
        let half = letters::width(&tick.text, WORDS) / 2.0;
        if at - half >= free {
            free = at + half + 6.0;
            scene.line(vec![(at, top), (at, top + 4.0)], QUIET, 1.0);
            scene.text(&tick.text, (at, top + 14.0), Side::Middle, WORDS, INK);
        }
    }
    let middle = (frame.left + frame.width() / 2.0, top + VALUES + LINE / 2.0);
    scene.text(name, middle, Side::Middle, WORDS, QUIET);
}

/// The values of the axis upwards, as far as there is room for them, and where they are.
pub(super) fn left(scene: &mut Scene, frame: &Frame, ticks: &[Tick]) -> Vec<f64> {
    let mut free = f64::INFINITY;
    let mut heights = Vec::new();
    for tick in ticks {
        let y = frame.bottom - tick.share * frame.height();
        if y <= free {
            free = y - 1.2 * WORDS;
            scene.text(&tick.text, (frame.left - NEAR, y), Side::Right, WORDS, INK);
            heights.push(y);
        }
    }
    heights
}
