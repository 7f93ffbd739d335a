//! The way to the host, and how often it is taken.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};
use steadygrad::{Error, Result};

/// How many times numbers went from the device to the host.
#[derive(Debug, Default)]
pub(crate) struct Transfers(AtomicUsize);

impl Transfers {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbers on their way to the host.
pub(crate) enum Part {
    Int(Tensor<2, Int>),
    Float(Tensor<2>),
}

impl Part {
    fn device(&self) -> Device {
        match self {
            Self::Int(tensor) => tensor.device(),
            Self::Float(tensor) => tensor.device(),
        }
    }

    fn register(self, transaction: Transaction) -> Transaction {
        match self {
            Self::Int(tensor) => transaction.register(tensor),
            Self::Float(tensor) => transaction.register(tensor),
        }
    }
}

/// Brings everything to the host in the order given: one transfer for each device.
pub(super) fn transfer(parts: Vec<Part>, transfers: &Transfers) -> Result<Vec<TensorData>> {
    let mut lists: Vec<(Device, Vec<usize>, Transaction)> = vec![];
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let device = part.device();
        let place = lists.iter().position(|(other, ..)| *other == device);
        let (indices, transaction) = match place {
            Some(place) => {
                let (_, indices, transaction) = lists.swap_remove(place);
                (indices, transaction)
            }
            None => Default::default(),
        };
        let indices = [indices, vec![index]].concat();
        lists.push((device, indices, part.register(transaction)));
    }
    let mut all: Vec<Option<TensorData>> = vec![];
    all.resize_with(count, || None);
    for (_, indices, transaction) in lists {
        transfers.0.fetch_add(1, Ordering::Relaxed);
        let data = transaction
            .try_execute()
            .map_err(|error| Error::Storage(format!("{error:?}")))?;
        for (index, data) in indices.into_iter().zip(data) {
            all[index] = Some(data);
        }
    }
    let all: Vec<TensorData> = all.into_iter().flatten().collect();
    if all.len() == count {
        Ok(all)
    } else {
        Err(Error::Count {
            what: "tensors read from a device",
            expected: count,
            found: all.len(),
        })
    }
}
