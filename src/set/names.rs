//! Names: joined by dots where sets are nested, counted in lists.

use alloc::format;

/// Longer names are joined on the heap.
const STACK_NAME: usize = 128;

/// Calls `f` with `outer.inner`, or with one of them if the other is empty.
pub(super) fn join<R>(outer: &str, inner: &str, f: impl FnOnce(&str) -> R) -> R {
    if outer.is_empty() || inner.is_empty() {
        return f(if outer.is_empty() { inner } else { outer });
    }
    let mut buffer = [0; STACK_NAME];
    let len = outer.len() + 1 + inner.len();
    if let Some(place) = buffer.get_mut(..len) {
        place[..outer.len()].copy_from_slice(outer.as_bytes());
        place[outer.len()] = b'.';
        place[outer.len() + 1..].copy_from_slice(inner.as_bytes());
        if let Ok(name) = core::str::from_utf8(place) {
            return f(name);
        }
    }
    f(&format!("{outer}.{inner}"))
}

/// Calls `f` with the decimal digits of `index`.
pub(super) fn with_digits<R>(mut index: usize, f: impl FnOnce(&str) -> R) -> R {
    let mut digits = [b'0'; 20];
    let mut start = digits.len() - 1;
    loop {
        digits[start] = b'0' + (index % 10) as u8;
        index /= 10;
        if index == 0 {
            break;
        }
        start -= 1;
    }
    f(core::str::from_utf8(&digits[start..]).unwrap_or_default())
}

/// The name that the source gives a field: `in` for `r#in`.
#[doc(hidden)]
#[must_use]
pub fn field_name(source: &'static str) -> &'static str {
    source.strip_prefix("r#").unwrap_or(source)
}
