//! Files of weights that lie: thousands of them, each an error or a value, and none of them gets memory by its word.
#![cfg(feature = "safetensors")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use steadygrad::recurrent::{Lstm, ReadOut, Rnn, StateDict};

const FILE: &[u8] = include_bytes!("oracle/weights.safetensors");

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// Counts what each thread holds of the heap, and the most it ever held.
struct Counting;

fn grow(bytes: usize) {
    // A thread that is ending has no counter any more, and nobody looks at it.
    let _ = HELD.try_with(|held| {
        held.set(held.get().wrapping_add(bytes));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn shrink(bytes: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(bytes)));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        shrink(layout.size());
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        shrink(layout.size());
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// The most that is held at once while this runs, beyond what was held before.
fn peak(f: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    f();
    PEAK.get() - before
}

/// What a file may cost: its header is read into names and shapes, a `[1,1,1,…` of which takes 32 bytes for two.
fn allowed(file: &[u8]) -> usize {
    64 * file.len() + 16_384
}

/// Reads all there is to read. Whatever comes of it, it comes back.
fn try_everything(file: &[u8]) -> bool {
    let used = peak(|| {
        let _ = StateDict::from_safetensors(file);
    });
    assert!(
        used <= allowed(file),
        "{used} bytes for a file of {}",
        file.len()
    );
    let Ok(dict) = StateDict::from_safetensors(file) else {
        return false;
    };
    let mut lstm = Lstm::<f32>::builder(2, 3).build(&mut || 0.5).unwrap();
    let mut rnn = Rnn::<f64>::builder(2, 3).build(&mut || 0.5).unwrap();
    let mut head = ReadOut::<f64>::builder(2, 3).build(&mut || 0.5).unwrap();
    let used = peak(|| {
        let _ = dict.load("lstm.", &mut lstm);
        let _ = dict.load("f16.", &mut lstm);
        let _ = dict.load("rnn.", &mut rnn);
        let _ = dict.load("fc.", &mut head);
        let _ = dict.load("", &mut head);
    });
    // Into what is there already; an error has names in it.
    assert!(used <= allowed(file), "{used} bytes to load");
    for name in dict.names() {
        let used = peak(|| drop(dict.tensor::<f64>(name)));
        assert!(used <= allowed(file), "{used} bytes for one tensor");
    }
    // What was accepted can be written and read again.
    let again = dict.to_safetensors().unwrap();
    assert!(StateDict::from_safetensors(&again).unwrap() == dict);
    true
}

/// The `SplitMix64` generator.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(peak(|| drop(std::hint::black_box(vec![1_u8; 1000]))), 1000);
    assert_eq!(peak(|| ()), 0);
}

#[test]
fn the_file_itself_is_read() {
    assert!(try_everything(FILE));
}

#[test]
fn bytes_of_the_header_changed() {
    let header = 8 + u64::from_le_bytes(FILE[..8].try_into().unwrap()) as usize;
    let mut random = Random(1);
    let mut accepted = 0;
    for round in 0..4000 {
        let mut file = FILE.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(header);
            file[at] = match round % 4 {
                0 => random.below(256) as u8,
                1 => file[at] ^ (1 << random.below(8)),
                // What numbers and lists are made of.
                2 => b"0123456789[]{}:,\"-e."[random.below(20)],
                _ => file[random.below(header)],
            };
        }
        accepted += u32::from(try_everything(&file));
    }
    // A changed letter of a name leaves a good file; most changes do not.
    assert!((1..2000).contains(&accepted), "{accepted}");
}

#[test]
fn parts_cut_out_doubled_and_moved() {
    let mut random = Random(2);
    for round in 0..1500 {
        let mut file = FILE.to_vec();
        let start = random.below(file.len());
        let end = start + random.below(200.min(file.len() - start)) + 1;
        match round % 3 {
            0 => drop(file.drain(start..end.min(file.len()))),
            1 => file.truncate(start),
            _ => {
                let part = file[start..end.min(file.len())].to_vec();
                let at = random.below(file.len());
                file.splice(at..at, part);
            }
        }
        try_everything(&file);
    }
}

#[test]
fn numbers_of_the_header_replaced() {
    let header = 8 + u64::from_le_bytes(FILE[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&FILE[8..header]).unwrap();
    let lies = [
        "0",
        "-1",
        "1e9",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "[]",
        "null",
        "\"\"",
        "0.5",
    ];
    let mut random = Random(3);
    let digits: Vec<usize> = text
        .char_indices()
        .filter(|(_, c)| c.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    for round in 0..2000 {
        let from = digits[random.below(digits.len())];
        let to = from + text[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
        let lie = lies[round % lies.len()];
        let text = [&text[..from], lie, &text[to..]].concat();
        let mut file = (text.len() as u64).to_le_bytes().to_vec();
        file.extend(text.as_bytes());
        file.extend(&FILE[header..]);
        try_everything(&file);
    }
}

#[test]
fn headers_that_claim_to_be_long() {
    for claim in [
        0,
        1,
        7,
        8,
        1 << 20,
        99_999_999,
        100_000_000,
        100_000_001,
        1 << 40,
        u64::MAX - 8,
        u64::MAX,
    ] {
        let mut file = FILE.to_vec();
        file[..8].copy_from_slice(&claim.to_le_bytes());
        assert!(!try_everything(&file), "{claim}");
    }
    let used = peak(|| {
        let _ = StateDict::from_safetensors(&99_999_999_u64.to_le_bytes());
    });
    assert!(used < 1000, "{used}");
}

#[test]
fn long_lists_and_many_names_cost_what_they_are() {
    let shape = vec!["1"; 100_000].join(",");
    let long = format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,1]}}}}"#);
    let names =
        (0..10_000).map(|k| format!(r#""{k}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#));
    let many = format!("{{{}}}", names.collect::<Vec<_>>().join(","));
    let nested = "[".repeat(200_000);
    for (text, data) in [(long, &[0_u8][..]), (many, &[]), (nested, &[])] {
        let mut file = (text.len() as u64).to_le_bytes().to_vec();
        file.extend(text.as_bytes());
        file.extend(data);
        let used = peak(|| {
            let _ = StateDict::from_safetensors(&file);
        });
        assert!(used <= allowed(&file), "{used} bytes for {}", file.len());
    }
}
