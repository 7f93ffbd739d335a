//! Variables to be watched, and to be brought back.

use std::collections::HashSet;
use std::fmt;
use std::iter;
use std::sync::OnceLock;

use candle_core::TensorId;
use steadygrad::{Reading, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

use crate::Vars;
use crate::places::{self, Places, place};
use crate::vars::trained;

/// Some variables, as a set that steadygrad measures: for rules and detectors that look at weights, and for
/// [`Recovery`](steadygrad::Recovery), which brings the last good ones back.
///
/// The names and their order are those of [`CandleGrads`](crate::CandleGrads) for the same variables.
/// It follows the variables as they change, and looks into the list at each measurement, so one that was
/// made of a `VarMap` before its layers serves a whole training. What leaves the list meanwhile is kept
/// in memory for as long as the set.
///
/// What is written through it is written where a variable lies, as by [`Var::set`](candle_core::Var::set), so every handle
/// of the variable sees it.
///
/// # Examples
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{Init, VarMap};
/// use steadygrad::Measurement;
/// use steadygrad_candle::CandleParams;
///
/// let map = VarMap::new();
/// let params = CandleParams::new(&map);
/// map.get(2, "w", Init::Const(3.0), DType::F64, &Device::Cpu)?;
/// map.get((), "steps", Init::Const(7.0), DType::U32, &Device::Cpu)?;   // nothing that is trained
/// assert_eq!(Measurement::of(&params)?.total().l2(), 18f64.sqrt());
///
/// map.get(1, "b", Init::Const(4.0), DType::F32, &Device::Cpu)?;
/// assert_eq!(Measurement::of(&params)?.total().l2(), 34f64.sqrt());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CandleParams<V> {
    vars: V,
    on_device: bool,
    first: Listed,
}

/// The variables as they stood in the list at one time.
struct Listed {
    keys: Vec<(String, TensorId)>,
    places: Places,
    /// The list once it had changed. What was lent of this one stays where it is.
    later: OnceLock<Box<Listed>>,
}

impl Listed {
    fn of(vars: &impl Vars, on_device: bool) -> Self {
        let (mut keys, mut places) = (vec![], Places::default());
        let mut seen = HashSet::new();
        trained(vars, &mut |name, var| {
            keys.push((name.to_owned(), var.id()));
            if seen.insert(var.id()) {
                // A variable owns its storage, and that is contiguous.
                places.push(name, place(Ok(Some(var.as_detached_tensor()))));
            }
        });
        Self {
            keys,
            places: if on_device {
                places.map(places::on_device)
            } else {
                places
            },
            later: OnceLock::new(),
        }
    }

    fn is_of(&self, vars: &impl Vars) -> bool {
        let (mut known, mut same) = (self.keys.iter(), true);
        trained(vars, &mut |name, var| {
            let next = known.next();
            same = same && next.is_some_and(|(known, id)| known == name && *id == var.id());
        });
        same && known.next().is_none()
    }
}

impl<V: Vars> CandleParams<V> {
    /// The values of `vars`, which may be lent or given; one that is listed under two names counts once.
    #[must_use]
    pub fn new(vars: V) -> Self {
        Self {
            first: Listed::of(&vars, false),
            on_device: false,
            vars,
        }
    }

    /// Lets candle's own operations do all the work, as on a device, also for tensors of the host.
    #[must_use]
    pub fn on_device(self) -> Self {
        Self {
            first: Listed::of(&self.vars, true),
            on_device: true,
            vars: self.vars,
        }
    }

    /// How often values were brought from a device to the host since the set was built.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.lists().map(|listed| listed.places.transfers()).sum()
    }

    pub(crate) fn vars(&self) -> &V {
        &self.vars
    }

    fn lists(&self) -> impl Iterator<Item = &Listed> {
        iter::successors(Some(&self.first), |listed| listed.later.get().map(|b| &**b))
    }

    /// The variables that stand in the list now.
    fn now(&self) -> &Places {
        let last = self.lists().last().unwrap_or(&self.first);
        if last.is_of(&self.vars) {
            return &last.places;
        }
        let later = || Box::new(Listed::of(&self.vars, self.on_device));
        &last.later.get_or_init(later).places
    }

    /// The same, to be changed.
    fn now_mut(&mut self) -> &mut Places {
        // The last list is one of them from here on.
        let _ = self.now();
        let mut last = &mut self.first;
        while last.later.get().is_some() {
            last = match last.later.get_mut() {
                Some(later) => later,
                None => break,
            };
        }
        &mut last.places
    }
}

impl<V> fmt::Debug for CandleParams<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.first.keys.iter().map(|(name, _)| name);
        f.debug_tuple("CandleParams")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}

impl<V: Vars> TensorSet for CandleParams<V> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.now().visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.now().measure(reading)
    }
}

impl<V: Vars> TensorSetMut for CandleParams<V> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.now_mut().visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.now_mut().carry_out(writing)
    }
}
