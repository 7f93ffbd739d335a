//! The series: parsing, the split into train, validation and test months, windows, a random generator.

use std::ops::Range;

use ndarray::Array3;

/// The monthly mean sunspot numbers from January 1749 to June 2009.
const SUNSPOTS: &str = include_str!("sunspots_monthly.csv");
/// Months in a window: one solar cycle of eleven years.
pub(crate) const WINDOW: usize = 132;

/// A monthly series, in the units of its file.
pub(crate) struct Series {
    pub(crate) values: Vec<f64>,
    /// The year in which the first value was taken, if that is known.
    pub(crate) first_year: Option<f64>,
    pub(crate) train: Range<usize>,
    validation: Range<usize>,
    /// The months that are predicted in the end, and what they are called.
    pub(crate) judged: Range<usize>,
    pub(crate) judged_as: &'static str,
    mean: f64,
    deviation: f64,
}

impl Series {
    /// The embedded series.
    pub(crate) fn sunspots() -> Result<Self, String> {
        Self::new(&parse(SUNSPOTS)?, Some(1749.0))
    }

    /// Splits 70 : 10 : 20 in the order of time, and learns the scale of the training months.
    pub(crate) fn new(values: &[f64], first_year: Option<f64>) -> Result<Self, String> {
        let (train, test) = (values.len() * 7 / 10, values.len() * 8 / 10);
        let needed = 4 * WINDOW;
        if values.len() < needed {
            return Err(format!(
                "expected at least {needed} values, found {}",
                values.len()
            ));
        }
        let mean = values[..train].iter().sum::<f64>() / train as f64;
        let squares = values[..train].iter().map(|x| (x - mean).powi(2));
        let deviation = (squares.sum::<f64>() / train as f64).sqrt();
        if deviation.is_normal() {
            Ok(Self {
                values: values.to_vec(),
                first_year,
                train: 0..train,
                validation: train..test,
                judged: test..values.len(),
                judged_as: "test",
                mean,
                deviation,
            })
        } else {
            Err(format!(
                "expected a series that varies over its first 70 %, by 1e-150 to 1e150; \
                 found a standard deviation of {deviation:e}"
            ))
        }
    }

    /// The same series, judged by its validation months.
    pub(crate) fn validated(self) -> Self {
        Self {
            judged: self.validation.clone(),
            judged_as: "validation",
            ..self
        }
    }

    /// A value as networks see it: mean 0 and variance 1 over the training months.
    pub(crate) fn scaled(&self, month: usize) -> f64 {
        (self.values[month] - self.mean) / self.deviation
    }

    /// What a network says, in the units of the file.
    pub(crate) fn unscale(&self, output: f64) -> f64 {
        self.mean + self.deviation * output
    }

    /// A batch of windows of the training months: inputs `[time, batch, 1]`, and for each the value of
    /// the month after.
    pub(crate) fn batch(&self, size: usize, random: &mut Random) -> (Array3<f64>, Array3<f64>) {
        // The last target is the month after the window, and it must be a training month too.
        let starts = self.train.len() - WINDOW;
        let starts: Vec<usize> = (0..size)
            .map(|_| (random.uniform() * starts as f64) as usize)
            .collect();
        let from = |after| {
            Array3::from_shape_fn((WINDOW, size, 1), |(t, b, _)| {
                self.scaled(starts[b] + t + after)
            })
        };
        (from(0), from(1))
    }

    /// The loss of saying that next month is like this one, over the training months: what a network has
    /// to beat to be worth anything.
    pub(crate) fn persistence_loss(&self) -> f64 {
        let change = |month| (self.scaled(month) - self.scaled(month - 1)).powi(2);
        let months = self.train.start + 1..self.train.end;
        months.clone().map(change).sum::<f64>() / months.len() as f64
    }

    /// The root mean squared error of predictions for these months, in the units of the file.
    pub(crate) fn rmse(&self, months: Range<usize>, predictions: &[f64]) -> f64 {
        let count = months.len() as f64;
        let errors = self.values[months].iter().zip(predictions);
        (errors.map(|(y, p)| (p - y).powi(2)).sum::<f64>() / count).sqrt()
    }
}

/// Reads the last column of a CSV text. Comments (#), one header line, and empty lines above and below the values
/// are passed over; an empty line between two values is a value that is missing.
pub(crate) fn parse(text: &str) -> Result<Vec<f64>, String> {
    let mut values = Vec::new();
    let (mut columns, mut header_at, mut gap_at) = (None, None, None);
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() {
            gap_at = gap_at.or((!values.is_empty()).then_some(number));
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        if let Some(gap) = gap_at {
            return Err(format!(
                "line {gap}: expected a value, found an empty line: the values above and below it would count as \
                 neighbours"
            ));
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        // Of "1749,5;58,0" the last column would be 0.
        let foreign = [(';', "semicolons"), ('\t', "tabs")]
            .into_iter()
            .find(|(mark, _)| fields.iter().any(|field| field.contains(*mark)));
        if let Some((_, marks)) = foreign {
            return Err(format!(
                "line {number}: expected columns separated by commas, and decimal points; found {marks}"
            ));
        }
        let expected = *columns.get_or_insert(fields.len());
        if fields.len() != expected {
            let found = fields.len();
            return Err(format!(
                "line {number}: found {found} columns where the lines above have {expected}"
            ));
        }
        let field = fields[expected - 1].trim_matches('"');
        let is_header = values.is_empty() && header_at.is_none();
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => values.push(value),
            Err(_) if is_header => header_at = Some(number),
            _ => {
                let hint = if field.contains(' ') {
                    "; columns are separated by commas"
                } else {
                    ""
                };
                return Err(format!(
                    "line {number}: expected a finite number, found \"{field}\"{hint}"
                ));
            }
        }
    }
    Ok(values)
}

/// A small generator of random numbers: `SplitMix64` (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number, uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
