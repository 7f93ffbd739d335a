//! LSTMs with options and the peephole LSTM agree with `PyTorch` in float64: numbers printed by `tests/oracle/variants.py`.

use ndarray::{Ix1, Ix3};
use steadygrad::recurrent::{Layer, Lstm, LstmNorm, LstmState, StepCell, Unrolled, Upstream};

use crate::oracle::{Case, read};
use crate::peephole::example::Peephole;
use crate::variants::Variant;

fn cases() -> Vec<Case> {
    read(include_str!("../oracle/variants.txt"))
}

/// Outputs, final state and gradients; those of the parameters go to `more`.
fn agrees<C>(case: &Case, lstm: &Unrolled<C>, more: impl Fn(&C::Grads))
where
    C: StepCell<Elem = f64, State = LstmState<f64>>,
{
    let state = |h: &str, c: &str| LstmState {
        h: case.array(h),
        c: case.array(c),
    };
    let xs = case.array::<Ix3>("xs");
    let pass = lstm.forward(xs.view(), &state("h0", "c0")).unwrap();
    case.agrees("outputs", pass.outputs());
    case.agrees("h_n", &pass.final_state().h);
    case.agrees("c_n", &pass.final_state().c);
    let (d_outputs, d_final) = (case.array("d_outputs"), state("d_h_n", "d_c_n"));
    let upstream = Upstream::outputs(d_outputs.view()).final_state(&d_final);
    let back = lstm.backward(&pass, upstream).unwrap();
    case.agrees("d_xs", &back.d_inputs);
    case.agrees("d_h0", &back.d_state0.h);
    case.agrees("d_c0", &back.d_state0.c);
    more(&back.grads);
}

fn variant(case: &Case) -> Variant<f64> {
    let numbers = case.title.split(' ').skip(1);
    let [_, _, inputs, hidden, outputs] =
        numbers.map(|n| n.parse().unwrap()).collect::<Vec<usize>>()[..]
    else {
        panic!("{}", case.title)
    };
    // A bound that is never met is no option of the case.
    let mut builder = Lstm::builder(inputs, hidden).cell_clip(f64::INFINITY);
    for option in case.kind().split('+') {
        builder = match option {
            "coupled" => builder.coupled(),
            "cell_clip" => builder.cell_clip(0.6),
            "gate_clip" => builder.gate_clip(0.9),
            "layer_norm" => builder.layer_norm(),
            "projection" => builder.projection(outputs),
            other => panic!("no option {other}"),
        };
    }
    let mut lstm = builder.build(&mut || 0.5).unwrap();
    lstm.cell.w_in = case.array("w_in");
    lstm.cell.w_rec = case.array("w_rec");
    lstm.cell.bias = case.array("bias");
    let w_proj = lstm.cell.w_proj.take();
    lstm.cell.w_proj = w_proj.map(|_| case.array("w_proj"));
    let norm = lstm.cell.norm.take();
    lstm.cell.norm = norm.map(|_| LstmNorm {
        gain_in: case.array("gain_in"),
        gain_rec: case.array("gain_rec"),
        gain_c: case.array("gain_c"),
        shift_c: case.array("shift_c"),
    });
    lstm
}

#[test]
fn variants_are_their_formulas_in_pytorch() {
    let mut seen = vec![];
    for case in cases().iter().filter(|case| case.kind() != "peephole") {
        agrees(case, &variant(case), |grads| {
            case.agrees("d_w_in", &grads.w_in);
            case.agrees("d_w_rec", &grads.w_rec);
            case.agrees("d_bias", &grads.bias);
            if let Some(w_proj) = &grads.w_proj {
                case.agrees("d_w_proj", w_proj);
            }
            if let Some(norm) = &grads.norm {
                case.agrees("d_gain_in", &norm.gain_in);
                case.agrees("d_gain_rec", &norm.gain_rec);
                case.agrees("d_gain_c", &norm.gain_c);
                case.agrees("d_shift_c", &norm.shift_c);
            }
        });
        seen.push(case.kind().to_owned());
    }
    seen.dedup();
    assert_eq!(seen.len(), 9);
}

#[test]
fn the_peephole_cell_is_its_formula_in_pytorch() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.kind() == "peephole") {
        let cell = Peephole {
            w_in: case.array("w_in"),
            w_rec: case.array("w_rec"),
            bias: case.array("bias"),
            peep_i: case.array::<Ix1>("peep_i"),
            peep_f: case.array("peep_f"),
            peep_o: case.array("peep_o"),
        };
        agrees(case, &Unrolled::new(cell), |grads| {
            case.agrees("d_w_in", &grads.w_in);
            case.agrees("d_w_rec", &grads.w_rec);
            case.agrees("d_bias", &grads.bias);
            case.agrees("d_peep_i", &grads.peep_i);
            case.agrees("d_peep_f", &grads.peep_f);
            case.agrees("d_peep_o", &grads.peep_o);
        });
        seen += 1;
    }
    assert_eq!(seen, 3);
}
