//! The gradients of a module as a set.

use std::mem;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use steadygrad::device;
use steadygrad::{Covers, Reading, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

use crate::path::Path;
use crate::places::{Place, Places, into_tensor, on_device, place};

/// The gradients in a [`GradientsParams`], under the names of the module's parameters.
///
/// A name is the path to the parameter: `encoder.layer1.weight`. The order is that of the module. A
/// parameter that stands in several places is there once, under its first name; one without gradient
/// (frozen, of another parameter group, a running statistic) keeps its place and has no elements.
/// Gradients in `grads` that belong to no parameter of the module are left alone and counted in the report; if there
/// are some and no parameter has one, as with the gradients of another module, every step and every clip is an error.
///
/// The gradients are taken out of `grads` and put back under their ids when the `BurnGrads` is
/// dropped, also after an error. One that still belonged to an autodiff graph comes back as a plain
/// tensor, which is what optimizers take.
///
/// Tensors of the flex back end (`f32`, `f64`, `f16`, `bf16`) are read and edited in place by the
/// core's kernels, so that everything the core promises holds bit for bit. An edit never shows in a
/// clone: storage that someone else holds too is copied first. A tensor that does not lie in row-major
/// order is copied into it once.
///
/// On any other back end the numbers stay on the device. A measurement makes one transfer to the host
/// for all tensors together (for each device), an edit makes none. In a guarded step a clamp that bites is
/// followed by a second measurement, of what is left; a clip by value alone makes one transfer, of counts. Sums are
/// taken in `f64`, or in `f32` on a device without it; how near they are, and when a second transfer is needed, says
/// [`Remote`](steadygrad::device::Remote).
///
/// # Examples
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use steadygrad::{clip, Measurement};
/// use steadygrad_burn::BurnGrads;
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let x = Tensor::<2>::from_floats([[3e25, 4e25]], &device);
/// let mut grads = GradientsParams::from_grads(model.forward(x).sum().backward(), &model);
///
/// // The norm overflows an f32 when it is squared; the clipped gradient is right all the same.
/// let clipped = clip::global_norm(&mut BurnGrads::new(&mut grads, &model), 1.0)?;
/// assert_eq!(clipped.before(), f64::from(3e25_f32).hypot(f64::from(4e25_f32)));
///
/// let seen = Measurement::of(&BurnGrads::new(&mut grads, &model))?;
/// assert_eq!((seen.name(0), seen.name(1)), ("weight", "bias"));
/// assert!((seen.tensor(0).l2() - 1.0).abs() < 1e-7);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct BurnGrads<'g> {
    grads: &'g mut GradientsParams,
    places: Places,
    /// For each tensor the way back.
    ways: Vec<Way>,
}

/// The way back of a gradient: its id, and functions that know its rank.
#[derive(Clone, Copy, Debug)]
struct Way {
    id: ParamId,
    put: fn(&mut GradientsParams, ParamId, Place),
    on_device: fn(Place) -> Place,
}

impl Way {
    fn of_rank<const D: usize>(id: ParamId) -> Self {
        Self {
            id,
            put: |grads, id, place| {
                if let Some(tensor) = into_tensor::<D>(place) {
                    grads.register(id, tensor);
                }
            },
            on_device: on_device::<D>,
        }
    }
}

impl<'g> BurnGrads<'g> {
    /// Takes the gradients of `model`'s parameters out of `grads` until it is dropped.
    #[must_use]
    pub fn new<M: Module>(grads: &'g mut GradientsParams, model: &M) -> Self {
        Self::filtered(grads, model, |_: &str| true)
    }

