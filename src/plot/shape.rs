//! The marks by which curves are told apart without their colours.

use plotters::style::{RGBColor, WHITE};

use super::scene::{Point, Scene};

/// A mark on a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    Disc,
    Square,
    Up,
    Diamond,
    Ring,
    Cross,
    Down,
}

/// In an order that repeats after another number of curves than the colours do.
const ORDER: [Shape; 7] = [
    Shape::Disc,
    Shape::Square,
    Shape::Up,
    Shape::Diamond,
    Shape::Ring,
    Shape::Cross,
    Shape::Down,
];

impl Shape {
    /// The mark of a curve by its place.
    pub(super) fn of(index: usize) -> Self {
        ORDER[index % ORDER.len()]
    }

    /// Draws it, about as large as a disc of this radius.
    pub(super) fn draw(self, scene: &mut Scene, (x, y): Point, radius: f64, ink: RGBColor) {
        let r = 1.15 * radius;
        let points = |offsets: &[Point]| {
            offsets
                .iter()
                .map(|(dx, dy)| (x + r * dx, y + r * dy))
                .collect()
        };
        match self {
            Self::Disc => scene.disc((x, y), radius, ink),
            Self::Square => scene.area(
                points(&[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]),
                ink,
            ),
            Self::Up => scene.area(points(&[(0.0, -1.1), (1.0, 0.8), (-1.0, 0.8)]), ink),
            Self::Down => scene.area(points(&[(0.0, 1.1), (1.0, -0.8), (-1.0, -0.8)]), ink),
            Self::Diamond => scene.area(
                points(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)]),
                ink,
            ),
            Self::Ring => {
                scene.disc((x, y), radius + 0.5, ink);
                scene.disc((x, y), radius - 1.0, WHITE);
            }
            Self::Cross => {
                scene.line(points(&[(-0.9, -0.9), (0.9, 0.9)]), ink, 1.5);
                scene.line(points(&[(-0.9, 0.9), (0.9, -0.9)]), ink, 1.5);
            }
        }
    }
}
