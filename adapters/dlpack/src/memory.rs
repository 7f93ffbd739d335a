//! Borrowed memory as a tensor of the core's. All that is unsafe in this package happens here: a pointer and a layout
//! become views of ndarray's, which the core reads and writes.

use std::marker::PhantomData;
use std::ptr::NonNull;

use half::{bf16, f16};
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn, ShapeBuilder, StrideShape};
use steadygrad::{
    Ask, Edit, Result, SliceMut, SliceRef, Stats, Tell, Tensor, TensorMut, TensorRef,
};
use steadygrad::{TensorSet, TensorSetMut, Visitor, VisitorMut};

use crate::layout::Layout;
use crate::overlap::Region;

/// What the elements are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    F32,
    F64,
    F16,
    BF16,
}

impl Kind {
    /// The bytes of an element, which are also what its address must be a multiple of: DLPack comes from other
    /// languages, so no target's own, smaller alignment of `f64` is made use of.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Where the elements lie and what they are, before anything is said of who may touch them.
#[derive(Debug)]
pub(crate) struct Place {
    start: NonNull<u8>,
    kind: Kind,
    layout: Layout,
}

impl Place {
    /// The elements that begin `offset` bytes behind `data`, which may be null if there are none.
    pub(crate) fn new(
        data: *mut u8,
        offset: u64,
        kind: Kind,
        layout: Layout,
    ) -> Result<Self, String> {
        if layout.is_empty() {
            let start = NonNull::<u64>::dangling().cast();
            return Ok(Self {
                start,
                kind,
                layout,
            });
        }
        if data.is_null() {
            return Err(format!(
                "expected {} elements, found a null pointer",
                layout.len()
            ));
        }
        let bytes = layout.span() * kind.size();
        let start = usize::try_from(offset).ok().and_then(|offset| {
            let start = data.addr().checked_add(offset)?;
            start.checked_add(bytes).map(|_| data.wrapping_add(offset))
        });
        let Some(start) = start.and_then(NonNull::new) else {
            return Err(format!(
                "expected a byte offset within memory, found {offset} behind {data:?}"
            ));
        };
        if !start.addr().get().is_multiple_of(kind.size()) {
            return Err(format!(
                "expected an address that is a multiple of {}, found {start:?}",
                kind.size()
            ));
        }
        Ok(Self {
            start,
            kind,
            layout,
        })
    }
}

/// The elements of a tensor, on loan for `'t`.
#[derive(Debug)]
pub(crate) struct Memory<'t> {
    place: Place,
    lent: PhantomData<&'t mut [u8]>,
}

// SAFETY: whoever made it has promised (`Memory::new`) that for `'t` nobody else touches the elements, so it is what a
// `&'t mut [f64]` is: numbers in memory of the host, which every thread may read by turns or at once, and whoever has
// it exclusively may write.
unsafe impl Send for Memory<'_> {}
// SAFETY: as above; through `&Memory` elements are only read.
unsafe impl Sync for Memory<'_> {}

/// Does the same with a view of the elements as what they are.
macro_rules! each_kind {
    ($memory:expr, $view:ident, $xs:pat => $do:expr) => {
        each_kind!($memory, $view, $xs => $do, F32: f32, F64: f64, F16: f16, BF16: bf16)
    };
    ($memory:expr, $view:ident, $xs:pat => $do:expr, $($kind:ident: $type:ty),*) => {{
        let memory = $memory;
        match memory.place.kind {
            $(Kind::$kind => {
                // SAFETY: the type is that of the kind.
                let $xs = unsafe { memory.$view::<$type>() };
                $do
            })*
        }
    }};
}

impl Memory<'_> {
    /// Lends the elements.
    ///
    /// # Safety
    ///
    /// For `'t` each element that `place` leads to is initialised and alive, all in one allocation, and nobody writes
    /// it but through this value; if this value is ever used mutably, nobody reads it either.
    pub(crate) unsafe fn new(place: Place) -> Self {
        Self {
            place,
            lent: PhantomData,
        }
    }

    /// Where the elements lie; nowhere if there are none.
    pub(crate) fn region(&self) -> Region<'_> {
        Region {
            address: self.place.start.addr().get(),
            size: self.place.kind.size(),
            layout: &self.place.layout,
        }
    }

    /// Whether the other is this tensor once more.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (a, b) = (&self.place, &other.place);
        a.start == b.start && a.kind == b.kind && a.layout == b.layout && !a.layout.is_empty()
    }

    fn shape(&self) -> StrideShape<IxDyn> {
        let layout = &self.place.layout;
        IxDyn(layout.dims()).strides(IxDyn(layout.strides()))
    }

    /// # Safety
    ///
    /// `E` is the type of `self.place.kind`.
    unsafe fn view<E>(&self) -> ArrayViewD<'_, E> {
        // SAFETY: `Place::new` has checked that the pointer is aligned and not null and that the way from it to the
        // last element neither leaves the address space nor is longer than `isize::MAX` bytes, `Layout::new` that
        // strides are not negative and that the product of the lengths fits. `Memory::new` was promised that the
        // elements are there, and that nobody writes them but through `&mut self`, which this view's borrow excludes.
        unsafe { ArrayViewD::from_shape_ptr(self.shape(), self.place.start.as_ptr().cast()) }
    }

    /// # Safety
    ///
    /// `E` is the type of `self.place.kind`.
    unsafe fn view_mut<E>(&mut self) -> ArrayViewMutD<'_, E> {
        // SAFETY: as in `view`; no two indices lead to the same element (`Layout::new`), and nobody reads or writes
        // them but through this value, which the view borrows exclusively.
        unsafe { ArrayViewMutD::from_shape_ptr(self.shape(), self.place.start.as_ptr().cast()) }
    }
}

impl Tensor for Memory<'_> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        each_kind!(self, view, xs => xs.stats(ask))
    }

    fn len(&self) -> usize {
        self.place.layout.len()
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(self.place.layout.dims())
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        each_kind!(self, view, xs => xs.to_slice()?.as_slice_ref())
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        each_kind!(self, view, xs => xs.read(start, out))
    }
}

impl TensorMut for Memory<'_> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        each_kind!(self, view_mut, mut xs => xs.edit(edit, tell))
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        each_kind!(self, view_mut, mut xs => xs.write(start, values))
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        each_kind!(self, view_mut, xs => xs.into_slice()?.as_slice_mut_ref())
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        each_kind!(self, view_mut, mut xs => xs.add(start, values))
    }
}

impl TensorSet for Memory<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl TensorSetMut for Memory<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }
}
