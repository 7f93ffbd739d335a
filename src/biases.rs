//! Which tensors are biases, gains and shifts.

use crate::Covers;

/// Whether a tensor is a weight: not a bias, nor the gain or shift of a normalisation.
///
/// Where its dims are known, a tensor of at most one axis is none. Where they are not, its name tells: biases are
/// called `b`, `b1`, `bh`, `b_ih`, `norm_b`, `attn_ob`, `Bias`, `bias_hh_l0`, `gate_bias`; gains and shifts
/// `gamma`, `beta`, `gain`, `shift`, or anything in `ln_1`, `bn2`, `norm`, `LayerNorm_0`. `w_b` and
/// `biased_attention.weight` are weights, and so is what has no name.
///
/// # Examples
///
/// ```
/// use steadygrad::penalty::all_but_biases;
/// assert!(all_but_biases("layers.0.w_rec", None) && all_but_biases("", None));
/// assert!(!all_but_biases("layers.0.b1", None) && !all_but_biases("encoder.norm.weight", None));
/// // Dims are surer than names.
/// assert!(all_but_biases("b", Some(&[4, 4])) && !all_but_biases("scale", Some(&[4])));
/// ```
#[must_use]
pub fn all_but_biases(name: &str, dims: Option<&[usize]>) -> bool {
    match dims {
        Some(dims) => dims.len() > 1,
        None => !is_named_like_a_bias(name),
    }
}

/// The tensors that are meant: all but biases, unless somebody has chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Choice(pub(crate) Option<Covers>);

impl Choice {
    pub(crate) fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        match &self.0 {
            Some(chosen) => chosen.covers(name),
            None => all_but_biases(name, dims),
        }
    }
}

fn is_named_like_a_bias(name: &str) -> bool {
    // Numbers only count the tensors of a list.
    let is_counted = |part: &&str| part.bytes().any(|byte| !byte.is_ascii_digit());
    let mut parts = name.rsplit('.').filter(is_counted);
    let Some(own) = parts.next() else {
        return false;
    };
    is_bias(own) || is_norm(own) || parts.next().is_some_and(is_norm)
}

/// The words of a name, without the numbers at their ends, as in `b1` and `BatchNorm2d`.
fn words(part: &str) -> impl DoubleEndedIterator<Item = &str> {
    let is_digit = |c: char| c.is_ascii_digit();
    part.split('_')
        .map(move |word| {
            let before_d = word
                .strip_suffix('d')
                .filter(|word| word.ends_with(is_digit));
            before_d.unwrap_or(word).trim_end_matches(is_digit)
        })
        .filter(|word| !word.is_empty())
}

fn ends_in(word: &str, end: &str) -> bool {
    let start = word.len().checked_sub(end.len());
    let tail = start.and_then(|start| word.get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

fn is_bias(part: &str) -> bool {
    let says_so = |word: &str| {
        let whole = ["beta", "gamma", "gain", "shift"];
        ends_in(word, "bias")
            || ends_in(word, "biases")
            || whole.iter().any(|other| word.eq_ignore_ascii_case(other))
    };
    let (first, last) = (words(part).next(), words(part).next_back());
    // `w_b` is the weight of something called b.
    let is_weight = first.is_some_and(|word| word.eq_ignore_ascii_case("w"));
    words(part).any(says_so)
        || !is_weight && (first.is_some_and(is_short) || last.is_some_and(is_short))
}

/// `b` alone or with one letter more, `bih` and `bhh`; small, since a large B is a matrix.
fn is_short(word: &str) -> bool {
    match word.as_bytes() {
        b"b" | b"bih" | b"bhh" => true,
        // The weights of a gate called b.
        b"wb" | b"bw" => false,
        [b'b', other] | [other, b'b'] => other.is_ascii_lowercase(),
        _ => false,
    }
}

/// Whether it is called like a normalisation, whose parameters are gains and shifts.
fn is_norm(part: &str) -> bool {
    words(part).any(|word| {
        let short = ["ln", "bn", "gn"];
        ends_in(word, "norm")
            || ends_in(word, "norms")
            || short.iter().any(|other| word.eq_ignore_ascii_case(other))
    })
}