    /// Those of them whose names `covers` picks: a function, or how the names begin. The others stay where they are.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, optim::GradientsParams, tensor::{Device, Tensor}};
    /// use steadygrad::Measurement;
    /// use steadygrad_burn::BurnGrads;
    ///
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(2, 1).init(&device);
    /// let loss = model.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &device)).sum();
    /// let mut grads = GradientsParams::from_grads(loss.backward(), &model);
    /// assert_eq!(Measurement::of(&BurnGrads::filtered(&mut grads, &model, "weight"))?.total().l2(), 5.0);
    /// assert_eq!(grads.len(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn filtered<M: Module>(
        grads: &'g mut GradientsParams,
        model: &M,
        covers: impl Into<Covers>,
    ) -> Self {
        let count = grads.len();
        let mut visitor = TakeOut {
            covers: covers.into(),
            others: 0,
            grads,
            path: Path::with_capacity(count),
            places: Places::with_capacity(count),
            ways: Vec::with_capacity(count),
        };
        model.visit(&mut visitor);
        let TakeOut {
            grads,
            mut places,
            ways,
            others,
            ..
        } = visitor;
        // Where nothing is found under the names that are covered, what is under the others does not excuse it.
        let found = grads.len() < count;
        places.unmatched(grads.len() - if found { others } else { 0 });
        Self {
            grads,
            places,
            ways,
        }
    }

    /// By way of burn's own operations even for tensors of the flex back end: what any other back end
    /// does. For tests and comparisons.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, optim::GradientsParams, tensor::{Device, Tensor}};
    /// use steadygrad::clip;
    /// use steadygrad_burn::BurnGrads;
    ///
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
    /// let loss = model.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &device)).sum();
    /// let mut grads = GradientsParams::from_grads(loss.backward(), &model);
    ///
    /// let mut set = BurnGrads::new(&mut grads, &model).on_device();
    /// assert_eq!(clip::global_norm(&mut set, 1.0)?.before(), 5.0);
    /// assert_eq!(set.transfers(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on_device(mut self) -> Self {
        let mut ways = self.ways.iter();
        let places = mem::take(&mut self.places);
        self.places = places.map(|place| match ways.next() {
            Some(way) => (way.on_device)(place),
            None => place,
        });
        self
    }

    /// Scales all gradients by `min(1, max/‖g‖₂)` without waiting for the device; for loops that may not stop for a guard.
    ///
    /// By burn's own operations everywhere, as [`steadygrad::device::global_norm`] says: what is not finite stays as it
    /// is, and shows in the norm. `None` if there is no gradient with elements.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, optim::GradientsParams, tensor::{Device, Tensor}};
    /// use steadygrad_burn::BurnGrads;
    ///
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
    /// let loss = model.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &device)).sum();
    /// let mut grads = GradientsParams::from_grads(loss.backward(), &model);
    /// let deferred = BurnGrads::new(&mut grads, &model).global_norm_deferred(1.0)?.unwrap();
    /// // Some steps later, to be logged:
    /// assert_eq!(deferred.norm.into_scalar::<f64>(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`steadygrad::device::global_norm`].
    pub fn global_norm_deferred(self, max: f64) -> Result<Option<Deferred>> {
        let mut set = self.on_device();
        let deferred = device::global_norm(&mut set.places, max)?;
        Ok(deferred
            .map(|deferred| Deferred::new(deferred.norm().tensor(), deferred.factor().tensor())))
    }

    /// How many times numbers went from a device to the host so far.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.places.transfers()
    }
}

/// What [`BurnGrads::global_norm_deferred`] came to, one number each, still on the device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deferred {
    /// The norm before.
    pub norm: Tensor<1>,
    /// What every element was multiplied by.
    pub factor: Tensor<1>,
}

impl Deferred {
    /// Of what kernels outside this package have found.
    #[must_use]
    pub fn new(norm: Tensor<1>, factor: Tensor<1>) -> Self {
        Self { norm, factor }
    }
}

impl Drop for BurnGrads<'_> {
    fn drop(&mut self) {
        for (place, way) in self.places.drain().zip(&self.ways) {
            (way.put)(self.grads, way.id, place);
        }
    }
}

struct TakeOut<'v> {
    covers: Covers,
    grads: &'v mut GradientsParams,
    /// How many gradients of the module were left, as not covered.
    others: usize,
    path: Path,
    places: Places,
    ways: Vec<Way>,
}

impl ModuleVisitor for TakeOut<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(name) = self.path.name(param.id) else {
            return;
        };
        if !self.covers.covers(name) {
            self.others += usize::from(self.grads.get::<D>(param.id).is_some());
            return;
        }
        let grad = self.grads.remove::<D>(param.id);
        self.places.push(name, place(grad));
        self.ways.push(Way::of_rank::<D>(param.id));
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}

impl TensorSet for BurnGrads<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.places.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.places.measure(reading)
    }
}

impl TensorSetMut for BurnGrads<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.places.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.places.carry_out(writing)
    }
}
