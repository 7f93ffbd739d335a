//! The parameters of a module as a set.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use steadygrad::{Covers, Reading, Result, TensorSet, Visitor};

use crate::path::Path;
use crate::places::{Place, Places, on_device, place};

/// The float parameters of a module, read-only, with the names and in the order of
/// [`BurnGrads`](crate::BurnGrads).
///
/// They are shared, not copied (except those that do not lie in row-major order). While the
/// `BurnParams` lives an optimizer would have to copy what it updates, so let it end with the step. It
/// is a snapshot: it does not follow later updates.
///
/// # Examples
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use steadygrad::Measurement;
/// use steadygrad_burn::BurnParams;
///
/// let model = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
/// let seen = Measurement::of(&BurnParams::new(&model))?;
/// assert_eq!((seen.name(0), seen.tensor(0).len()), ("weight", 6));
/// assert_eq!((seen.name(1), seen.tensor(1).len()), ("bias", 2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct BurnParams {
    places: Places,
    /// For each tensor a function that knows its rank.
    on_device: Vec<fn(Place) -> Place>,
}

impl BurnParams {
    /// The parameters as they are now.
    #[must_use]
    pub fn new<M: Module>(model: &M) -> Self {
        Self::filtered(model, |_: &str| true)
    }

    /// Those of them whose names `covers` picks: a function, or how the names begin.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use steadygrad::Measurement;
    /// use steadygrad_burn::BurnParams;
    ///
    /// let model = LinearConfig::new(3, 2).init(&Device::flex());
    /// let biases = BurnParams::filtered(&model, |name: &str| name.ends_with("bias"));
    /// assert_eq!(Measurement::of(&biases)?.total().len(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn filtered<M: Module>(model: &M, covers: impl Into<Covers>) -> Self {
        let mut visitor = Collect {
            covers: covers.into(),
            path: Path::default(),
            places: Places::default(),
            on_device: vec![],
        };
        model.visit(&mut visitor);
        Self {
            places: visitor.places,
            on_device: visitor.on_device,
        }
    }

    /// By way of burn's own operations even for tensors of the flex back end: what any other back end
    /// does. For tests and comparisons.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use steadygrad::Measurement;
    /// use steadygrad_burn::BurnParams;
    ///
    /// let model = LinearConfig::new(3, 2).init(&Device::flex());
    /// let params = BurnParams::new(&model).on_device();
    /// let expected = Measurement::of(&BurnParams::new(&model))?.total().max_abs();
    /// assert_eq!(Measurement::of(&params)?.total().max_abs(), expected);
    /// assert_eq!(params.transfers(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on_device(mut self) -> Self {
        let mut ways = self.on_device.iter();
        self.places = self.places.map(|place| match ways.next() {
            Some(on_device) => on_device(place),
            None => place,
        });
        self
    }

    /// How many times numbers went from a device to the host so far.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.places.transfers()
    }
}

struct Collect {
    covers: Covers,
    path: Path,
    places: Places,
    on_device: Vec<fn(Place) -> Place>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name(param.id);
        if let Some(name) = name.filter(|name| self.covers.covers(name)) {
            self.places.push(name, place(Some(param.val())));
            self.on_device.push(on_device::<D>);
        }
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}

impl TensorSet for BurnParams {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.places.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.places.measure(reading)
    }
}
