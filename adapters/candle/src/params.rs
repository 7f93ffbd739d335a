//! Variables to be watched.

use std::collections::HashSet;

use steadygrad::{Reading, Result, TensorSet, Visitor};

use crate::Vars;
use crate::places::{Places, on_device, place};

/// Some variables, as a set that steadygrad measures: for rules and detectors that look at weights.
///
/// The names and their order are those of [`CandleGrads`](crate::CandleGrads) for the same variables.
/// It follows the variables as they change, so it can be built once for a whole training.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
/// use steadygrad::Measurement;
/// use steadygrad_candle::CandleParams;
///
/// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
/// let params = CandleParams::new(&[("w", w.clone())]);
/// assert_eq!(Measurement::of(&params)?.total().l2(), 5.0);
///
/// w.set(&w.affine(2.0, 0.0)?)?;
/// assert_eq!(Measurement::of(&params)?.total().l2(), 10.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CandleParams {
    places: Places,
}

impl CandleParams {
    /// The values of `vars`; one that is listed under two names counts once.
    #[must_use]
    pub fn new(vars: &(impl Vars + ?Sized)) -> Self {
        let mut seen = HashSet::new();
        let mut places = Places::default();
        vars.each(&mut |name, var| {
            if seen.insert(var.id()) {
                // A variable owns its storage, and that is contiguous.
                places.push(name, place(Ok(Some(var.as_detached_tensor()))));
            }
        });
        Self { places }
    }

    /// Lets candle's own operations do all the work, as on a device, also for tensors of the host.
    #[must_use]
    pub fn on_device(mut self) -> Self {
        self.places = self.places.map(on_device);
        self
    }

    /// How often values were brought from a device to the host since the set was built.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.places.transfers()
    }
}

impl TensorSet for CandleParams {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.places.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.places.measure(reading)
    }
}
