//! What one step of a gated cell does to each unit: one pass forwards, one back. Formulas are in the cells' own pages.

use num_traits::Float;

use super::smooth::Smooth;

/// Units that every processor has vectors for.
const LANES: usize = 16;

/// What is left of the units, and zeros.
#[inline(always)]
fn padded<T: Float>(rest: &[T]) -> [T; LANES] {
    let mut all = [T::zero(); LANES];
    all[..rest.len()].copy_from_slice(rest);
    all
}

/// A pass over so many units, compiled for the processor. What it reads and what it writes come slice by slice, since the
/// compiler then knows that none of them overlaps another.
macro_rules! pass {
    ($(#[$doc:meta])* $name:ident: $($read:ident),+ => $($written:ident),+; $unit:ident $body:block) => {
        $(#[$doc])*
        #[cfg_attr(
            feature = "std",
            multiversion::multiversion(targets(
                "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
                "x86_64+avx2+f16c",
                "aarch64+neon"
            ))
        )]
        #[allow(clippy::too_many_arguments, reason = "slices that may not overlap")]
        pub(crate) fn $name<T: Smooth + Float>(units: usize, $($read: &[T],)+ $($written: &mut [T]),+) {
            // As many of each, so that no index is checked.
            $(let $read = &$read[..units];)+
            $(let $written = &mut $written[..units];)+
            let whole = units - units % LANES;
            for $unit in 0..whole $body
            let rest = units - whole;
            if rest > 0 {
                // A few elements by themselves would take longer than all the vectors.
                $(let $read = padded(&$read[whole..]);)+
                let mut last = [$(padded(&$written[whole..])),+];
                {
                    let [$($written),+] = &mut last;
                    for $unit in 0..LANES $body
                }
                let mut last = last.iter();
                $(
                    if let Some(last) = last.next() {
                        $written[whole..].copy_from_slice(&last[..rest]);
                    }
                )+
            }
        }
    };
}

/// to ← to + xs, compiled for the processor.
#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))
)]
pub(crate) fn add<T: Float>(xs: &[T], to: &mut [T]) {
    for (to, x) in to.iter_mut().zip(xs) {
        *to = *to + *x;
    }
}

pass! {
    /// An LSTM's gates from their sums, in place; the cell and the output.
    lstm: before => i, f, g, o, c, h; k {
        (i[k], f[k]) = (i[k].sigmoid_(), f[k].sigmoid_());
        (g[k], o[k]) = (g[k].tanh_(), o[k].sigmoid_());
        c[k] = f[k] * before[k] + i[k] * g[k];
        h[k] = o[k] * c[k].tanh_();
    }
}

pass! {
    /// The way back: gradients of the sums, and of the cell before the step in place of that after it.
    lstm_back: i, f, g, o, before, c, d_h => d_c, d_i, d_f, d_g, d_o; k {
        let one = T::one();
        let (i, f, g, o, tanh_c) = (i[k], f[k], g[k], o[k], c[k].tanh_());
        let d = d_c[k] + d_h[k] * o * (one - tanh_c * tanh_c);
        d_o[k] = d_h[k] * tanh_c * (o * (one - o));
        d_i[k] = d * g * (i * (one - i));
        d_g[k] = d * i * (one - g * g);
        d_f[k] = d * before[k] * (f * (one - f));
        d_c[k] = d * f;
    }
}

pass! {
    /// A GRU's gates from their sums, in place, and the output; q is what the reset gate lets through.
    gru: q, before => n, r, z, h; k {
        (r[k], z[k]) = (r[k].sigmoid_(), z[k].sigmoid_());
        n[k] = (n[k] + r[k] * q[k]).tanh_();
        // By two products, so that z = 1 and z = 0 keep all bits of one or the other.
        h[k] = (T::one() - z[k]) * n[k] + z[k] * before[k];
    }
}

pass! {
    /// The way back: gradients of the sums, and what goes past the gates in place of the gradient of the output.
    gru_back: n, r, z, q, before => d_h, d_n, d_r, d_z, d_q; k {
        let one = T::one();
        let (n, r, z, d) = (n[k], r[k], z[k], d_h[k]);
        let d_sum = d * (one - z) * (one - n * n);
        d_z[k] = d * (before[k] - n) * (z * (one - z));
        d_r[k] = d_sum * q[k] * (r * (one - r));
        d_q[k] = d_sum * r;
        d_n[k] = d_sum;
        d_h[k] = d * z;
    }
}
