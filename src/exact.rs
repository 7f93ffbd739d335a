//! An exact sum: integers wide enough for every exponent.

use crate::Wide;

/// How many 32-bit digits the window holds. Squares of `f64` elements, and sums of up to 2^64 of
/// them, span the bits 2^-2200 to 2^2112: 135 digits and a part of one at each end.
pub(crate) const DIGITS: usize = 140;

/// The exact sum of non-negative [`Wide`] numbers, rounded only when it is read.
///
/// Each summand is cut into 32-bit digits, and each digit is added to a 64-bit counter of its own
/// without carrying. So adding is integer addition: associative, commutative, and the same bits for
/// every order and every split. 2^31 summands fit before a counter could overflow; a sum that was given more, or
/// counters from elsewhere that are larger than that, is known no more: it counts as missing.
///
/// The window of digits hangs below the highest digit ever touched. For sums of `|x|` and of `x²`
/// it holds every digit there can be. Sums of `|x|^p` with a larger `p` can span more; then digits
/// more than 4,400 bits below the highest are dropped, which of them depending on the highest alone.
#[derive(Clone)]
pub(crate) struct ExactSum {
    /// Digit `k`, of weight 2^(32 k), stands in place `k mod DIGITS`. Places outside
    /// `bottom..=top` are zero.
    digits: [u64; DIGITS],
    bottom: i64,
    top: i64,
    /// Summands that nobody knows; with one of them there is no sum.
    missing: u64,
}

/// Below every digit that can occur.
const NOWHERE: i64 = i64::MIN / 2;

impl Default for ExactSum {
    fn default() -> Self {
        Self {
            digits: [0; DIGITS],
            bottom: NOWHERE,
            top: NOWHERE,
            missing: 0,
        }
    }
}

fn place(k: i64) -> usize {
    k.rem_euclid(DIGITS as i64) as usize
}

/// A counter with what the one below hands up: the digit that stays, and what goes up in turn.
fn carry_on(counter: u64, carry: u64) -> (u32, u64) {
    let sum = u128::from(counter) + u128::from(carry);
    (sum as u32, (sum >> 32) as u64)
}

impl ExactSum {
    /// Back to zero; costs only the digits in use.
    pub(crate) fn clear(&mut self) {
        self.missing = 0;
        if self.top != NOWHERE {
            for k in self.bottom..=self.top {
                self.digits[place(k)] = 0;
            }
            (self.bottom, self.top) = (NOWHERE, NOWHERE);
        }
    }

    /// Adds `x`, or counts it as missing: one that was not asked for, or that overflowed where it was summed.
    #[inline]
    pub(crate) fn take(&mut self, x: Option<Wide>) {
        match x {
            Some(x) if x.is_finite() => self.add(x),
            _ => self.missing = self.missing.saturating_add(1),
        }
    }

    /// The sum, rounded once; `None` if a summand is missing.
    pub(crate) fn total(&self) -> Option<Wide> {
        (self.missing == 0).then(|| self.round())
    }

    /// Nothing can be said of this sum any more, whatever is added.
    pub(crate) fn spoil(&mut self) {
        self.clear();
        self.missing = u64::MAX;
    }

    /// How many summands are missing, among them what counters hold that no `i64` does.
    pub(crate) fn missing(&self) -> u64 {
        let too_full = self
            .digits
            .iter()
            .any(|&digit| i64::try_from(digit).is_err());
        self.missing.saturating_add(u64::from(too_full))
    }

    /// Adds `x`, which is finite.
    #[inline]
    fn add(&mut self, x: Wide) {
        let (m, e) = x.parts();
        if m == 0.0 {
            return;
        }
        let integer = m.to_bits() & 0x000f_ffff_ffff_ffff | 1 << 52;
        let low_bit = e - 52;
        let first = low_bit.div_euclid(32);
        let spread = u128::from(integer) << low_bit.rem_euclid(32);
        if first < self.bottom || first + 2 > self.top {
            self.reach(first, first + 2);
        }
        let floor = self.top - DIGITS as i64;
        let (mut place, mut full) = (place(first), false);
        for i in 0..3 {
            if first + i > floor {
                let digit = (spread >> (32 * i)) as u64 & 0xffff_ffff;
                let (sum, over) = self.digits[place].overflowing_add(digit);
                (self.digits[place], full) = (sum, full | over);
            }
            place = if place + 1 == DIGITS { 0 } else { place + 1 };
        }
        self.missing = self.missing.saturating_add(u64::from(full));
    }

