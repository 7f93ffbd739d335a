//! What rules remember, by place and name.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, Result};

/// What a rule remembers: entries under keys, in order, which may hold states of their own.
///
/// Settings are not part of it: they stand in the code that makes the rule. Numbers are kept by their bits, so that
/// infinities, NaN and −0.0 survive every format.
///
/// # Examples
///
/// ```
/// use steadygrad::State;
///
/// let mut state = State::default();
/// state.put("row", 7_u64);
/// state.put("best", f64::NEG_INFINITY);
/// assert_eq!(state.get::<u64>("row")?, 7);
/// assert_eq!(state.get::<f64>("best")?, f64::NEG_INFINITY);
/// assert!(state.get::<f64>("row").is_err() && state.get::<u64>("rows").is_err());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct State {
    entries: Vec<(Cow<'static, str>, Entry)>,
}

/// One thing remembered.
///
/// # Examples
///
/// ```
/// use steadygrad::Entry;
/// assert_eq!(Entry::from(3_u64), Entry::Count(3));
/// assert_eq!(Entry::from(1.0_f64), Entry::Bits(0x3ff0_0000_0000_0000));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Entry {
    /// A count.
    Count(i64),
    /// An `f64`, by its bits.
    Bits(i64),
    /// Several `f64`s, by their bits, or counts.
    List(Vec<i64>),
    /// Names of tensors.
    Names(Vec<String>),
    /// What a rule inside remembers.
    State(State),
}

impl From<u64> for Entry {
    fn from(count: u64) -> Self {
        Self::Count(count.cast_signed())
    }
}

impl From<f64> for Entry {
    fn from(x: f64) -> Self {
        Self::Bits(x.to_bits().cast_signed())
    }
}

impl From<&[f64]> for Entry {
    fn from(xs: &[f64]) -> Self {
        Self::List(xs.iter().map(|x| x.to_bits().cast_signed()).collect())
    }
}

impl From<&[u64]> for Entry {
    fn from(counts: &[u64]) -> Self {
        Self::List(counts.iter().map(|count| count.cast_signed()).collect())
    }
}

impl From<Vec<String>> for Entry {
    fn from(names: Vec<String>) -> Self {
        Self::Names(names)
    }
}

impl From<State> for Entry {
    fn from(state: State) -> Self {
        Self::State(state)
    }
}

/// What can be read back from an [`Entry`]: `u64`, `f64`, lists of them, names and states.
///
/// # Examples
///
/// ```
/// use steadygrad::State;
/// let mut state = State::default();
/// state.put("norms", &[1.0, f64::INFINITY][..]);
/// assert_eq!(state.get::<Vec<f64>>("norms")?, [1.0, f64::INFINITY]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait FromEntry: Sized {
    /// The value, if the entry is of this kind.
    fn from_entry(entry: &Entry) -> Option<Self>;
}

macro_rules! from_entry {
    ($($t:ty, $kind:ident($x:ident) => $value:expr;)*) => {$(
        impl FromEntry for $t {
            fn from_entry(entry: &Entry) -> Option<Self> {
                match entry {
                    Entry::$kind($x) => Some($value),
                    _ => None,
                }
            }
        }
    )*};
}

from_entry! {
    u64, Count(x) => x.cast_unsigned();
    f64, Bits(x) => f64::from_bits(x.cast_unsigned());
    Vec<f64>, List(xs) => xs.iter().map(|x| f64::from_bits(x.cast_unsigned())).collect();
    Vec<u64>, List(xs) => xs.iter().map(|x| x.cast_unsigned()).collect();
    Vec<String>, Names(names) => names.clone();
    State, State(state) => state.clone();
}

impl State {
    /// Adds an entry behind those there are.
    ///
    /// ```
    /// use steadygrad::State;
    /// let (mut inner, mut outer) = (State::default(), State::default());
    /// inner.put("row", 3_u64);
    /// outer.put("rule", inner);
    /// assert_eq!(outer.get::<State>("rule")?.get::<u64>("row")?, 3);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn put(&mut self, key: &'static str, value: impl Into<Entry>) {
        self.entries.push((Cow::Borrowed(key), value.into()));
    }

    /// All there is, in order.
    #[cfg(feature = "std")]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (&**key, entry))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every state under `key`.
    pub(crate) fn states<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Self> {
        self.entries.iter().filter_map(move |entry| match entry {
            (found, Entry::State(state)) if found == key => Some(state),
            _ => None,
        })
    }

    /// The entry under `key`.
    ///
    /// # Errors
    ///
    /// [`Error::State`] if there is none, or one of another kind.
    pub fn get<T: FromEntry>(&self, key: &str) -> Result<T> {
        let entry = self.entries.iter().find(|entry| entry.0 == key);
        let value = entry.and_then(|(_, entry)| T::from_entry(entry));
        value.ok_or_else(|| Error::State {
            expected: key.into(),
            found: match entry {
                Some((_, entry)) => alloc::format!("{entry:?}"),
                None => String::from("nothing"),
            },
        })
    }
}

/// What a [`Guard`](crate::Guard) remembers: how far it is, and the state of every rule under the rule's name.
///
/// With the feature `serde` it can be written to any format.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::PersistentNorm, Guard};
///
/// let make = || Ok::<_, steadygrad::Error>(Guard::new().detect(PersistentNorm::new(1.0, 3)?));
/// let mut guard = make()?;
/// for _ in 0..2 {
///     assert!(guard.step(&mut [2.0])?.alarms().is_empty());
/// }
/// let mut again = make()?;
/// again.restore(&guard.state())?;
/// assert_eq!(again.step(&mut [2.0])?.alarms().len(), 1);   // the third in a row
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct GuardState {
    /// Of this form.
    pub format: u32,
    /// How many steps there were.
    pub step: u64,
    /// How many were skipped in a row.
    pub skips: u32,
    /// How many were rolled back in a row.
    pub rollbacks: u32,
    /// The rules in order, by name.
    pub rules: Vec<(String, State)>,
    /// Of each rule, whether it was ever given what it goes by.
    pub fed: Vec<bool>,
}

impl GuardState {
    /// The form that is written.
    pub(crate) const FORMAT: u32 = 1;
}
