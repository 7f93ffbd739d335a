//! Pictures, looked at by a program.

mod layout;
mod runs;
mod shown;

use super::{norms, report, weights};
use crate::record::Log;
use runs::{healthy, lost, of_norms, with_event, with_tensors};

const NAMES: [&str; 4] = ["cell.w_in", "cell.w_rec", "cell.bias", "read_out.weight"];

/// Logs of every kind, the extremes among them.
fn logs() -> Vec<(&'static str, Log)> {
    let few = |norms: Vec<f64>| with_tensors(of_norms(norms), &NAMES);
    let long = ["encoder.layers.0.attention.out_projection.weight"; 60];
    let mut spike = healthy(20_000);
    spike[12_345] = 5e4;
    let mut wild = healthy(300);
    for (i, norm) in wild.iter_mut().enumerate() {
        *norm = match i {
            100 => 1e300,
            110 => 5e-324,
            i if i % 3 == 0 => f64::NAN,
            i if i % 7 == 0 => f64::INFINITY,
            i if i % 11 == 0 => 0.0,
            _ => *norm,
        };
    }
    let mut busy = of_norms(healthy(300));
    for i in 0..60 {
        let detector = [
            "norm threshold",
            "spike",
            "vanishing",
            "update ratio",
            "weight growth",
            "plateau",
        ][i % 6];
        let since = 5 * i as u64 + 1;
        busy = with_event(busy, detector, since, since + 7);
    }
    vec![
        (
            "healthy",
            with_event(few(healthy(250)), "norm threshold", 30, 55),
        ),
        (
            "lost",
            with_event(few(lost(400)), "persistent norm", 180, 400),
        ),
        ("empty", Log::default()),
        ("one", few(vec![0.7])),
        ("two", few(vec![0.7, 3.0])),
        ("nan", few(vec![f64::NAN; 40])),
        ("infinite", few(vec![f64::INFINITY; 40])),
        ("zero", few(vec![0.0; 40])),
        ("wild", of_norms(wild)),
        ("long", few(spike)),
        ("many", with_tensors(of_norms(healthy(500)), &long)),
        ("busy", busy),
        (
            "named",
            with_tensors(of_norms(healthy(9)), &["<&>\"'\u{0}\n", "重み", ""]),
        ),
    ]
}