    /// Adds another sum, digit by digit.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.missing = self.missing.saturating_add(other.missing);
        if other.top == NOWHERE {
            return;
        }
        self.reach(other.bottom, other.top);
        let mut full = false;
        for k in self.bottom.max(other.bottom)..=other.top {
            let digit = &mut self.digits[place(k)];
            let (sum, over) = digit.overflowing_add(other.digits[place(k)]);
            (*digit, full) = (sum, full | over);
        }
        self.missing = self.missing.saturating_add(u64::from(full));
    }

    /// Makes room for the digits `low..=high`, dropping those that fall out of the window.
    #[inline]
    fn reach(&mut self, low: i64, high: i64) {
        if self.top == NOWHERE {
            (self.bottom, self.top) = (high, high);
        }
        if high > self.top {
            let floor = high - DIGITS as i64;
            for k in self.bottom..=floor.min(self.top) {
                self.digits[place(k)] = 0;
            }
            self.bottom = self.bottom.max(floor + 1).min(high);
            self.top = high;
        }
        self.bottom = self.bottom.min(low.max(self.top - DIGITS as i64 + 1));
    }

    /// The sum, rounded once to nearest, ties to even.
    fn round(&self) -> Wide {
        if self.top == NOWHERE {
            return Wide::ZERO;
        }
        // Carry upwards; `window` keeps the last four digits, `lost` whether anything fell below.
        let (mut window, mut lost, mut carry) = (0_u128, false, 0_u64);
        let mut k = self.bottom;
        while k <= self.top || carry != 0 {
            let digit = if k <= self.top {
                self.digits[place(k)]
            } else {
                0
            };
            let sum;
            (sum, carry) = carry_on(digit, carry);
            lost |= window as u32 != 0;
            window = window >> 32 | u128::from(sum) << 96;
            k += 1;
        }
        // The highest summand reached into the second digit from the top, so at least 65 bits of the
        // window are significant and the mark of what was lost lies below the rounding.
        Wide::new((window | u128::from(lost)) as f64, 32 * (k - 4))
    }

    /// The digits that are not zero with all carried, lowest first: for one sum always the same, whatever the
    /// summands were.
    fn carried(&self) -> impl Iterator<Item = (i64, u32)> {
        let mut carry = 0;
        // A full counter on top carries into two digits more.
        (self.bottom..=self.top + 2).filter_map(move |k| {
            let digit = if k <= self.top {
                self.digits[place(k)]
            } else {
                0
            };
            let sum;
            (sum, carry) = carry_on(digit, carry);
            (sum != 0).then_some((k, sum))
        })
    }

    /// The highest digit there is, for an all-reduce by maximum; −∞ for an empty sum.
    pub(crate) fn highest(&self) -> f64 {
        if self.top == NOWHERE {
            f64::NEG_INFINITY
        } else {
            self.top as f64
        }
    }

    /// The digits that were ever touched, lowest first; none of an empty sum.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        (self.top != NOWHERE).then_some((self.bottom, self.top))
    }

    /// Writes the digits from `floor` on, with all carried, so that those of 2^31 parts can be added.
    pub(crate) fn write_from(&self, floor: i64, limbs: &mut [i64]) {
        limbs.fill(0);
        if self.top == NOWHERE {
            return;
        }
        for (k, digit) in self.carried() {
            if let Some(limb) = usize::try_from(k - floor)
                .ok()
                .and_then(|place| limbs.get_mut(place))
            {
                *limb = i64::from(digit);
            }
        }
    }

    /// Becomes the sum of the parts whose [`ExactSum::write_from`] gave integers that add up to these.
    pub(crate) fn read_from(&mut self, floor: i64, limbs: &[i64], missing: u64) {
        self.clear();
        self.missing = missing;
        let mut carry = 0;
        for (k, limb) in (floor..).zip(limbs) {
            let digit;
            (digit, carry) = carry_on(limb.cast_unsigned(), carry);
            if digit != 0 {
                self.reach(k, k);
                self.digits[place(k)] = u64::from(digit);
            }
        }
    }

    /// Writes the window that hangs below digit `highest` as integers, lowest digit first: zeros where a counter
    /// is too full to be one, which counts as missing. A `highest` below this sum's own is none, so this sum's own
    /// is taken.
    pub(crate) fn write(&self, highest: f64, limbs: &mut [i64; DIGITS]) {
        limbs.fill(0);
        if self.top == NOWHERE {
            return;
        }
        let floor = (highest as i64).max(self.top) - DIGITS as i64 + 1;
        for k in self.bottom.max(floor)..=self.top {
            limbs[(k - floor) as usize] = i64::try_from(self.digits[place(k)]).unwrap_or(0);
        }
    }

    /// The sum whose [`ExactSum::write`] gave these integers, or whose parts' integers add up to them.
    pub(crate) fn read(highest: f64, limbs: &[i64; DIGITS], missing: u64) -> Self {
        let mut sum = Self {
            missing,
            ..Self::default()
        };
        if highest == f64::NEG_INFINITY {
            return sum;
        }
        let floor = highest as i64 - DIGITS as i64 + 1;
        let lowest = limbs
            .iter()
            .position(|&limb| limb != 0)
            .unwrap_or(DIGITS - 1);
        (sum.bottom, sum.top) = (floor + lowest as i64, highest as i64);
        for (i, &limb) in limbs.iter().enumerate().skip(lowest) {
            sum.digits[place(floor + i as i64)] = limb as u64;
        }
        sum
    }
}

