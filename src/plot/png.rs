//! A scene as PNG.

use std::f64::consts::TAU;
use std::fmt::Display;
use std::slice;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use ab_glyph_rasterizer::Rasterizer;
use plotters::style::RGBColor;

use super::scene::{Label, Mark, Point, Scene, Side};
use crate::{Error, Result};

/// So many pixels for each of the scene.
const SHARP: f64 = 2.0;

/// Three bytes a pixel.
struct Pixels {
    bytes: Vec<u8>,
    width: usize,
    height: usize,
}

impl Scene {
    /// As a PNG file.
    ///
    /// Not with plotters' own bitmaps: the tips of its wide lines reach beyond the values, up to several times as far, and
    /// their edges are steps.
    pub(super) fn to_png(&self) -> Result<Vec<u8>> {
        let [width, height] = [self.width, self.height].map(|side| (SHARP * side) as usize);
        let mut pixels = Pixels {
            bytes: vec![255; 3 * width * height],
            width,
            height,
        };
        let font = FontRef::try_from_slice(ttf_noto_sans::REGULAR).map_err(refused)?;
        for mark in &self.marks {
            match mark {
                Mark::Line(points, ink, width) => pixels.cover(&stroked(points, *width), *ink),
                Mark::Area(points, ink) => pixels.cover(slice::from_ref(points), *ink),
                Mark::Rect(frame, ink) => {
                    let [left, top, right, bottom] =
                        [frame.left, frame.top, frame.right, frame.bottom];
                    let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
                    pixels.cover(&[corners], *ink);
                }
                Mark::Disc(at, radius, ink) => pixels.cover(&[disc(*at, *radius)], *ink),
                Mark::Text(label) => pixels.write(label, &font),
            }
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(refused)?;
        writer.write_image_data(&pixels.bytes).map_err(refused)?;
        writer.finish().map_err(refused)?;
        Ok(file)
    }
}

/// The outline of a circle, near enough for so small ones.
fn disc((x, y): Point, radius: f64) -> Vec<Point> {
    let corners = (0..24).map(|corner| TAU * f64::from(corner) / 24.0);
    let corner = |angle: f64| (x + radius * angle.cos(), y + radius * angle.sin());
    corners.map(corner).collect()
}

/// What a pen with a round tip covers on its way along a path.
fn stroked(points: &[Point], width: f64) -> Vec<Vec<Point>> {
    let half = width / 2.0;
    let mut covered: Vec<Vec<Point>> = points
        .windows(2)
        .filter_map(|pair| {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            let length = (x1 - x0).hypot(y1 - y0);
            let (dx, dy) = (half * (y1 - y0) / length, half * (x0 - x1) / length);
            let side = vec![
                (x0 + dx, y0 + dy),
                (x1 + dx, y1 + dy),
                (x1 - dx, y1 - dy),
                (x0 - dx, y0 - dy),
            ];
            (length > 0.0).then_some(side)
        })
        .collect();
    let joints = points.iter().skip(1).take(points.len().saturating_sub(2));
    covered.extend(joints.map(|&joint| disc(joint, half)));
    covered
}

impl Pixels {
    /// Paints what any of these polygons encloses.
    fn cover(&mut self, polygons: &[Vec<Point>], ink: RGBColor) {
        let corners = || polygons.iter().flatten();
        let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
        for &(x, y) in corners() {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        if corners().next().is_none() {
            return;
        }
        let origin = [low.0, low.1].map(|at| (SHARP * at).floor() - 1.0);
        let size = [high.0 - low.0, high.1 - low.1].map(|side| (SHARP * side) as usize + 4);
        let mut raster = Rasterizer::new(size[0], size[1]);
        for polygon in polygons {
            let mut corners: Vec<_> = polygon
                .iter()
                .map(|&(x, y)| {
                    point(
                        (SHARP * x - origin[0]) as f32,
                        (SHARP * y - origin[1]) as f32,
                    )
                })
                .collect();
            // All the same way round, so that where they overlap they do not cancel.
            let next = |i: usize| (i + 1) % polygon.len();
            let area: f64 = (0..polygon.len())
                .map(|i| polygon[i].0 * polygon[next(i)].1 - polygon[next(i)].0 * polygon[i].1)
                .sum();
            if area < 0.0 {
                corners.reverse();
            }
            for i in 0..corners.len() {
                raster.draw_line(corners[i], corners[next(i)]);
            }
        }
        raster.for_each_pixel_2d(|x, y, share| {
            let at = (
                origin[0] as i64 + i64::from(x),
                origin[1] as i64 + i64::from(y),
            );
            self.blend(at, share, ink);
        });
    }

    fn write(&mut self, label: &Label, font: &FontRef<'_>) {
        let size = (SHARP * label.size) as f32;
        let letters: Vec<(char, f32)> = label.text.chars().map(|c| raised(c, font)).collect();
        let advance = |&(c, share): &(char, f32)| {
            let scaled = font.as_scaled(scale(font, share * size));
            scaled.h_advance(scaled.glyph_id(c))
        };
        let width: f32 = letters.iter().map(advance).sum();
        let left = (SHARP * label.at.0) as f32;
        let mut x = match label.side {
            Side::Left => left,
            Side::Middle => left - width / 2.0,
            Side::Right => left - width,
        };
        // Half of what a small letter is high below the place.
        let base = (SHARP * label.at.1) as f32 + 0.27 * size;
        for letter in &letters {
            let (c, share) = *letter;
            let lift = if share < 1.0 { 0.36 * size } else { 0.0 };
            let at = point(x, base - lift);
            let glyph = font
                .glyph_id(c)
                .with_scale_and_position(scale(font, share * size), at);
            x += advance(letter);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, share| {
                let at = (
                    corner.x as i64 + i64::from(dx),
                    corner.y as i64 + i64::from(dy),
                );
                self.blend(at, share, label.ink);
            });
        }
    }

