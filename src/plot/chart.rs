//! Curves over a common axis.

use std::ops::Range;

use plotters::style::RGBColor;

use super::ink;
use super::lane::{Lane, Span};
use super::scene::Point;

/// Curves over a common axis, with their names beside them.
///
/// What a curve has that is not finite is not lost: it ends at the upper or lower edge where a value is infinite or off
/// the scale, with a mark there, and a strip below shows where it is NaN. Thousands of points are drawn as the lowest and
/// the highest of each column of pixels, so that a spike of one step is seen.
///
/// # Examples
///
/// ```
/// use steadygrad::plot::{self, Chart};
///
/// let loss = (1..=300).map(|step| (f64::from(step), 5.0 / f64::from(step)));
/// let chart = Chart::new("Loss on held-out data")
///     .x("step")
///     .y("mean cross-entropy, nats")
///     .log_y()
///     .line("validation", loss)
///     .bound("as good as guessing", 2.3);
/// let svg = plot::page("A run of mine").chart(chart).to_svg();
/// assert!(svg.contains("mean cross-entropy, nats") && svg.contains("validation"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    pub(super) heading: String,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) has_log_x: bool,
    pub(super) has_log_y: bool,
    /// What is shown, if that is not all there is.
    pub(super) x_range: Option<Range<f64>>,
    pub(super) y_range: Option<Range<f64>>,
    pub(super) series: Vec<Series>,
    pub(super) bounds: Vec<(String, f64)>,
    pub(super) lanes: Vec<Lane>,
    /// Where a thin line crosses the curves.
    pub(super) begins: Vec<f64>,
    pub(super) notes: Vec<String>,
    /// The height of the frame, in pixels.
    pub(super) height: f64,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    pub(super) kind: Kind,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Line,
    /// Filled down to 0.
    Area,
    /// One of many that have no names.
    Quiet,
}

impl Chart {
    /// One without curves, under this heading.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let svg = plot::page("").chart(Chart::new("Loss")).to_svg();
    /// assert!(svg.contains("Loss") && svg.contains("nothing was recorded"));
    /// ```
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            x: String::new(),
            y: String::new(),
            has_log_x: false,
            has_log_y: false,
            x_range: None,
            y_range: None,
            series: Vec::new(),
            bounds: Vec::new(),
            lanes: Vec::new(),
            begins: Vec::new(),
            notes: Vec::new(),
            height: 200.0,
        }
    }

    /// What is told from left to right, and its unit.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").x("time, s").line("", [(0.0, 1.0), (0.5, 0.8)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("time, s"));
    /// ```
    #[must_use]
    pub fn x(self, what: impl Into<String>) -> Self {
        Self {
            x: what.into(),
            ..self
        }
    }

    /// What is told upwards, and its unit.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").y("mean squared error, K²").line("", [(0.0, 1.0)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("mean squared error, K²"));
    /// ```
    #[must_use]
    pub fn y(self, what: impl Into<String>) -> Self {
        Self {
            y: what.into(),
            ..self
        }
    }

    /// Equal ratios from left to right, not equal steps: what happens early has more room.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let points = (1..=1000).map(|step| (f64::from(step), 1.0));
    /// let chart = Chart::new("Loss").log_x().line("", points);
    /// assert!(plot::page("").chart(chart).to_svg().contains("\n100\n"));
    /// ```
    #[must_use]
    pub fn log_x(self) -> Self {
        Self {
            has_log_x: true,
            ..self
        }
    }

    /// Equal ratios upwards. What is 0 or below it lies at the lower edge.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Norm").log_y().line("", [(1.0, 1e-6), (2.0, 1.0)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("10⁻⁶"));
    /// ```
    #[must_use]
    pub fn log_y(self) -> Self {
        Self {
            has_log_y: true,
            ..self
        }
    }

    /// Shows these places, from left to right, whatever the curves reach to: charts beside each other can have the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").x_range(0.0..100.0).line("", [(1.0, 0.5), (2.0, 0.25)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("\n100\n"));
    /// ```
    #[must_use]
    pub fn x_range(self, range: Range<f64>) -> Self {
        Self {
            x_range: Some(range),
            ..self
        }
    }

    /// Shows these values, whatever the curves come to: a note says how many are off the scale.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").y_range(0.0..1.0).line("", [(1.0, 0.5), (2.0, 40.0)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("1 of 2 values is off the scale: 40.00"));
    /// ```
    #[must_use]
    pub fn y_range(self, range: Range<f64>) -> Self {
        Self {
            y_range: Some(range),
            ..self
        }
    }

    /// Adds a curve through points in the order of x; without a name it has none beside it.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Two").line("one", [(0.0, 1.0), (1.0, 2.0)]).line("other", [(0.0, 2.0)]);
    /// let svg = plot::page("").chart(chart).to_svg();
    /// assert!(svg.contains("\none\n") && svg.contains("\nother\n"));
    /// ```
    #[must_use]
    pub fn line(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.series(name.into(), points, Kind::Line)
    }

    /// Adds what lies between a curve and 0, behind the lines.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Sunspots").area("truth", [(1957.0, 150.0), (1958.0, 180.0)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("<polygon"));
    /// ```
    #[must_use]
    pub fn area(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.series(name.into(), points, Kind::Area)
    }

    /// Adds a dashed line at a value, with its name and the value beside it.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Norm").line("", [(0.0, 1.0), (1.0, 3.0)]).bound("threshold", 2.0);
    /// assert!(plot::page("").chart(chart).to_svg().contains("threshold 2"));
    /// ```
    #[must_use]
    pub fn bound(mut self, name: impl Into<String>, value: f64) -> Self {
        self.bounds.push((name.into(), value));
        self
    }

    /// Adds a strip below the curves that shows from where to where something lasted.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").line("", [(0.0, 1.0), (9.0, 2.0)]).spans("plateau", [(3.0, 7.0)]);
    /// assert!(plot::page("").chart(chart).to_svg().contains("\nplateau\n"));
    /// ```
    #[must_use]
    pub fn spans(
        mut self,
        name: impl Into<String>,
        spans: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let spans = spans.into_iter();
        self.lanes.push(Lane {
            name: name.into(),
            ink: ink::EVENT,
            spans: spans.map(|(first, last)| Span { first, last }).collect(),
            of_events: true,
        });
        self
    }

    /// Adds a sentence below the chart.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::plot::{self, Chart};
    /// let chart = Chart::new("Loss").line("", [(0.0, 1.0)]).note("of the first epoch");
    /// assert!(plot::page("").chart(chart).to_svg().contains("of the first epoch"));
    /// ```
    #[must_use]
    pub fn note(mut self, sentence: impl Into<String>) -> Self {
        self.notes.push(sentence.into());
        self
    }

    pub(super) fn series(
        mut self,
        name: String,
        points: impl IntoIterator<Item = Point>,
        kind: Kind,
    ) -> Self {
        let points = points.into_iter().collect();
        self.series.push(Series { name, points, kind });
        self
    }

    pub(super) fn lane(mut self, name: String, ink: RGBColor, places: &[f64]) -> Self {
        if !places.is_empty() {
            let places = places.iter().copied();
            self.lanes.push(Lane::of_places(name, ink, places));
        }
        self
    }

    pub(super) fn height(self, height: f64) -> Self {
        Self { height, ..self }
    }
}
