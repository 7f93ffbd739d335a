//! Lists of variables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use candle_core::Var;
use candle_nn::VarMap;
use steadygrad::Covers;

/// Variables in an order that does not change from step to step, each under a name.
///
/// A [`VarMap`] and a `HashMap` give theirs sorted by name, since their own order is random. Lists of
/// pairs and `BTreeMap`s keep their order; lists of bare variables name them "0", "1", …. A pair of a
/// name and anything of all this puts the name and a dot before the names in it. Integer variables,
/// such as a counter of steps, have no gradient and are left out of every set.
///
/// # Examples
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use candle_nn::{Init, VarMap};
/// use steadygrad_candle::Vars;
///
/// fn names(vars: &impl Vars) -> Vec<String> {
///     let mut names = vec![];
///     vars.each(&mut |name, _var| names.push(name.to_string()));
///     names
/// }
///
/// let w = Var::zeros((2, 3), DType::F32, &Device::Cpu)?;
/// let b = Var::zeros(3, DType::F32, &Device::Cpu)?;
/// assert_eq!(names(&[("w", w.clone()), ("b", b.clone())]), ["w", "b"]);
/// assert_eq!(names(&vec![w, b]), ["0", "1"]);
///
/// let (policy, value) = (VarMap::new(), VarMap::new());
/// policy.get((4, 2), "head.w", Init::Const(0.0), DType::F32, &Device::Cpu)?;
/// value.get((4, 1), "head.w", Init::Const(0.0), DType::F32, &Device::Cpu)?;
/// let both = [("policy", &policy), ("value", &value)];
/// assert_eq!(names(&both), ["policy.head.w", "value.head.w"]);
/// assert_eq!(names(&both.filtered("value.")), ["value.head.w"]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub trait Vars {
    /// Hands each variable to `f` under its name.
    fn each(&self, f: &mut dyn FnMut(&str, &Var));

    /// Those of them whose names `covers` picks: a function, or how the names begin.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use candle_nn::{Optimizer, SGD};
    /// use steadygrad_candle::Vars;
    ///
    /// let (w, a) = (Var::new(&[[3f32, 4.0]], &Device::Cpu)?, Var::new(&[[0f32]], &Device::Cpu)?);
    /// let vars = [("base.w", &w), ("lora.a", &a)];
    /// assert_eq!(vars.filtered("lora.").list()[0].id(), a.id());
    /// let trained = vars.filtered(|name: &str| !name.starts_with("base."));
    /// assert_eq!(SGD::new(trained.list(), 0.1)?.into_inner().len(), 1);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    fn filtered(self, covers: impl Into<Covers>) -> Filtered<Self>
    where
        Self: Sized,
    {
        Filtered {
            vars: self,
            covers: covers.into(),
        }
    }

    /// What an optimiser takes: those that can have a gradient, each once, in order.
    fn list(&self) -> Vec<Var> {
        let (mut list, mut seen) = (vec![], HashSet::new());
        trained(self, &mut |_, var| {
            if seen.insert(var.id()) {
                list.push(var.clone());
            }
        });
        list
    }
}

/// The variables that can have a gradient.
pub(crate) fn trained<V: Vars + ?Sized>(vars: &V, f: &mut dyn FnMut(&str, &Var)) {
    vars.each(&mut |name, var| {
        if var.dtype().is_float() {
            f(name, var);
        }
    });
}

/// Some of a list of variables: [`Vars::filtered`].
#[derive(Clone, Debug, PartialEq)]
pub struct Filtered<V> {
    vars: V,
    covers: Covers,
}

impl<V: Vars> Vars for Filtered<V> {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        self.vars.each(&mut |name, var| {
            if self.covers.covers(name) {
                f(name, var);
            }
        });
    }
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

/// One, without a name.
impl Vars for Var {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        f("", self);
    }
}

/// Names inside a name follow it after a dot.
fn under<V: Vars + ?Sized>(outer: &str, vars: &V, f: &mut dyn FnMut(&str, &Var)) {
    let mut name = String::new();
    vars.each(&mut |inner, var| {
        if outer.is_empty() || inner.is_empty() {
            return f(if outer.is_empty() { inner } else { outer }, var);
        }
        name.clear();
        name.extend([outer, ".", inner]);
        f(&name, var);
    });
}

impl<N: AsRef<str>, V: Vars> Vars for (N, V) {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        under(self.0.as_ref(), &self.1, f);
    }
}

impl<V: Vars, S: std::hash::BuildHasher> Vars for HashMap<String, V, S> {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        let entries = self.iter().map(|(name, vars)| (name.as_str(), vars));
        let mut entries: Vec<(&str, &V)> = entries.collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        for (name, vars) in entries {
            under(name, vars, f);
        }
    }
}

impl<N: AsRef<str>, V: Vars> Vars for BTreeMap<N, V> {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        for (name, vars) in self {
            under(name.as_ref(), vars, f);
        }
    }
}

impl<N: AsRef<str>, V: Vars> Vars for [(N, V)] {
    fn each(&self, f: &mut dyn FnMut(&str, &Var)) {
        for pair in self {
            pair.each(f);
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
