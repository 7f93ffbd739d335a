//! Run by each of several processes (`mpirun -n 4 cargo test -p steadygrad-mpi --test ranks`), or by one.
//!
//! Not of libtest, whose tests are threads of their own in an order of their own: ranks have to go together.

use mpi::Threading;
use mpi::topology::{Color, Communicator, SimpleCommunicator};
use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm};
use steadygrad::detect::NormThreshold;
use steadygrad::reduce::{AllReduce, Owner, Shards};
use steadygrad::{Error, Guard, Result, Verdict};
use steadygrad_mpi::{Own, World, abort_on_panic};

fn main() {
    let mut before = World::new();
    assert!(matches!(before.sum(&mut [1]), Err(Error::Wire(_))));
    let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple).unwrap();
    // A check that fails on one rank would leave the others waiting.
    abort_on_panic();
    assert_eq!(threading, Threading::Multiple);
    let world = universe.world();
    sums_and_maxima(&world);
    ranks_decide_as_one_process_does(&world);
    a_guard_goes_to_another_thread();
    halves_go_by_themselves(&world);
    a_fault_is_named_on_all(&world);
    errors_are_told_on_all(&world);
    replicas_that_differ_are_named(&world);
    if world.rank() == 0 {
        println!("7 checks on {} ranks", world.size());
    }
}

fn sums_and_maxima(world: &SimpleCommunicator) {
    let (rank, ranks) = (i64::from(world.rank()), i64::from(world.size()));
    let mut wire = World::new();
    assert_eq!((wire.rank() as i64, wire.ranks() as i64), (rank, ranks));
    for len in [0, 1, 2, 67, 1000] {
        let mut limbs: Vec<i64> = (0..len).map(|i| i + (rank << 40)).collect();
        wire.sum(&mut limbs).unwrap();
        let expected = (0..len).map(|i| i * ranks + ((ranks * (ranks - 1) / 2) << 40));
        assert!(limbs.iter().copied().eq(expected));
        let mut values: Vec<f64> = (0..len).map(|i| (rank * (i % 3 - 1)) as f64).collect();
        wire.max(&mut values).unwrap();
        let most = |i: i64| ((ranks - 1) * (i % 3 - 1)).max(0) as f64;
        assert!(values.iter().copied().eq((0..len).map(most)));
    }
    let mut values = [f64::NEG_INFINITY, -f64::MAX, f64::INFINITY];
    wire.max(&mut values).unwrap();
    assert_eq!(values, [f64::NEG_INFINITY, -f64::MAX, f64::INFINITY]);
}

/// The other ranks of a process that has none.
#[derive(Debug)]
struct Alone;

impl AllReduce for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn sum(&mut self, _: &mut [i64]) -> Result<()> {
        Ok(())
    }

    fn max(&mut self, _: &mut [f64]) -> Result<()> {
        Ok(())
    }
}

fn guard(wire: impl AllReduce + 'static, shards: Shards) -> Guard {
    Guard::new()
        .clip(TensorNorm::new(3.0).unwrap().on("w"))
        .clip(GlobalNorm::new(1.0).unwrap())
        .detect_with(Verdict::Skip, NormThreshold::new(1.0).unwrap())
        .reduced_by(wire, shards)
}

type Grads = Vec<(String, Vec<f32>)>;

/// Of everything, with numbers far apart.
fn whole(step: u32) -> Grads {
    let number = |i: u32| {
        f32::from_bits(0x3000_0000 + (i.wrapping_mul(0x0135_7531) + step * 77) % 0x1800_0000)
    };
    let tensor = |t: u32| {
        let name = if t % 3 == 2 { "tied" } else { "w" };
        let elements = (0..t * 5 % 13).map(|i| number(t * 100 + i));
        (format!("{name}{t}"), elements.collect())
    };
    (0..11).map(tensor).collect()
}

