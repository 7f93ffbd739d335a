//! The functions in 256 binary digits: what decides.

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

use crate::double::Exact;
use crate::double::{Format, Function};

type Big = FBig<HalfEven, 2>;

const DIGITS: usize = 256;

/// The function at a finite x. Near zero all of these digits hold too: nothing is subtracted from what it almost equals.
fn of(function: Function, x: f64) -> Big {
    let one = || big(1.0);
    match function {
        Function::Exp => big(x).exp(),
        Function::Tanh => {
            // (e^2|x| − 1)/(e^2|x| + 1). Past 400 it is 1 in every digit.
            let less = (big(2.0) * big(x.abs().min(400.0))).exp_m1();
            let tanh = less.clone() / (less + big(2.0));
            if x < 0.0 { -tanh } else { tanh }
        }
        Function::Sigmoid => {
            let e = big(-x.abs()).exp();
            let more = one() + &e;
            if x < 0.0 { e / more } else { one() / more }
        }
    }
}

/// How far `found` lies from the function at x, in units in the last place where `about` lies.
pub(crate) fn ulps(function: Function, x: f64, found: f64, about: &Exact, format: Format) -> f64 {
    if found.is_infinite() {
        return about.ulps(found, format);
    }
    let apart = big(found) - of(function, x);
    let unit = Big::from_parts(1.into(), about.unit(format) as isize);
    (apart / unit.with_precision(DIGITS).value())
        .to_f64()
        .value()
        .abs()
}

/// How far the reference lies from the function at x, as a part of it.
#[cfg(test)]
pub(crate) fn relative(function: Function, x: f64, reference: &Exact) -> f64 {
    let exact = of(function, x);
    let scale = Big::from_parts(1.into(), reference.exponent as isize);
    let found = (big(reference.value.0) + big(reference.value.1)) * scale;
    if found == exact {
        return 0.0;
    }
    ((found - &exact) / exact).to_f64().value().abs()
}

fn big(x: f64) -> Big {
    let exact = Big::try_from(x).expect("a finite number");
    exact.with_precision(DIGITS).value()
}
