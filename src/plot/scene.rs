//! What a picture is made of.

use plotters::style::RGBColor;

use super::letters;

/// A place, in pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn holds(&self, (x, y): Point) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Left,
    Middle,
    Right,
}

/// A line of text; `at` is halfway up its small letters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) at: Point,
    pub(super) side: Side,
    pub(super) size: f64,
    pub(super) ink: RGBColor,
}

impl Label {
    #[cfg(test)]
    /// The room it takes with the widest of the usual fonts.
    pub(super) fn room(&self) -> Frame {
        let width = letters::width(&self.text, self.size);
        let left = match self.side {
            Side::Left => self.at.0,
            Side::Middle => self.at.0 - width / 2.0,
            Side::Right => self.at.0 - width,
        };
        Frame {
            left,
            right: left + width,
            top: self.at.1 - 0.55 * self.size,
            bottom: self.at.1 + 0.55 * self.size,
        }
    }
}

/// One thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    /// A path, this wide.
    Line(Vec<Point>, RGBColor, f64),
    /// What a path encloses.
    Area(Vec<Point>, RGBColor),
    /// A rectangle, filled.
    Rect(Frame, RGBColor),
    /// A disc with this radius.
    Disc(Point, f64, RGBColor),
    Text(Label),
}

/// A white sheet, and what stands on it from the lowest to the topmost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scene {
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) marks: Vec<Mark>,
}

impl Scene {
    pub(super) fn line(&mut self, points: Vec<Point>, ink: RGBColor, width: f64) {
        self.marks.push(Mark::Line(points, ink, width));
    }

    pub(super) fn area(&mut self, points: Vec<Point>, ink: RGBColor) {
        self.marks.push(Mark::Area(points, ink));
    }

    pub(super) fn rect(&mut self, frame: Frame, ink: RGBColor) {
        self.marks.push(Mark::Rect(frame, ink));
    }

    pub(super) fn disc(&mut self, at: Point, radius: f64, ink: RGBColor) {
        self.marks.push(Mark::Disc(at, radius, ink));
    }

    pub(super) fn text(&mut self, text: &str, at: Point, side: Side, size: f64, ink: RGBColor) {
        let text = letters::printable(text);
        if text.trim().is_empty() {
            return;
        }
        self.marks.push(Mark::Text(Label {
            text,
            at,
            side,
            size,
            ink,
        }));
    }

    /// A straight line in dashes of `dash` with gaps of `gap`.
    pub(super) fn dashes(&mut self, from: Point, to: Point, [dash, gap]: [f64; 2], ink: RGBColor) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let at = |way: f64| (from.0 + dx * way / length, from.1 + dy * way / length);
        let mut way = 0.0;
        while way < length {
            self.line(vec![at(way), at((way + dash).min(length))], ink, 1.0);
            way += dash + gap;
        }
    }

    /// The texts, in the order in which they were written.
    #[cfg(test)]
    pub(super) fn labels(&self) -> impl Iterator<Item = &Label> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Text(label) => Some(label),
            _ => None,
        })
    }
}