    /// Paints a share of a pixel.
    fn blend(&mut self, (x, y): (i64, i64), share: f32, ink: RGBColor) {
        let is_in = |at: i64, end: usize| (0..end as i64).contains(&at);
        if share <= 0.0 || !is_in(x, self.width) || !is_in(y, self.height) {
            return;
        }
        let at = 3 * (y as usize * self.width + x as usize);
        for (byte, ink) in self.bytes[at..at + 3].iter_mut().zip([ink.0, ink.1, ink.2]) {
            let (below, ink) = (f32::from(*byte), f32::from(ink));
            *byte = (below + share.min(1.0) * (ink - below)).round() as u8;
        }
    }
}

/// A letter and its size: Noto Sans has no raised minus, so that a small one is raised.
fn raised(c: char, font: &FontRef<'_>) -> (char, f32) {
    match c {
        '⁻' if font.glyph_id(c).0 == 0 => ('−', 0.6),
        _ => (c, 1.0),
    }
}

/// `ab_glyph` scales by the height of a line, and letters are as large as their em.
fn scale(font: &FontRef<'_>, size: f32) -> PxScale {
    let em = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(size * font.height_unscaled() / em)
}

fn refused(why: impl Display) -> Error {
    Error::Picture {
        what: "as PNG".into(),
        expected: "a size that the format holds",
        found: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Frame;
    use super::*;

    fn pixels(size: usize) -> Pixels {
        Pixels {
            bytes: vec![255; 3 * size * size],
            width: size,
            height: size,
        }
    }

    const BLACK: RGBColor = RGBColor(0, 0, 0);

    impl Pixels {
        fn at(&self, x: usize, y: usize) -> u8 {
            self.bytes[3 * (y * self.width + x)]
        }
    }

    #[test]
    fn a_line_is_as_wide_as_it_should_be_and_its_tip_no_longer() {
        let mut sheet = pixels(60);
        let spike = [
            (2.0, 28.0),
            (14.0, 28.0),
            (15.0, 6.0),
            (16.0, 28.0),
            (28.0, 28.0),
        ];
        sheet.cover(&stroked(&spike, 1.5), BLACK);
        // 1.5 wide around 28: from 54.5 to 57.5.
        let column: Vec<u8> = (52..60).map(|y| sheet.at(10, y)).collect();
        assert_eq!(column, [255, 255, 128, 0, 0, 128, 255, 255]);
        // The tip at 6 reaches up by half the width, 0.75.
        let highest = (0..60).find(|&y| (0..60).any(|x| sheet.at(x, y) < 250));
        assert_eq!(highest, Some(10));
    }

    #[test]
    fn shapes_that_overlap_are_as_dark_as_one_whichever_way_round_they_go() {
        let mut sheet = pixels(20);
        let square = vec![(2.0, 2.0), (6.0, 2.0), (6.0, 6.0), (2.0, 6.0)];
        let reversed: Vec<Point> = square.iter().rev().map(|&(x, y)| (x + 1.0, y)).collect();
        sheet.cover(&[square, reversed], BLACK);
        assert!((5..13).all(|x| sheet.at(x, 8) == 0) && sheet.at(15, 8) == 255);
    }

    #[test]
    fn what_lies_outside_of_the_sheet_is_left_out() {
        let mut scene = Scene {
            width: 10.0,
            height: 10.0,
            ..Scene::default()
        };
        scene.rect(
            Frame {
                left: -5.0,
                top: 4.0,
                right: 90.0,
                bottom: 6.0,
            },
            BLACK,
        );
        scene.text("far out", (8.0, 5.0), Side::Left, 12.0, BLACK);
        let png = scene.to_png().unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..24], [0, 0, 0, 20, 0, 0, 0, 20]);
    }

    #[test]
    fn the_font_has_the_letters_that_are_used() {
        let font = FontRef::try_from_slice(ttf_noto_sans::REGULAR).unwrap();
        let used = "0123456789ABCXYZabcxyz .,:;()/-_‖∂Δ·…×→²³⁰¹⁴⁵⁶⁷⁸⁹⁻";
        for c in used.chars() {
            let (drawn, _) = raised(c, &font);
            assert!(font.glyph_id(drawn).0 != 0, "{c}");
        }
    }
}
