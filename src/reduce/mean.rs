//! The exact sum and mean of numbers of either sign.

use crate::Wide;

/// From which digit of 32 bits a number reaches to which; `None` of zero and of what is not finite.
pub(super) fn span(x: f64) -> Option<(i64, i64)> {
    let (m, e) = Wide::from(x).parts();
    let first = (e - 52).div_euclid(32);
    (m != 0.0 && m.is_finite()).then_some((first, first + 2))
}

/// Adds a number to the digits from `floor` on, of which each is a signed counter.
pub(super) fn add(x: f64, floor: i64, digits: &mut [i64]) {
    let Some((first, _)) = span(x) else {
        return;
    };
    let (m, e) = Wide::from(x).parts();
    let integer = m.to_bits() & 0x000f_ffff_ffff_ffff | 1 << 52;
    let spread = u128::from(integer) << (e - 52).rem_euclid(32);
    for i in 0..3 {
        let digit = (spread >> (32 * i)) as i64 & 0xffff_ffff;
        if let Some(place) = usize::try_from(first + i - floor)
            .ok()
            .and_then(|place| digits.get_mut(place))
        {
            *place += if x < 0.0 { -digit } else { digit };
        }
    }
}

/// What the digits from `floor` on come to, divided by `by` and rounded once. They are left as they please.
pub(super) fn quotient(floor: i64, digits: &mut [i64], by: i64) -> f64 {
    let is_negative = carry(digits) < 0;
    if is_negative {
        digits.iter_mut().for_each(|digit| *digit = -*digit);
        carry(digits);
    }
    // Long division from the top; four digits from the first that is not zero, and whether anything comes after.
    let (mut window, mut filled, mut rest, mut lost) = (0_u128, 0, 0_i128, false);
    let mut lowest = floor + digits.len() as i64;
    let below = core::iter::repeat_n(&0, 5);
    for &digit in digits.iter().rev().chain(below) {
        let upper = (rest << 32) + i128::from(digit);
        let part = (upper / i128::from(by)) as u128;
        rest = upper % i128::from(by);
        if filled < 4 {
            window = window << 32 | part;
            filled += i32::from(window != 0);
            lowest -= 1;
        } else {
            lost |= part != 0;
        }
    }
    lost |= rest != 0;
    let x = Wide::new((window | u128::from(lost)) as f64, 32 * lowest).to_f64();
    if is_negative { -x } else { x }
}

/// Makes every digit but the last one of 32 bits; what is left of the sign stands in the last, which is returned.
fn carry(digits: &mut [i64]) -> i64 {
    let mut up = 0;
    let last = digits.len().saturating_sub(1);
    for digit in &mut digits[..last] {
        let sum = *digit + up;
        *digit = sum & 0xffff_ffff;
        up = sum >> 32;
    }
    digits.last_mut().map_or(0, |top| {
        *top += up;
        *top
    })
}

/// The sum of any numbers of either sign, as integers that can be added.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// How many were NaN, +∞ and −∞; then the digits.
    limbs: [i64; 3 + DIGITS],
    added: u32,
}

/// Where the digits of an `f64` begin, and how many there are, with one more for what is carried.
const FLOOR: i64 = -36;
const DIGITS: usize = 70;

impl Default for Signed {
    fn default() -> Self {
        Self {
            limbs: [0; 3 + DIGITS],
            added: 0,
        }
    }
}

impl Signed {
    pub(crate) fn add(&mut self, x: f64) {
        let [nan, above, below, digits @ ..] = &mut self.limbs;
        if x.is_nan() {
            *nan += 1;
        } else if x.is_infinite() {
            *(if x > 0.0 { above } else { below }) += 1;
        } else {
            add(x, FLOOR, digits);
            self.added += 1;
            // Before a digit can overflow.
            if self.added == 1 << 30 {
                carry(digits);
                self.added = 0;
            }
        }
    }

    /// What is to be added up over ranks.
    pub(super) fn limbs(&mut self) -> &mut [i64] {
        carry(&mut self.limbs[3..]);
        &mut self.limbs
    }

    pub(crate) fn round(&mut self) -> f64 {
        match self.limbs[..3] {
            [0, 0, 0] => quotient(FLOOR, &mut self.limbs[3..], 1),
            [0, _, 0] => f64::INFINITY,
            [0, 0, _] => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn mean(xs: &[f64], by: i64) -> f64 {
        let spans = || xs.iter().filter_map(|&x| span(x));
        let Some(floor) = spans().map(|(low, _)| low).min() else {
            return quotient(0, &mut [], by);
        };
        let top = spans().map(|(_, high)| high).max().unwrap();
        let mut digits = vec![0; (top - floor) as usize + 2];
        xs.iter().for_each(|&x| add(x, floor, &mut digits));
        quotient(floor, &mut digits, by)
    }

    #[test]
    fn the_mean_of_one_number_many_times_is_that_number() {
        for x in [0.1, -0.1, 1e-300, -1e300, f64::MAX, 3.0, f64::MIN_POSITIVE] {
            for ranks in [1, 3, 7, 49, 1000] {
                assert_eq!(mean(&vec![x; ranks], ranks as i64), x, "{x} {ranks}");
            }
        }
        assert_eq!(mean(&[], 1), 0.0);
        assert_eq!(mean(&[0.0, 0.0], 2), 0.0);
    }

    #[test]
    fn it_is_rounded_once_and_does_not_know_the_order() {
        assert_eq!(mean(&[1e300, 1.0, -1e300], 1), 1.0);
        assert_eq!(mean(&[-1e300, 1.0, 1e300], 3), 1.0 / 3.0);
        assert_eq!(mean(&[-2.0, -5.0], 2), -3.5);
        assert_eq!(mean(&[1.0, 2.0, 4.0], 3), 7.0 / 3.0);
        // The trace decides the tie.
        let half = f64::EPSILON / 2.0;
        assert_eq!(mean(&[1.0, half], 1), 1.0);
        assert_eq!(mean(&[1.0, half, 1e-300], 1), 1.0 + f64::EPSILON);
        assert_eq!(mean(&[-1.0, -half, -1e-300], 1), -1.0 - f64::EPSILON);
    }

    #[test]
    fn sums_reach_from_one_end_of_the_range_to_the_other() {
        let sum = |xs: &[f64]| {
            let mut sum = Signed::default();
            xs.iter().for_each(|&x| sum.add(x));
            sum.limbs();
            sum.round()
        };
        let tiny = f64::from_bits(1);
        assert_eq!(sum(&[f64::MAX, tiny, -f64::MAX]), tiny);
        assert_eq!(sum(&[-f64::MAX, -tiny]), -f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[1.0, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }
}
