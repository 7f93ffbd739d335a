//! A scene as SVG.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TextStyle};

use super::scene::{Label, Mark, Point, Scene, Side};

/// plotters draws on a grid of whole numbers: so many of its lines lie within a pixel.
const FINE: f64 = 2.0;

fn fine(x: f64) -> i32 {
    (FINE * x).round() as i32
}

fn point(at: &Point) -> (i32, i32) {
    (fine(at.0), fine(at.1))
}

fn points(points: &[Point]) -> Vec<(i32, i32)> {
    points.iter().map(point).collect()
}

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Drawn<'s> = Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>>;

impl Scene {
    fn draw<'s>(&self, area: &Area<'s>) -> Drawn<'s> {
        for mark in &self.marks {
            match mark {
                Mark::Line(path, ink, width) => {
                    let stroke = ink.stroke_width(fine(*width).max(1) as u32);
                    area.draw(&PathElement::new(points(path), stroke))?;
                }
                Mark::Area(path, ink) => area.draw(&Polygon::new(points(path), ink.filled()))?,
                Mark::Rect(frame, ink) => {
                    let corners = [(frame.left, frame.top), (frame.right, frame.bottom)];
                    area.draw(&Rectangle::new(corners.map(|at| point(&at)), ink.filled()))?;
                }
                Mark::Disc(at, radius, ink) => {
                    area.draw(&Circle::new(point(at), fine(*radius), ink.filled()))?;
                }
                Mark::Text(label) => area.draw(&written(label))?,
            }
        }
        area.present()
    }

    /// As an SVG document.
    pub(super) fn to_svg(&self) -> String {
        let (width, height) = (fine(self.width), fine(self.height));
        let mut text = String::new();
        let size = (width as u32, height as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = self.draw(&area);
        debug_assert!(drawn.is_ok(), "a string takes whatever is written to it");
        drop(area);

        let fine = format!("width=\"{width}\" height=\"{height}\"");
        let shown = format!("width=\"{}\" height=\"{}\"", self.width, self.height);
        let title = format!(
            "\" role=\"img\">\n<title>{}</title>\n",
            escaped(&self.title)
        );
        text.replacen(&fine, &shown, 1).replacen("\">\n", &title, 1)
    }
}

/// A label as plotters takes it.
fn written(label: &Label) -> Text<'_, (i32, i32), &str> {
    let side = match label.side {
        Side::Left => HPos::Left,
        Side::Middle => HPos::Center,
        Side::Right => HPos::Right,
    };
    // plotters takes the height of a line of text, and writes that of its letters.
    let font = ("sans-serif", FINE * label.size * 1.24).into_font();
    let style = TextStyle::from(font)
        .color(&label.ink)
        .pos(Pos::new(side, VPos::Center));
    Text::new(label.text.as_str(), point(&label.at), style)
}

fn escaped(text: &str) -> String {
    let text = super::letters::printable(text);
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::ink::INK;
    use super::*;

    #[test]
    fn a_document_says_its_size_and_its_title_and_escapes_what_it_must() {
        let mut scene = Scene {
            title: "a < b & \u{1}".into(),
            width: 800.0,
            height: 300.0,
            ..Scene::default()
        };
        scene.text("<&>\n", (10.0, 10.5), Side::Left, 12.0, INK);
        let svg = scene.to_svg();
        let head = "<svg width=\"800\" height=\"300\" viewBox=\"0 0 1600 600\" ";
        assert!(svg.starts_with(head), "{svg}");
        assert!(
            svg.contains("<title>a &lt; b &amp; \u{fffd}</title>"),
            "{svg}"
        );
        assert!(
            svg.contains("x=\"20\" y=\"21\"") && svg.contains("font-size=\"24\""),
            "{svg}"
        );
        assert!(svg.contains("&lt;&amp;&gt;\u{fffd}") && svg.ends_with("</svg>\n"));
    }
}
