//! Which detectors are compared.

use steadygrad::Result;
use steadygrad::detect::{
    Detector, NonFinite, NormThreshold, PersistentNorm, Plateau, Severity, Spike, Watchdog,
    WeightGrowth,
};

/// A detector under the name the table has for it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Result<Box<dyn Detector>>,
    /// Alarms that are less severe do not count.
    pub(crate) least: Severity,
}

macro_rules! entries {
    ($($name:literal, $least:ident, $detector:expr;)*) => {
        [$(Entry {
            name: $name,
            make: || Ok(Box::new($detector)),
            least: Severity::$least,
        }),*]
    };
}

pub(crate) fn all() -> impl IntoIterator<Item = Entry> {
    entries! {
        "NonFinite", Note, NonFinite;
        "NormThreshold(10)", Note, NormThreshold::new(10.0)?;
        "NormThreshold(100)", Note, NormThreshold::new(100.0)?;
        "PersistentNorm", Note, PersistentNorm::default();
        "WeightGrowth(2)", Note, WeightGrowth::new(2.0)?;
        "WeightGrowth(10)", Note, WeightGrowth::new(10.0)?;
        "Plateau(0, 50)", Note, Plateau::new(0.0, 50)?;
        "Spike of the loss", Note, Spike::of_loss();
        "Spike of the loss, shifts", Grave, Spike::of_loss();
        "Spike of the norm", Note, Spike::of_norm();
        "Spike of the norm, shifts", Grave, Spike::of_norm();
        "Watchdog", Note, Watchdog::default();
        "Watchdog, grave", Grave, Watchdog::default();
    }
}
