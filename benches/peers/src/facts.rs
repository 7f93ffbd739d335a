//! Small inputs on which implementations differ.

/// One gradient and the norm it is clipped to.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) title: &'static str,
    pub(crate) values: &'static [f32],
    pub(crate) is_half: bool,
    pub(crate) max: f32,
}

const fn f32s(title: &'static str, values: &'static [f32], max: f32) -> Fact {
    Fact {
        title,
        values,
        is_half: false,
        max,
    }
}

/// `peers.py` holds the same list.
pub(crate) const FACTS: [Fact; 9] = [
    f32s("f32 [1e25, 1e25, 1], max 1", &[1e25, 1e25, 1.0], 1.0),
    f32s("f32 [3e-25, 4e-25], max 1e-25", &[3e-25, 4e-25], 1e-25),
    f32s("f32 [3e-9, 4e-9], max 1e-9", &[3e-9, 4e-9], 1e-9),
    f32s("f32 [3, 4], max 5: norm = max", &[3.0, 4.0], 5.0),
    f32s("f32 [NaN, 1], max 1", &[f32::NAN, 1.0], 1.0),
    f32s("f32 [inf, 1], max 1", &[f32::INFINITY, 1.0], 1.0),
    f32s("f32 [0, 0], max 0", &[0.0, 0.0], 0.0),
    f32s("f32 [3, 4], max -1", &[3.0, 4.0], -1.0),
    Fact {
        title: "f16 [300], max 1",
        values: &[300.0],
        is_half: true,
        max: 1.0,
    },
];

/// `[3, 4e-25, NaN]`
pub(crate) fn show(values: impl IntoIterator<Item = f32>) -> String {
    let number = |x: f32| match x.abs() {
        0.0 => "0".to_owned(),
        a if x.is_finite() && !(1e-4..1e6).contains(&a) => format!("{x:e}"),
        _ => x.to_string(),
    };
    format!(
        "[{}]",
        values
            .into_iter()
            .map(number)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            show([3.0, 0.6, 1e25, -4e-25, f32::NAN, f32::NEG_INFINITY, 0.0]),
            "[3, 0.6, 1e25, -4e-25, NaN, -inf, 0]"
        );
    }
}
