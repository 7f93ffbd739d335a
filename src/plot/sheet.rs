//! Charts, heat maps and words below each other.

use super::beside::{LINE, WORDS};
use super::chart::Chart;
use super::framed::{Framed, HEADING, Margins};
use super::heat::Heat;
use super::ink::{INK, QUIET};
use super::letters;
use super::scene::{Point, Scene, Side};

/// As wide as a page shows it, so that letters stay as high as they are here.
const WIDTH: f64 = 800.0;
/// From the edge of the sheet to what stands on it.
const EDGE: f64 = 16.0;
/// Between what stands side by side.
const BESIDE: f64 = 24.0;
/// Between what stands below each other.
const BETWEEN: f64 = 14.0;
const TITLE: f64 = 18.0;

/// What a picture shows, from top to bottom.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// What takes the whole width.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    /// Side by side, with room for so many.
    Charts(usize, Vec<Chart>),
    Heat(Heat),
    /// A heading, and sentences below it.
    Words(String, Vec<String>),
}

impl Sheet {
    pub(super) fn scene(&self) -> Scene {
        let mut scene = Scene {
            title: self.title.clone(),
            width: WIDTH,
            ..Scene::default()
        };
        let mut y = EDGE;
        if !self.title.is_empty() {
            for line in letters::wrapped(&self.title, TITLE, WIDTH - 2.0 * EDGE) {
                let at = (EDGE, y + TITLE / 2.0);
                scene.text(&line, at, Side::Left, TITLE, INK);
                y += TITLE + 4.0;
            }
            y += 6.0;
        }
        let framed: Vec<Laid> = self.blocks.iter().map(Laid::new).collect();
        for block in &framed {
            y = block.draw(&mut scene, (EDGE, y), &framed) + BETWEEN;
        }
        scene.height = (y - BETWEEN + EDGE).ceil();
        scene
    }
}

/// A block whose parts know what they want beside them.
enum Laid<'a> {
    Charts(usize, Vec<Framed<'a>>),
    Heat(&'a Heat),
    Words(&'a str, &'a [String]),
}

impl<'a> Laid<'a> {
    fn new(block: &'a Block) -> Self {
        match block {
            Block::Charts(columns, charts) => {
                Self::Charts(*columns, charts.iter().map(Framed::new).collect())
            }
            Block::Heat(heat) => Self::Heat(heat),
            Block::Words(heading, lines) => Self::Words(heading, lines),
        }
    }

    /// What the part in this column wants beside it, if there are so many of them.
    fn margins(&self, column: usize, columns: usize) -> Margins {
        match self {
            Self::Charts(of, charts) if *of == columns => {
                charts.get(column).map(Framed::margins).unwrap_or_default()
            }
            Self::Heat(heat) if columns == 1 => heat.margins(),
            _ => Margins::default(),
        }
    }

    /// Draws it, and says where it ends.
    fn draw(&self, scene: &mut Scene, (left, top): Point, all: &[Self]) -> f64 {
        let full = WIDTH - 2.0 * EDGE;
        let margins = |column: usize, columns: usize| {
            let wanted = all.iter().map(|block| block.margins(column, columns));
            wanted.fold(Margins::default(), Margins::widest)
        };
        match self {
            Self::Charts(columns, charts) => {
                let width = (full + BESIDE) / *columns as f64 - BESIDE;
                let mut bottom = top;
                for (column, chart) in charts.iter().enumerate() {
                    let x = left + column as f64 * (width + BESIDE);
                    chart.draw(scene, (x, top), width, margins(column, *columns));
                    bottom = bottom.max(top + chart.height(width));
                }
                bottom
            }
            Self::Heat(heat) => heat.draw(scene, (left, top), full, margins(0, 1)),
            Self::Words(heading, lines) => {
                let mut y = top;
                if !heading.is_empty() {
                    scene.text(heading, (left, y + LINE / 2.0), Side::Left, HEADING, INK);
                    y += LINE + 4.0;
                }
                for line in *lines {
                    for line in letters::wrapped(line, WORDS, full) {
                        scene.text(&line, (left, y + LINE / 2.0), Side::Left, WORDS, QUIET);
                        y += LINE;
                    }
                }
                y
            }
        }
    }
}
