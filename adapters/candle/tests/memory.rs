//! A guarded step on the host makes no temporary tensor.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use steadygrad::{Guard, clip};
use steadygrad_candle::CandleGrads;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes that each thread asks of the heap.
struct Counting;

fn count(bytes: usize) {
    // A thread that is ending has no counter any more, and nobody looks at it.
    let _ = BYTES.try_with(|n| n.set(n.get() + bytes));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn bytes(f: impl FnOnce()) -> usize {
    let before = BYTES.get();
    f();
    BYTES.get() - before
}

#[test]
fn a_step_takes_a_few_kilobytes_whatever_the_size() {
    let mut store = GradStore::default();
    let mut vars = vec![];
    for (index, dtype) in [DType::F32, DType::F64, DType::F16, DType::BF16]
        .into_iter()
        .enumerate()
    {
        let var = Var::zeros((100, 1000), dtype, &Device::Cpu).unwrap();
        store.insert(
            &var,
            Tensor::ones((100, 1000), dtype, &Device::Cpu).unwrap(),
        );
        vars.push((format!("layers.{index}.weight"), var));
    }
    assert!(bytes(|| drop(store.get(&vars[0].1).unwrap().sqr().unwrap())) >= 400_000);
    let mut guard = Guard::new()
        .clip(clip::Value::new(0.5).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap());
    for _ in 0..3 {
        let taken = bytes(|| {
            let report = guard
                .step(&mut CandleGrads::new(&mut store, &vars))
                .unwrap();
            assert!(report.verdict().is_apply());
        });
        assert!(taken < 40_000, "{taken} bytes");
    }
    let taken = bytes(|| {
        let _ = guard
            .step(&mut CandleGrads::new(&mut store, &vars))
            .unwrap();
    });
    assert!(taken < 4_000, "{taken} bytes once warm");
}
