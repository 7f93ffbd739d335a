//! Charts of one's own on one sheet.

use super::chart::Chart;
use super::picture::{Contents, Picture, Shown};
use super::sheet::{Block, Sheet};

/// Charts below each other, in one column or several: see [`page`].
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    title: String,
    columns: usize,
    charts: Vec<Chart>,
}

/// A sheet with charts of one's own, drawn as those of a run are.
///
/// # Examples
///
/// ```
/// use steadygrad::plot::{self, Chart};
///
/// let series = |factor: f64| (0..100).map(move |t| (f64::from(t), (factor * f64::from(t)).sin()));
/// let svg = plot::page("Tones")
///     .columns(2)
///     .chart(Chart::new("low").x("time, s").line("", series(0.1)))
///     .chart(Chart::new("high").x("time, s").line("", series(0.3)))
///     .to_svg();
/// assert_eq!(svg.matches("<polyline fill=\"none\" opacity=\"1\" stroke=\"#0072B2\"").count(), 2);
/// ```
pub fn page(title: impl Into<String>) -> Picture<Page> {
    Picture::of(Page {
        title: title.into(),
        columns: 1,
        charts: Vec::new(),
    })
}

impl Picture<Page> {
    /// So many charts side by side; 0 is as good as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let of = |columns| plot::page("").columns(columns).chart(Chart::new("a")).chart(Chart::new("b")).to_svg();
    /// assert_ne!(of(1), of(2));
    /// ```
    pub fn columns(mut self, columns: usize) -> Self {
        self.shown.columns = columns.max(1);
        self
    }

    /// Adds a chart, beside or below the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// assert!(plot::page("").chart(Chart::new("of my own")).to_svg().contains("of my own"));
    /// ```
    pub fn chart(mut self, chart: Chart) -> Self {
        self.shown.charts.push(chart);
        self
    }
}

impl Shown for Page {
    fn sheet(&self) -> Contents {
        let rows = self.charts.chunks(self.columns);
        Contents(Sheet {
            title: self.title.clone(),
            blocks: rows
                .map(|row| Block::Charts(self.columns, row.to_vec()))
                .collect(),
        })
    }
}
