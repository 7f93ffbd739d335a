//! Names beside the ends of curves, none over another.

use plotters::style::RGBColor;

use super::ink::{INK, QUIET};
use super::letters;
use super::scene::{Frame, Scene, Side};
use super::shape::Shape;

/// The size of the letters.
pub(super) const SIZE: f64 = 12.0;
/// From one line of letters to the next.
pub(super) const LINE: f64 = 15.0;
/// From a frame to the names beside it.
pub(super) const GAP: f64 = 22.0;

/// A name, and the height that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tag {
    pub(super) text: String,
    pub(super) height: f64,
    pub(super) ink: RGBColor,
    /// The mark of its curve; a bound has none.
    pub(super) shape: Option<Shape>,
    /// Whether what it names comes to the edge of the frame.
    pub(super) is_joined: bool,
}

/// How much room names need beside a frame.
pub(super) fn room<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    names
        .map(|name| GAP + letters::width(name, SIZE))
        .fold(0.0, f64::max)
}

/// Writes names to the right of a frame, each as near to its height as the others let it.
///
/// Of more than there is room for, the first have theirs.
pub(super) fn draw(scene: &mut Scene, frame: &Frame, right: f64, mut tags: Vec<Tag>) {
    let most = (frame.height() / LINE) as usize;
    if tags.len() > most {
        let others = tags.len() + 1 - most;
        tags.truncate(most - 1);
        tags.push(Tag {
            text: format!("and {others} others"),
            height: frame.bottom,
            ink: QUIET,
            shape: None,
            is_joined: false,
        });
    }
    tags.sort_by(|a, b| a.height.total_cmp(&b.height));
    let heights: Vec<f64> = tags.iter().map(|tag| tag.height).collect();
    let places = spread(&heights, frame.top, frame.bottom);
    for (tag, y) in tags.iter().zip(places) {
        let (from, key) = (frame.right + 2.0, frame.right + 13.0);
        if tag.is_joined {
            scene.line(vec![(from, tag.height), (key, y)], tag.ink, 1.0);
        }
        if let Some(shape) = tag.shape {
            shape.draw(scene, (key, y), 3.5, tag.ink);
        }
        let text = letters::fitted(&tag.text, SIZE, right - frame.right - GAP + 1.0);
        let ink = if tag.shape.is_some() { INK } else { QUIET };
        scene.text(&text, (frame.right + GAP, y), Side::Left, SIZE, ink);
    }
}

/// Heights at least a line apart, between two bounds if they have room there, in the order given.
fn spread(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    let mut least = top + LINE / 2.0;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    let mut most = bottom - LINE / 2.0;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    // More than there is room for go on below.
    let mut least = top + LINE / 2.0;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_room_stay_and_others_make_way() {
        assert_eq!(spread(&[20.0, 60.0, 90.0], 0.0, 100.0), [20.0, 60.0, 90.0]);
        let near = spread(&[50.0, 51.0, 52.0], 0.0, 100.0);
        assert!(
            near.windows(2).all(|pair| pair[1] - pair[0] >= LINE),
            "{near:?}"
        );
        assert_eq!(spread(&[99.0, 99.5], 0.0, 100.0), [77.5, 92.5]);
        assert_eq!(spread(&[0.0, 0.0], 0.0, 100.0), [7.5, 22.5]);
        // No room: none over another all the same.
        let many = spread(&[10.0; 9], 0.0, 60.0);
        assert!(
            many.windows(2).all(|pair| pair[1] - pair[0] >= LINE),
            "{many:?}"
        );
    }
}
