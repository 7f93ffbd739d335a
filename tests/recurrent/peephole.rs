//! The peephole LSTM of the example: a cell of one's own, and its gradients.

use steadygrad::recurrent::{LstmState, Unrolled};

use crate::common::{Named, Problem, slice, uniform};
use crate::differences::agree;
use example::Peephole;

#[path = "../../examples/peephole.rs"]
#[expect(dead_code, reason = "a whole program, of which this takes the cell")]
pub(crate) mod example;

impl Named for Unrolled<Peephole> {
    fn weights(lstm: &mut Self) -> Vec<(&'static str, &mut [f64])> {
        let cell = &mut lstm.cell;
        vec![
            ("w_in", slice(&mut cell.w_in)),
            ("w_rec", slice(&mut cell.w_rec)),
            ("bias", slice(&mut cell.bias)),
            ("peep_i", slice(&mut cell.peep_i)),
            ("peep_f", slice(&mut cell.peep_f)),
            ("peep_o", slice(&mut cell.peep_o)),
        ]
    }

    fn grads(grads: &Peephole) -> Vec<Vec<f64>> {
        let mut grads = Unrolled::new(grads.clone());
        let all = Self::weights(&mut grads).into_iter();
        all.map(|(_, values)| values.to_vec()).collect()
    }

    fn state(state: &mut LstmState<f64>) -> Vec<(&'static str, &mut [f64])> {
        vec![("h", slice(&mut state.h)), ("c", slice(&mut state.c))]
    }
}

#[test]
fn its_gradients_are_the_slopes_of_the_loss() {
    for time in [1, 2, 20] {
        for batch in [1, 3] {
            let cell = example::drawn(2, 4, &mut uniform(6)).unwrap();
            let problem = Problem::new(cell, time, batch, 2, 4).of_final_state();
            agree(problem, &format!("peephole {time}x{batch}"));
        }
    }
}