fn ranks_decide_as_one_process_does(world: &SimpleCommunicator) {
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    for is_cut in [false, true] {
        let shards = if is_cut {
            Shards::elements()
        } else {
            Shards::tensors()
        };
        let shards = shards.tied("tied", Owner(ranks - 1)).checked();
        let mut one = guard(Alone, shards.clone());
        let mut mine = guard(World::new(), shards);
        for step in 0..5 {
            let mut all = whole(step);
            let range = |len: usize| len * rank / ranks..len * (rank + 1) / ranks;
            let part = |all: &Grads| -> Grads {
                let tensors = all.iter().enumerate().filter_map(|(i, (name, grad))| {
                    let is_tied = name.starts_with("tied");
                    match (is_cut, is_tied) {
                        (_, true) => Some((name.clone(), grad.clone())),
                        (true, false) => Some((name.clone(), grad[range(grad.len())].to_vec())),
                        (false, false) => (i % ranks == rank).then(|| (name.clone(), grad.clone())),
                    }
                });
                tensors.collect()
            };
            let mut shard = part(&all);
            let expected = one.step(&mut all).unwrap();
            let report = mine.step(&mut shard).unwrap();
            assert_eq!(report.verdict(), expected.verdict());
            assert_eq!(report.before().to_bits(), expected.before().to_bits());
            assert_eq!(report.after().to_bits(), expected.after().to_bits());
            assert!(report.is_clipped() || report.edits().is_empty() || !expected.is_clipped());
            assert_eq!(shard, part(&all));
        }
    }
}

fn a_guard_goes_to_another_thread() {
    let mut guard = guard(World::new(), Shards::tensors());
    let verdict = std::thread::spawn(move || {
        let rank = World::new().rank();
        let mut grads = [(format!("w{rank}"), [3.0])];
        guard.step(&mut grads).unwrap().verdict()
    });
    assert_eq!(verdict.join().unwrap(), Verdict::Apply);
}

fn halves_go_by_themselves(world: &SimpleCommunicator) {
    let half = world.split_by_color(Color::with_value(world.rank() % 2));
    let own = Own::new(half.unwrap()).unwrap();
    let ranks = own.ranks();
    let mut guard = guard(own, Shards::tensors());
    for step in 0..=world.rank() % 2 {
        let mut grads = [(format!("v{}", world.rank()), [2.0])];
        let report = guard.step(&mut grads).unwrap();
        assert_eq!(
            (report.before(), report.step()),
            (2.0 * (ranks as f64).sqrt(), 1 + step as u64)
        );
    }
}

fn a_fault_is_named_on_all(world: &SimpleCommunicator) {
    let last = world.size() - 1;
    let is_last = world.rank() == last;
    let mut guard = guard(World::new(), Shards::tensors());
    let name = format!("w{}", world.rank());
    let mut grads = [(name.clone(), [1.0, if is_last { f32::NAN } else { 1.0 }])];
    let report = guard.step(&mut grads).unwrap();
    let fault = report.non_finite().unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
    assert_eq!(fault.tensor(), Some(format!("w{last}").as_str()));
    assert_eq!(fault.rank(), (!is_last).then_some(last as usize));
}

fn errors_are_told_on_all(world: &SimpleCommunicator) {
    let is_first = world.rank() == 0;
    let mut guard = guard(World::new(), Shards::tensors());
    for step in 1..=2 {
        let error = if is_first {
            guard.fail("the disk is full")
        } else {
            guard.step(&mut [1.0]).map(drop).unwrap_err()
        };
        let told = if is_first {
            "across ranks: the disk is full"
        } else {
            "across ranks: rank 0 failed: the disk is full"
        };
        assert_eq!(
            (error.to_string().as_str(), guard.report().step()),
            (told, step)
        );
    }
}

fn replicas_that_differ_are_named(world: &SimpleCommunicator) {
    let shards = Shards::tensors().tied("tied", Owner(0)).checked();
    let mut guard = guard(World::new(), shards);
    let x = if world.rank() == 0 { 1.0 } else { 2.0 };
    let stepped = guard.step(&mut [("tied", [x])]).map(drop);
    if world.size() == 1 {
        return assert_eq!(stepped, Ok(()));
    }
    let told = stepped.unwrap_err().to_string();
    assert!(
        told.contains("tensor tied is tied: expected rank 1 to have what rank 0"),
        "{told}"
    );
}
