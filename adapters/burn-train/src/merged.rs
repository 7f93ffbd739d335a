//! The gradients of several devices, summed.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, MultiGradientsParams};
use burn::tensor::Tensor;

/// Gradients that were each on several devices: summed where burn's optimizer would sum them.
pub(crate) struct Merged {
    grads: GradientsParams,
    multi: MultiGradientsParams,
    /// For each parameter a function that knows its rank and moves its gradient back.
    ways: Vec<Way>,
}

struct Way {
    id: ParamId,
    /// Among the devices.
    home: usize,
    back: fn(&mut GradientsParams, &mut GradientsParams, ParamId),
}

impl Merged {
    pub(crate) fn new<M: Module>(multi: MultiGradientsParams, model: &M) -> Self {
        let mut sum = Sum(Self {
            grads: GradientsParams::new(),
            multi,
            ways: vec![],
        });
        model.visit(&mut sum);
        sum.0
    }

    pub(crate) fn grads(&mut self) -> &mut GradientsParams {
        &mut self.grads
    }

    /// One gradient for each parameter, under the device on which its parameter is updated.
    pub(crate) fn into_multi(self) -> MultiGradientsParams {
        let Self {
            mut grads,
            mut multi,
            ways,
        } = self;
        for Way { id, home, back } in ways {
            back(&mut grads, &mut multi.grads[home].0, id);
        }
        multi
    }
}

struct Sum(Merged);

impl ModuleVisitor for Sum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Merged { grads, multi, ways } = &mut self.0;
        // A parameter in two places has its gradient taken at the first.
        let Some((sum, device)) = multi.remove::<D>(param.id) else {
            return;
        };
        grads.register(param.id, sum);
        let home = multi.grads.iter().position(|(_, other)| *other == device);
        ways.push(Way {
            id: param.id,
            home: home.unwrap_or_default(),
            back: |from, to, id| {
                if let Some(grad) = from.remove::<D>(id) {
                    to.register(id, grad);
                }
            },
        });
    }
}
