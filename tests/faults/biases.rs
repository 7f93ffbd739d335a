//! Kind 8: which tensors a penalty leaves out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use steadygrad::Covers;
use steadygrad::penalty::{ElasticNet, L1, L2, Penalty, all_but_biases};

/// What a penalty on one flat tensor of this name comes to: 2, or 0 if it is left out.
fn value(name: &str) -> f64 {
    let (weights, mut grads) = ([(name, vec![2.0])], [(name, vec![0.0])]);
    let l2 = L2::new(1.0).unwrap();
    let value = l2.value(&weights).unwrap();
    assert_eq!(l2.apply(&weights, &mut grads), Ok(value), "{name}");
    assert_eq!(grads[0].1[0], value, "{name}");
    assert_eq!(all_but_biases(name, None), value > 0.0, "{name}");
    value
}

#[test]
fn names_of_biases_gains_and_shifts_are_left_out() {
    for name in [
        "b",
        "b1",
        "b2",
        "bh",
        "b_ih",
        "b_2",
        "layers.0.b1",
        "norm_b",
        "attn_ob",
        "Bias",
        "bias",
        "bias_hh_l0",
        "layers.3.bias",
        "gate_bias",
        "inputBias",
        "biases.0",
        "b.1",
        "beta",
        "gamma",
        "bn.gamma",
        "gain",
        "ln_b",
        "ln_g",
        "ln_1.weight",
        "h.0.ln_f.weight",
        "encoder.norm.weight",
        "norm1.weight",
        "norms.0.weight",
        "layer_norm.scale",
        "LayerNorm.weight",
        "LayerNorm_0.scale",
        "post_attention_layernorm.weight",
        "BatchNorm2d.weight",
        "bn1.weight",
    ] {
        assert_eq!(value(name), 0.0, "{name}");
    }
}

#[test]
fn names_of_weights_are_not() {
    for name in [
        "",
        "0",
        "layers.0",
        "w",
        "w1",
        "w_b",
        "w_rec",
        "layers.0.w_rec",
        "biased_attention.weight",
        "bias_net.weight",
        "block.weight",
        "blocks.1.weight",
        "linear.weight",
        "normal.weight",
        "embedding",
        "emb",
        "B",
        "wb",
        "norm.attention.weight",
        "betas_proj.weight",
        "shifted.weight",
        "Größe.w",
        "é",
        "_",
        "..",
    ] {
        assert_eq!(value(name), 2.0, "{name}");
    }
}

#[test]
fn the_predicate_can_be_replaced_and_can_capture() {
    let weights = [("w", vec![2.0]), ("b", vec![4.0]), ("out.w", vec![6.0])];
    let chosen = ["b".to_string(), "out.w".to_string()];
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let covers = Covers::from(move |name: &str| {
        counts.fetch_add(1, Ordering::Relaxed);
        chosen.iter().any(|other| other == name)
    });
    let l1 = L1::new(1.0).unwrap().on(covers.clone());
    assert_eq!(l1.value(&weights), Ok(10.0));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let net = ElasticNet::new(1.0, 0.0).unwrap();
    assert_eq!(net.clone().on("out.").value(&weights), Ok(6.0));
    assert_eq!(net.clone().on("").value(&weights), Ok(12.0));
    assert_eq!(net.on(|_: &str| false).value(&weights), Ok(0.0));
    // Equal if it is the same function, and it can be sent to where the training is.
    assert_eq!(l1, L1::new(1.0).unwrap().on(covers.clone()));
    assert_ne!(l1, L1::new(1.0).unwrap());
    assert_ne!(l1, L1::new(1.0).unwrap().on("b"));
    let found = std::thread::spawn(move || l1.value(&weights)).join();
    assert_eq!(found.unwrap(), Ok(10.0));
    assert_eq!(format!("{covers:?}"), "Covers(..)");
}

#[cfg(feature = "ndarray")]
mod arrays {
    use super::*;
    use ndarray::{Array1, Array2, Array3, ArrayD, IxDyn, arr0};
    use steadygrad::recurrent::{Lstm, Rnn};

    #[test]
    fn the_number_of_axes_says_more_than_the_name() {
        let l2 = L2::new(1.0).unwrap();
        let of = |name: &str, dims: &[usize]| {
            let weights = [(name, ArrayD::<f64>::ones(IxDyn(dims)))];
            let mut grads = [(name, ArrayD::<f64>::zeros(IxDyn(dims)))];
            let value = l2.value(&weights).unwrap();
            assert_eq!(l2.apply(&weights, &mut grads), Ok(value), "{name}");
            value
        };
        assert_eq!(of("w", &[6]), 0.0);
        assert_eq!(of("scale", &[]), 0.0);
        assert_eq!(of("b", &[2, 3]), 3.0);
        assert_eq!(of("LayerNorm.weight", &[1, 6]), 3.0);
        assert_eq!(of("w", &[1, 2, 3]), 3.0);
        // A choice of one's own is by name alone.
        let gains = L2::new(1.0).unwrap().on("gain");
        assert_eq!(gains.value(&[("gain", Array1::<f64>::ones(2))]), Ok(1.0));
    }

    #[test]
    fn an_unnamed_list_goes_by_axes() {
        let list = |x: f64| -> Vec<ArrayD<f64>> {
            vec![
                Array2::from_elem((2, 2), x).into_dyn(),
                Array1::from_elem(2, x).into_dyn(),
                arr0(x).into_dyn(),
                Array3::from_elem((1, 1, 2), x).into_dyn(),
            ]
        };
        let mut grads = list(0.0);
        let l1 = L1::new(1.0).unwrap();
        assert_eq!(l1.apply(&list(3.0), &mut grads), Ok(12.0 + 6.0));
        let touched: Vec<_> = grads.iter().map(|grad| grad.sum()).collect();
        assert_eq!(touched, [4.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn cells_are_penalised_but_for_their_biases() {
        let l1 = L1::new(1.0).unwrap();
        let (mut rnn, lstm) = (
            Rnn::<f64>::builder(2, 3).build(&mut || 0.75).unwrap(),
            Lstm::<f64>::builder(2, 3).build(&mut || 0.75).unwrap(),
        );
        rnn.bias.fill(5.0);
        let sum = |w: &Array2<f64>| w.iter().map(|x| x.abs()).sum::<f64>();
        for (found, expected) in [
            (l1.value(&rnn), sum(&rnn.w_in) + sum(&rnn.w_rec)),
            (l1.value(&lstm), sum(&lstm.w_in) + sum(&lstm.w_rec)),
        ] {
            assert!((found.unwrap() - expected).abs() < 1e-12);
        }
    }
}
