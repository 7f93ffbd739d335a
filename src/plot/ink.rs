//! Colours, told apart by every eye.

use plotters::style::RGBColor;

/// Letters and axes.
pub(super) const INK: RGBColor = RGBColor(40, 44, 52);
/// What is said by the way.
pub(super) const QUIET: RGBColor = RGBColor(96, 102, 114);
/// Lines to read a value by.
pub(super) const GRID: RGBColor = RGBColor(226, 229, 234);
/// What is wrong: infinite values, NaN and the like.
pub(super) const ALERT: RGBColor = RGBColor(213, 94, 0);
/// What lasts from a step to another.
pub(super) const EVENT: RGBColor = RGBColor(170, 68, 128);
/// What was done to gradients.
pub(super) const DONE: RGBColor = RGBColor(86, 180, 233);

/// The colours of Okabe and Ito (2008) that are dark enough for a line on white, in the order in which they are easiest
/// to tell apart, but for the vermilion of [`ALERT`]. Curves beyond the last begin again, with other marks.
const CURVES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// The colour of a curve by its place.
pub(super) fn curve(index: usize) -> RGBColor {
    CURVES[index % CURVES.len()]
}

/// A colour as if some of it lay on white: nothing shines through, so that neither format has to blend.
pub(super) fn pale(ink: RGBColor, share: f64) -> RGBColor {
    let mixed = |c: u8| (255.0 - share * (255.0 - f64::from(c))).round() as u8;
    RGBColor(mixed(ink.0), mixed(ink.1), mixed(ink.2))
}
