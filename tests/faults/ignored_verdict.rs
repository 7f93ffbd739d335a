//! Kind 12: a verdict that nobody looks at.
//!
//! That an ignored step warns is shown by the examples of [`Stepped`], one of which must not compile. Here a
//! one-line clip must compile as it stands.
#![deny(unused_must_use)]

use steadygrad::clip::Clipper;
use steadygrad::{Guard, Report, Stepped, Verdict, clip};

fn guard() -> Guard {
    Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap())
}

#[test]
fn a_clip_in_one_line_warns_of_nothing() -> steadygrad::Result<()> {
    let mut grads = [3.0_f32, 4.0];
    clip::global_norm(&mut grads, 1.0)?;
    assert_eq!(grads, [0.6, 0.8]);
    clip::tensor_norm(&mut grads, 0.5)?;
    assert_eq!(grads, [0.3, 0.4]);
    clip::value(&mut grads, 0.25)?;
    assert_eq!(grads, [0.25, 0.25]);
    clip::GlobalNorm::new(0.0)?.apply(&mut grads)?;
    assert_eq!(grads, [0.0, 0.0]);
    Ok(())
}

#[test]
fn a_step_and_a_plan_carried_out_give_what_warns() {
    fn of_step<'g>(guard: &'g mut Guard, grads: &mut [f64]) -> Stepped<'g> {
        guard.step(grads).unwrap()
    }
    fn of_plan<'g>(guard: &'g mut Guard, grads: &mut [f64]) -> Stepped<'g> {
        guard.plan(&*grads).unwrap().apply(grads).unwrap()
    }
    for guarded in [of_step, of_plan] {
        let (mut guard, mut grads) = (guard(), [3.0, 4.0]);
        let stepped = guarded(&mut guard, &mut grads);
        assert_eq!(stepped.verdict(), Verdict::Apply);
        assert_eq!((stepped.before(), stepped.after()), (5.0, 1.0));
        let text = "step 1: norm 5.000 -> 1.000, scaled by 0.2000; apply";
        assert_eq!(stepped.to_string(), text);
        assert_eq!(format!("{stepped:>60}"), format!("{:>60}", *stepped));
        assert_eq!(format!("{stepped:?}"), format!("{:?}", *stepped));
        // A clone lives on while the guard goes on.
        let kept: Report = stepped.clone();
        let lent: &Report = stepped.report();
        assert_eq!(*lent, kept);
        assert_eq!(
            guarded(&mut guard, &mut [f64::NAN]).verdict(),
            Verdict::Skip
        );
        assert_eq!((kept.step(), guard.report().step()), (1, 2));
    }
}
