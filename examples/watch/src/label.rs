//! What became of a run, told from its losses.

/// So many losses at the start say what is usual, and so many times their median is far above it.
const START: usize = 20;
const FAR: f64 = 3.0;
/// So many losses are looked at to see whether it stays there.
const STAYS: usize = 50;

/// The step, from 1, at which a run began to be lost; none if it was not.
///
/// A run has diverged if its last loss is not finite, or at least half of its last 50 are above three times the median of
/// the first 20. It began at the first step above that, or not finite, with at least half of the next 50 so. Steps that
/// a run did not live to see count as not finite, and losses before the first that is not above have not left anything.
pub(crate) fn onset(losses: &[f64]) -> Option<u64> {
    let last = losses.last()?;
    let bound = FAR * median(&losses[..losses.len().min(START)]);
    let is_lost = |loss: &f64| !loss.is_finite() || *loss > bound;
    let is_half = |losses: &[f64], of: usize| {
        let missing = if last.is_finite() {
            0
        } else {
            of - losses.len()
        };
        let of = losses.len() + missing;
        2 * (losses.iter().filter(|loss| is_lost(loss)).count() + missing) >= of
    };
    let tail = &losses[losses.len().saturating_sub(STAYS)..];
    let has_diverged = !last.is_finite() || is_half(tail, tail.len());
    let begins = |&step: &usize| {
        let next = &losses[step + 1..losses.len().min(step + 1 + STAYS)];
        is_lost(&losses[step]) && is_half(next, STAYS)
    };
    let low = losses
        .iter()
        .position(|loss| *loss <= bound || !loss.is_finite())?;
    let first = (low..losses.len()).filter(|_| has_diverged).find(begins);
    first.map(|step| step as u64 + 1)
}

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

    fn series(parts: &[(usize, f64)]) -> Vec<f64> {
        parts
            .iter()
            .flat_map(|&(count, loss)| vec![loss; count])
            .collect()
    }

    #[test]
    fn a_loss_that_falls_or_stays_is_healthy() {
        assert_eq!(onset(&[]), None);
        assert_eq!(onset(&series(&[(300, 1.0)])), None);
        assert_eq!(onset(&series(&[(100, 1.0), (200, 3.0)])), None);
    }

    #[test]
    fn a_spike_that_comes_back_is_healthy() {
        assert_eq!(onset(&series(&[(100, 1.0), (60, 50.0), (140, 0.5)])), None);
        // With fewer than half of the last 50 above.
        assert_eq!(onset(&series(&[(100, 1.0), (26, 0.5), (24, 9.0)])), None);
    }

    #[test]
    fn what_stays_began_where_it_stays() {
        assert_eq!(onset(&series(&[(100, 1.0), (200, 3.1)])), Some(101));
        // Up, back for longer than half of the next 50, and up again.
        let losses = series(&[(100, 1.0), (10, 9.0), (60, 1.0), (100, 9.0)]);
        assert_eq!(onset(&losses), Some(171));
        // Back for a moment only.
        let losses = series(&[(100, 1.0), (10, 9.0), (20, 1.0), (100, 9.0)]);
        assert_eq!(onset(&losses), Some(101));
    }

    #[test]
    fn a_run_that_ends_in_nan_is_lost_from_where_it_leaves() {
        let mut losses = series(&[(100, 1.0), (3, 1e9)]);
        losses.push(f64::NAN);
        assert_eq!(onset(&losses), Some(101));
        assert_eq!(onset(&[1.0, 1.0, f64::INFINITY]), Some(3));
        assert_eq!(onset(&[1.0, 4.0, f64::NAN]), Some(2));
        assert_eq!(onset(&[f64::NAN]), Some(1));
        // The first losses of a fall are not where it began, nor is a spike long before.
        let mut losses = series(&[(3, 9.0), (17, 1.0), (10, 9.0)]);
        losses.push(f64::NAN);
        assert_eq!(onset(&losses), Some(21));
        let mut losses = series(&[(30, 1.0), (2, 9.0), (100, 1.0)]);
        losses.push(f64::NAN);
        assert_eq!(onset(&losses), Some(133));
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[f64::NAN, 1.0, 2.0]), 2.0);
    }
}
