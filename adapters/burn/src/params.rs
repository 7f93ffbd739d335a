//! The parameters of a module as a set.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use steadygrad::{Reading, Result, TensorSet, Visitor};

use crate::path::Path;
use crate::tensors::Tensors;

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
    tensors: Tensors,
}

impl BurnParams {
    /// The parameters as they are now.
    #[must_use]
    pub fn new<M: Module>(model: &M) -> Self {
        let mut visitor = Collect {
            path: Path::default(),
            tensors: Tensors::default(),
        };
        model.visit(&mut visitor);
        Self {
            tensors: visitor.tensors,
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
        self.tensors.on_device();
        self
    }

    /// How many times numbers went from a device to the host so far.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.tensors.transfers()
    }
}

struct Collect {
    path: Path,
    tensors: Tensors,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(name) = self.path.name(param.id) {
            self.tensors.push(name, Some(param.val()));
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
        self.tensors.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.tensors.measure(reading)
    }
}
