//! Named tensors, in order, no element in two of them.

use steadygrad::{Error, Result};

use crate::DlpackTensor;
use crate::memory::{Memory, Place};
use crate::overlap::{self, Region};

/// What both sets keep: a list of pairs, which is a set of the core's.
pub(crate) type Places<'t> = Vec<(String, Option<Memory<'t>>)>;

/// Checks the tensors and lends them. One that comes twice is kept once, under its first name.
///
/// # Safety
///
/// What [`Memory::new`] asks for, of each tensor; but they may share elements, which is found here.
#[expect(unsafe_code, reason = "what memory holds, only the caller knows")]
pub(crate) unsafe fn lend<'t, N: Into<String>, T: Into<DlpackTensor<'t>>>(
    tensors: impl IntoIterator<Item = (N, T)>,
    is_written: bool,
) -> Result<Places<'t>> {
    let mut places: Places<'t> = vec![];
    for (name, tensor) in tensors {
        let name = name.into();
        let place: Option<Place> = tensor
            .into()
            .place(is_written)
            .map_err(|why| wrong(&name, &why))?;
        // SAFETY: what is asked of the caller; of two that share elements, neither leaves this function.
        places.push((name, place.map(|place| unsafe { Memory::new(place) })));
    }
    drop_repeated(&mut places);
    let (at, regions): (Vec<usize>, Vec<Region<'_>>) = (places.iter().enumerate())
        .filter_map(|(i, (_, memory))| Some((i, memory.as_ref()?.region())))
        .unzip();
    if let Some((a, b)) = overlap::first(&regions) {
        let (first, second) = (at[a.min(b)], at[a.max(b)]);
        let with = &places[first].0;
        let why = format!("expected elements of its own, found some that {with} has, too");
        return Err(wrong(&places[second].0, &why));
    }
    Ok(places)
}

/// Drops what is an earlier tensor once more.
fn drop_repeated(places: &mut Places<'_>) {
    let mut order: Vec<(usize, usize)> = (places.iter().enumerate())
        .filter_map(|(i, (_, memory))| Some((memory.as_ref()?.region().address, i)))
        .collect();
    order.sort_unstable();
    let is_again = |a: usize, b: usize| match (&places[a].1, &places[b].1) {
        (Some(a), Some(b)) => a.is(b),
        _ => false,
    };
    let pairs = order.windows(2);
    let repeated = pairs.filter(|pair| is_again(pair[0].1, pair[1].1));
    let mut repeated: Vec<usize> = repeated.map(|pair| pair[1].1).collect();
    if repeated.is_empty() {
        return;
    }
    repeated.sort_unstable();
    let mut index = 0;
    places.retain(|_| {
        index += 1;
        repeated.binary_search(&(index - 1)).is_err()
    });
}

fn wrong(name: &str, why: &str) -> Error {
    Error::Storage(format!("{name}: {why}"))
}
