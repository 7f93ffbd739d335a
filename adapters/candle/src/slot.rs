//! A place in a set: one tensor under its name, or the lack of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor as Values;
use steadygrad::{
    Ask, Edit, Edits, Error, Measurement, Result, Stats, Tensor, TensorMut, TensorRef, TensorSet,
    Visitor,
};

use crate::{device, host};

/// How often values came to the host.
#[derive(Debug, Default)]
pub(crate) struct Transfers(AtomicUsize);

impl Transfers {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What stands in a place.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing: no gradient has come for the variable.
    Missing,
    /// A contiguous tensor that shares no element with another place.
    OnHost(Values),
    /// The same, to be touched by candle's own operations only.
    OnDevice(Values),
    /// A tensor that could not be brought into that form.
    Unusable(Error),
}

/// One tensor under its name.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) content: Content,
    transfers: Transfers,
}

/// What a missing tensor is to the core.
const NONE: Option<Vec<f64>> = None;

impl Slot {
    pub(crate) fn new(name: &str, tensor: Result<Option<Values>>) -> Self {
        let content = match tensor {
            Ok(None) => Content::Missing,
            Ok(Some(values)) if values.device().is_cpu() => Content::OnHost(values),
            Ok(Some(values)) => Content::OnDevice(values),
            Err(error) => Content::Unusable(error),
        };
        Self {
            name: name.to_owned(),
            content,
            transfers: Transfers::default(),
        }
    }
}

impl Tensor for Slot {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        match &self.content {
            Content::Missing => NONE.stats(ask),
            Content::OnHost(values) => host::stats(values, ask),
            Content::OnDevice(values) => device::stats(values, ask, &self.transfers),
            Content::Unusable(error) => Err(error.clone()),
        }
    }

    fn len(&self) -> usize {
        match &self.content {
            Content::OnHost(values) | Content::OnDevice(values) => values.elem_count(),
            Content::Missing | Content::Unusable(_) => 0,
        }
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        match &self.content {
            Content::Missing => NONE.read(start, out),
            Content::OnHost(values) => host::read(values, start, out),
            Content::OnDevice(values) => device::read(values, start, out, &self.transfers),
            Content::Unusable(error) => Err(error.clone()),
        }
    }
}

impl TensorMut for Slot {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        match &self.content {
            Content::Missing => Ok(()),
            Content::OnHost(values) => host::edit(values, edit),
            Content::OnDevice(values) => device::edit(values, edit),
            Content::Unusable(error) => Err(error.clone()),
        }
    }

    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        if let Content::OnHost(values) = &self.content {
            return host::edit_and_measure(values, edit, p);
        }
        self.edit(edit)?;
        self.stats(&mut Ask {
            p,
            ..Ask::default()
        })
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        match &self.content {
            Content::Missing => {
                let mut none = NONE;
                none.add(start, values)
            }
            Content::OnHost(to) => host::add(to, start, values),
            Content::OnDevice(to) => device::add(to, start, values),
            Content::Unusable(error) => Err(error.clone()),
        }
    }
}

/// Slots in order.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) list: Vec<Slot>,
    transfers: Transfers,
}

impl Slots {
    /// Lets candle's own operations do everything, also in host memory.
    pub(crate) fn move_on_device(&mut self) {
        for slot in &mut self.list {
            let content = std::mem::replace(&mut slot.content, Content::Missing);
            slot.content = match content {
                Content::OnHost(values) => Content::OnDevice(values),
                other => other,
            };
        }
    }

    pub(crate) fn transfers(&self) -> usize {
        let single = self.list.iter().map(|slot| slot.transfers.count());
        self.transfers.count() + single.sum::<usize>()
    }

    pub(crate) fn is_on_host(&self) -> bool {
        let on_device = |slot: &Slot| matches!(slot.content, Content::OnDevice(_));
        !self.list.iter().any(on_device)
    }
}

impl TensorSet for Slots {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.list
            .iter()
            .try_for_each(|slot| f(&slot.name, TensorRef::Other(slot)))
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        if self.is_on_host() {
            let mut slots = self.list.iter().enumerate();
            return slots.try_for_each(|(i, slot)| into.measure(&slot.name, slot, after.get(i)));
        }
        device::measure(&self.list, after, into, &self.transfers)
    }
}
