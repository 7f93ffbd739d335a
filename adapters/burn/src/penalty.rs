//! Penalties on weights as scalars for burn's autograd.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, FloatDType, Tensor};
use steadygrad::penalty::{ElasticNet, all_but_biases};

use crate::path::Path;

/// `λ·Σ|w|` over all weights but biases (parameters of at most one axis), as a scalar to be added to the loss.
///
/// ```text
/// λ·Σ|w|        gradient: λ·sign(w), 0 at 0
/// ```
///
/// # Examples
///
/// ```
/// use burn::{module::Param, nn::LinearConfig, tensor::{Device, Tensor}};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(3, 1).init(&device);
/// model.weight = Param::from_tensor(Tensor::from_floats([[3.0], [-4.0], [0.0]], &device));
///
/// let penalty = steadygrad_burn::l1(&model, 0.5)?;
/// assert_eq!(penalty.clone().into_scalar::<f32>(), 3.5);
/// let grad = model.weight.val().grad(&penalty.backward()).unwrap();
/// assert_eq!(grad.into_data().try_to_vec::<f32>().unwrap(), [0.5, -0.5, 0.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn l1<M: Module>(model: &M, lambda: f64) -> steadygrad::Result<Tensor<1>> {
    elastic_net(model, lambda, 0.0)
}

/// `(λ/2)·Σw²` over all weights but biases (parameters of at most one axis), as a scalar to be added to the loss.
///
/// ```text
/// (λ/2)·Σw²     gradient: λ·w
/// ```
///
/// # Examples
///
/// ```
/// use burn::{module::Param, nn::LinearConfig, tensor::{Device, Tensor}};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(2, 1).init(&device);
/// model.weight = Param::from_tensor(Tensor::from_floats([[3.0], [4.0]], &device));
///
/// let x = Tensor::<2>::from_floats([[1.0, 1.0]], &device);
/// let loss = model.forward(x).sum() + steadygrad_burn::l2(&model, 0.1)?;
/// let grad = model.weight.val().grad(&loss.backward()).unwrap();
/// assert_eq!(grad.into_data().try_to_vec::<f32>().unwrap(), [1.3, 1.4]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn l2<M: Module>(model: &M, lambda: f64) -> steadygrad::Result<Tensor<1>> {
    elastic_net(model, 0.0, lambda)
}

/// `λ₁·Σ|w| + (λ₂/2)·Σw²` over all weights but biases (parameters of at most one axis), as a scalar to be added to the loss.
///
/// # Examples
///
/// ```
/// use burn::{module::Param, nn::LinearConfig, tensor::{Device, Tensor}};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(2, 1).init(&device);
/// model.weight = Param::from_tensor(Tensor::from_floats([[3.0], [-4.0]], &device));
/// let penalty = steadygrad_burn::elastic_net(&model, 0.5, 0.1)?;
/// assert_eq!(penalty.into_scalar::<f32>(), 3.5 + 1.25);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn elastic_net<M: Module>(
    model: &M,
    lambda_1: f64,
    lambda_2: f64,
) -> steadygrad::Result<Tensor<1>> {
    sum(model, lambda_1, lambda_2, |name, dims| {
        all_but_biases(name, Some(dims))
    })
}

/// [`elastic_net`] over the parameters whose names `covers` picks.
///
/// Only parameters that require a gradient count (no running statistic, nothing frozen), each once.
/// The scalar is `f32`, or `f64` if a parameter is; cast it to add it to a loss of another type.
///
/// Sums are taken in that type along rows of at most 128 elements. Against the core's value in `f64`
/// the relative error of `f32` is within 1e-6 up to 10⁶ elements and 1e-5 up to 10⁹ (it cannot exceed
/// `(127 · ⌈log₁₂₈ n⌉ + t) · 2⁻²⁴` for `n` elements in the largest of `t` tensors). A weight whose
/// square leaves the range of the type, beyond 1.8e19 for `f32`, gives +∞.
///
/// # Examples
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
///
/// let model = LinearConfig::new(5, 4).init(&Device::flex().autodiff());
/// let bias = model.bias.as_ref().unwrap().val().abs().sum().into_scalar::<f32>();
/// let penalty = steadygrad_burn::elastic_net_where(&model, 1.0, 0.0, |name| name == "bias")?;
/// assert!((penalty.into_scalar::<f32>() - bias).abs() < 1e-6);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`steadygrad::Error::Setting`] if a strength is negative or not finite.
pub fn elastic_net_where<M: Module>(
    model: &M,
    lambda_1: f64,
    lambda_2: f64,
    covers: impl Fn(&str) -> bool,
) -> steadygrad::Result<Tensor<1>> {
    sum(model, lambda_1, lambda_2, |name, _| covers(name))
}

/// Numbers that are added up in one go.
const ROW: usize = 128;

/// Row sums in at most [`ROW`] pieces, none of which adds more than [`ROW`] numbers at a time.
fn fold(mut x: Tensor<1>) -> Tensor<1> {
    loop {
        let [len] = x.dims();
        if len <= ROW {
            return x;
        }
        let whole = len - len % ROW;
        let rows = x.clone().slice(0..whole).reshape([whole / ROW, ROW]);
        let sums = rows.sum_dim(1).reshape([whole / ROW]);
        x = if whole == len {
            sums
        } else {
            Tensor::cat(vec![sums, x.slice(whole..len).sum()], 0)
        };
    }
}

fn sum<M: Module>(
    model: &M,
    lambda_1: f64,
    lambda_2: f64,
    covers: impl Fn(&str, &[usize]) -> bool,
) -> steadygrad::Result<Tensor<1>> {
    // The core knows what strengths there are.
    ElasticNet::new(lambda_1, lambda_2)?;
    let mut visitor = Sum {
        path: Path::default(),
        lambda_1,
        lambda_2,
        covers,
        so_far: None,
    };
    model.visit(&mut visitor);
    Ok(visitor.so_far.unwrap_or_else(|| {
        let device = model.devices().into_iter().next().unwrap_or_default();
        Tensor::zeros([1], &device)
    }))
}

struct Sum<F> {
    path: Path,
    lambda_1: f64,
    lambda_2: f64,
    covers: F,
    so_far: Option<Tensor<1>>,
}

impl<F: Fn(&str, &[usize]) -> bool> ModuleVisitor for Sum<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(name) = self.path.name(param.id) else {
            return;
        };
        let w = param.val();
        let len = w.shape().num_elements();
        if !w.is_require_grad() || len == 0 || !(self.covers)(name, &w.dims()) {
            return;
        }
        let w = w.reshape([len]);
        let w = match w.dtype() {
            DType::F64 => w,
            _ => w.cast(FloatDType::F32),
        };
        let l1 = (self.lambda_1 > 0.0).then(|| fold(w.clone().abs()).sum() * self.lambda_1);
        let l2 = (self.lambda_2 > 0.0).then(|| fold(w.square()).sum() * (0.5 * self.lambda_2));
        for term in l1.into_iter().chain(l2) {
            self.so_far = Some(match self.so_far.take() {
                Some(sum) => {
                    let term = term.to_device(&sum.device());
                    if sum.dtype() == term.dtype() {
                        sum + term
                    } else {
                        sum.cast(FloatDType::F64) + term.cast(FloatDType::F64)
                    }
                }
                None => term,
            });
        }
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}
