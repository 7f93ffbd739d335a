//! The kernels as operations of burn's.

use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim};

use self::burn::backend::fusion::custom::TensorSpec;
use self::burn::backend::tensor::FloatTensor;
use self::burn::backend::{Backend, backend_extension};
use self::burn::tensor::{DType, Shape};
use crate::kernels::{self, CHUNK, PARTS, UNITS};

/// burn as the macro below expects it: what it writes names fusion's types, whether burn's feature of that name is on
/// or not.
mod burn {
    pub(super) use ::burn::tensor;
    pub(super) mod backend {
        pub(in super::super) use ::burn::backend::*;
        pub(in super::super) use burn_fusion as fusion;
    }
}

/// Operations that no composition of burn's own comes to.
#[backend_extension(Cube, Fusion)]
pub(crate) trait Operations: Backend {
    /// The sums of squares of a tensor, in slots from `start` on, among those of other tensors.
    #[fusion(dtype = sums, shape = sums)]
    fn squares(sums: FloatTensor<Self>, x: FloatTensor<Self>, start: usize) -> FloatTensor<Self>;

    /// Norm and factor, one number each.
    #[fusion(meta = |_, _| (number(), number()))]
    fn norm_and_factor(sums: FloatTensor<Self>, max: f32)
    -> (FloatTensor<Self>, FloatTensor<Self>);

    /// A tensor times the factor, in place where nobody else holds it.
    #[fusion(dtype = x, shape = x)]
    fn scale(
        x: FloatTensor<Self>,
        norm: FloatTensor<Self>,
        factor: FloatTensor<Self>,
        max: f32,
    ) -> FloatTensor<Self>;
}

fn number() -> TensorSpec {
    TensorSpec::new(Shape::new([1]), DType::F32)
}

/// How many slots a tensor has.
pub(crate) fn slots(len: usize) -> usize {
    len.div_ceil(CHUNK)
}

/// How many numbers so many slots are.
pub(crate) fn sums(slots: usize) -> usize {
    slots * PARTS
}

fn elem(dtype: DType) -> ElemType {
    ElemType::Float(match dtype {
        DType::F16 => FloatKind::F16,
        DType::BF16 => FloatKind::BF16,
        _ => FloatKind::F32,
    })
}

fn like(x: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_dtype(x.client.clone(), x.device.clone(), shape, dtype)
}

/// A tensor that may be written to.
fn own(x: CubeTensor) -> CubeTensor {
    if x.can_mut() && x.is_nonoverlapping() {
        x
    } else {
        x.copy()
    }
}

impl Operations for CubeBackend {
    fn squares(sums: CubeTensor, x: CubeTensor, start: usize) -> CubeTensor {
        let sums = own(sums);
        let slots = slots(x.meta.num_elements());
        let dim = CubeDim::new_1d(UNITS as u32);
        kernels::squares::launch(
            &x.client,
            calculate_cube_count_elemwise(&x.client, slots * UNITS, dim),
            dim,
            x.required_address_type(),
            x.clone().into_linear_view(),
            sums.clone().into_tensor_arg(),
            start as u32,
            slots as u32,
            elem(x.dtype),
        );
        sums
    }

    fn norm_and_factor(sums: CubeTensor, max: f32) -> (CubeTensor, CubeTensor) {
        let number = || like(&sums, Shape::new([1]), DType::F32);
        let (norm, factor) = (number(), number());
        kernels::norm_and_factor::launch(
            &sums.client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(UNITS as u32),
            sums.clone().into_tensor_arg(),
            norm.clone().into_tensor_arg(),
            factor.clone().into_tensor_arg(),
            (sums.meta.num_elements() / PARTS) as u32,
            max,
        );
        (norm, factor)
    }

    fn scale(x: CubeTensor, norm: CubeTensor, factor: CubeTensor, max: f32) -> CubeTensor {
        let client = x.client.clone();
        let in_place = x.can_mut() && x.is_nonoverlapping();
        let len = x.meta.num_elements();
        let dim = CubeDim::new(&client, len);
        let count = calculate_cube_count_elemwise(&client, len, dim);
        let (address, elem) = (x.required_address_type(), elem(x.dtype));
        let (out, view) = if in_place {
            let alias = x.as_linear_view_alias(0);
            (x.clone(), alias)
        } else {
            let out = like(&x, x.meta.shape().clone(), x.dtype);
            let view = out.clone().into_linear_view();
            (out, view)
        };
        kernels::scale::launch(
            &client,
            count,
            dim,
            address,
            x.into_linear_view(),
            view,
            norm.into_tensor_arg(),
            factor.into_tensor_arg(),
            max,
            in_place,
            elem,
        );
        out
    }
}