/// Of the same sum, not only of one that rounds to the same.
impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.missing == other.missing && self.carried().eq(other.carried())
    }
}

impl core::fmt::Debug for ExactSum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ExactSum").field(&self.round()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn sum(xs: &[Wide]) -> Wide {
        let mut sum = ExactSum::default();
        xs.iter().for_each(|&x| sum.add(x));
        sum.round()
    }

    #[test]
    fn nothing_is_lost_between_the_ends_of_the_range() {
        let tiny = Wide::new(1.0, -2148);
        let huge = Wide::new(1.0, 2046);
        assert_eq!(sum(&[tiny]), tiny);
        assert_eq!(sum(&[huge, tiny]), huge);
        // The trace decides a tie: 1 + 2^-53 alone rounds down to even, with a trace it rounds up.
        let half = Wide::new(1.0, -53);
        assert_eq!(sum(&[Wide::ONE, half]), Wide::ONE);
        assert_eq!(
            sum(&[tiny, Wide::ONE, half]),
            Wide::from(1.0 + f64::EPSILON)
        );
    }

    #[test]
    fn carries_run_through() {
        // 2^32 − 1 in one digit many times over.
        let x = Wide::from(4_294_967_295.0);
        assert_eq!(sum(&[x; 1000]).to_f64(), 4_294_967_295_000.0);
        let almost = Wide::from(f64::MAX);
        assert_eq!(sum(&[almost; 4]), Wide::new(f64::MAX, 2));
    }

    #[test]
    fn sums_over_wider_spans_depend_on_the_highest_alone() {
        // |x|^p with p = 100 spans far more than the window.
        let xs: Vec<Wide> = [-100_000, 90_000, -90_000, 90_001, 0, 85_600, 85_569]
            .map(|e| Wide::new(1.3, e))
            .into();
        let whole = sum(&xs);
        for turn in 0..xs.len() {
            let mut turned = xs.clone();
            turned.rotate_left(turn);
            assert_eq!(sum(&turned), whole);
            let (a, b) = turned.split_at(3);
            let (mut left, mut right) = (ExactSum::default(), ExactSum::default());
            a.iter().for_each(|&x| left.add(x));
            b.iter().for_each(|&x| right.add(x));
            left.merge(&right);
            assert_eq!(left.round(), whole);
        }
    }

    #[test]
    fn equal_sums_need_not_have_equal_summands() {
        let of = |xs: &[f64]| {
            let mut sum = ExactSum::default();
            xs.iter().for_each(|&x| sum.add(Wide::from(x)));
            sum
        };
        assert_eq!(of(&[]), of(&[0.0]));
        // Twelve counters of a digit and its carry, against one digit higher up.
        let (small, large) = (4_294_967_295.0, 4_294_967_295.0 * 12.0);
        assert_eq!(of(&[small; 12]), of(&[large]));
        assert_eq!(of(&[small; 12]).top, of(&[small]).top);
        assert_ne!(of(&[small; 12]), of(&[small; 11]));
        // They round to the same.
        assert_ne!(of(&[1e300, 1e-300]), of(&[1e300]));
        let mut unknown = of(&[1.0]);
        unknown.take(None);
        assert_ne!(unknown, of(&[1.0]));
    }

    #[test]
    fn a_cleared_sum_is_new() {
        let mut s = ExactSum::default();
        s.add(Wide::new(1.7, 900));
        s.add(Wide::new(1.7, -900));
        s.clear();
        assert_eq!(s.digits, [0; DIGITS]);
        s.add(Wide::ONE);
        assert_eq!(s.round(), Wide::ONE);
        assert_eq!(ExactSum::default().round(), Wide::ZERO);
    }

    #[test]
    fn a_window_no_wider_than_it_has_to_be_carries_it_too() {
        let parts = [
            [Wide::new(1.1, 500), Wide::new(1.9, 300)],
            [Wide::new(1.999_999, 310), Wide::new(1.3, 501)],
            [Wide::new(1.999_999, 500), Wide::ZERO],
        ];
        let sums = parts.map(|xs| {
            let mut sum = ExactSum::default();
            // So often that every digit carries.
            for _ in 0..1000 {
                xs.into_iter().for_each(|x| sum.add(x));
            }
            sum
        });
        let spans = || sums.iter().filter_map(ExactSum::span);
        let floor = spans().map(|(low, _)| low).min().unwrap();
        let top = spans().map(|(_, high)| high).max().unwrap();
        let width = (top - floor) as usize + 3;
        let (mut all, mut one) = (vec![0; width], vec![0; width]);
        let mut merged = ExactSum::default();
        for sum in &sums {
            sum.write_from(floor, &mut one);
            all.iter_mut().zip(&one).for_each(|(x, y)| *x += y);
            merged.merge(sum);
        }
        let mut read = ExactSum::default();
        read.add(Wide::ONE);
        read.read_from(floor, &all, 0);
        assert_eq!(read, merged);
        assert_eq!(read.round(), merged.round());
        assert_eq!(width, 12);
    }

    #[test]
    fn integers_and_maxima_carry_it_over_a_wire() {
        let parts = [
            [Wide::new(1.1, 500), Wide::new(1.9, -700)],
            [Wide::new(1.2, -2000), Wide::new(1.3, 501)],
        ];
        let mut sums = [ExactSum::default(), ExactSum::default()];
        for (s, xs) in sums.iter_mut().zip(parts) {
            xs.into_iter().for_each(|x| s.add(x));
        }
        let highest = sums[0].highest().max(sums[1].highest());
        let (mut a, mut b) = ([0; DIGITS], [0; DIGITS]);
        sums[0].write(highest, &mut a);
        sums[1].write(highest, &mut b);
        for (x, y) in a.iter_mut().zip(b) {
            *x += y;
        }
        assert_eq!(ExactSum::read(highest, &a, 0).round(), sum(&parts.concat()));
        assert_eq!(
            ExactSum::read(f64::NEG_INFINITY, &[0; DIGITS], 0).round(),
            Wide::ZERO
        );
    }
}
