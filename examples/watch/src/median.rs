//! The middle of a few numbers.

/// The middle value, or the mean of the two in the middle; what is not finite is larger than all else.
pub(crate) fn median(values: &[f64]) -> f64 {
    let size = |x: &f64| if x.is_nan() { f64::INFINITY } else { *x };
    let mut values: Vec<f64> = values.iter().map(size).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[f64::NAN, 1.0, 2.0]), 2.0);
    }
}
