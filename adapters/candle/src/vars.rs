//! Lists of variables.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use candle_core::Var;
use candle_nn::VarMap;

/// Variables in an order that does not change from step to step, each under a name.
///
/// A [`VarMap`] and a `HashMap` give theirs sorted by name, since their own order is random. Lists of
/// pairs and `BTreeMap`s keep their order; lists of bare variables name them "0", "1", ….
///
/// # Examples
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use steadygrad_candle::Vars;
///
/// let w = Var::zeros((2, 3), DType::F32, &Device::Cpu)?;
/// let b = Var::zeros(3, DType::F32, &Device::Cpu)?;
/// let mut names = vec![];
/// [("w", w.clone()), ("b", b.clone())].each(&mut |name, _var| names.push(name.to_string()));
/// vec![w, b].each(&mut |name, _var| names.push(name.to_string()));
/// assert_eq!(names, ["w", "b", "0", "1"]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub trait Vars {
    /// Hands each variable to `f` under its name.
    fn each(&self, f: &mut dyn FnMut(&str, &Var));
}

impl Vars for VarMap {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        // A thread that panicked while it held the lock has at most left a variable out.
        self.data()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .each(f);
    }
}

impl<S: std::hash::BuildHasher> Vars for HashMap<String, Var, S> {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        let entries = self.iter().map(|(name, var)| (name.as_str(), var));
        let mut entries: Vec<(&str, &Var)> = entries.collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        for (name, var) in entries {
            f(name, var);
        }
    }
}

impl<N: AsRef<str>> Vars for BTreeMap<N, Var> {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        for (name, var) in self {
            f(name.as_ref(), var);
        }
    }
}

impl<N: AsRef<str>> Vars for [(N, Var)] {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        for (name, var) in self {
            f(name.as_ref(), var);
        }
    }
}

impl Vars for [Var] {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        for (index, var) in self.iter().enumerate() {
            f(&index.to_string(), var);
        }
    }
}

impl<T> Vars for Vec<T>
where
    [T]: Vars,
{
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        self.as_slice().each(f);
    }
}

impl<T, const N: usize> Vars for [T; N]
where
    [T]: Vars,
{
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        self.as_slice().each(f);
    }
}

impl<V: Vars + ?Sized> Vars for &V {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        (**self).each(f);
    }
}
