//! The functions over slices.

use super::Smooth;
use crate::kernel::chunks::change;

macro_rules! over_slices {
    ($($(#[$doc:meta])* $name:ident, $all:ident, $method:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name<T: Smooth + Send>(xs: &mut [T]) {
            change(xs, |xs| $all(xs));
        }

        #[cfg_attr(
            feature = "std",
            multiversion::multiversion(targets(
                "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
                "x86_64+avx2+f16c",
                "aarch64+neon"
            ))
        )]
        fn $all<T: Smooth>(xs: &mut [T]) {
            for x in xs {
                *x = x.$method();
            }
        }
    )*};
}

over_slices! {
    /// e^x in place of each x.
    exp, exp_all, exp_;
    /// tanh x in place of each x.
    tanh, tanh_all, tanh_;
    /// 1/(1 + e^−x) in place of each x.
    sigmoid, sigmoid_all, sigmoid_;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is compiled for this processor against what is compiled for any.
    fn as_one_by_one<T: Smooth + PartialEq + Send + core::fmt::Debug>(xs: &[T]) {
        type Of<T> = (fn(&mut [T]), fn(T) -> T);
        let functions: [Of<T>; 3] = [(exp, T::exp_), (tanh, T::tanh_), (sigmoid, T::sigmoid_)];
        for (all, each) in functions {
            let expected: Vec<T> = xs.iter().map(|&x| each(x)).collect();
            for start in 0..17 {
                for end in start..xs.len() {
                    let mut ys = xs.to_vec();
                    all(&mut ys[start..end]);
                    assert_eq!(ys[start..end], expected[start..end]);
                }
            }
        }
    }

    #[test]
    fn whatever_the_processor_alignment_and_length() {
        let xs: Vec<f64> = (0..150)
            .map(|i| f64::from(i - 75) * 1.37 * crate::math::exp2(f64::from(i % 9 - 5)))
            .collect();
        as_one_by_one(&xs);
        let xs: Vec<f32> = xs.iter().map(|&x| x as f32).collect();
        as_one_by_one(&xs);
    }
}
