//! From values to paths: what no eye could tell apart is left out, and no spike is.

use super::axis::Axis;
use super::scene::{Frame, Point};

/// What of a curve is seen in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    /// Paths without a gap.
    pub(super) pieces: Vec<Vec<Point>>,
    /// The columns in which values lie above the frame, infinite ones among them.
    pub(super) above: Vec<f64>,
    /// The columns in which values lie below the frame.
    pub(super) below: Vec<f64>,
    /// The columns in which values are NaN.
    pub(super) nan: Vec<f64>,
}

impl Curve {
    /// Of points in the order of x; where they go back, a path begins. Where a curve leaves the frame it ends at the edge, and where it returns it begins
    /// there: nothing runs along the edge, and nothing joins what is not a number.
    ///
    /// Of many points those are left out that no eye would miss where columns are as wide as this.
    pub(super) fn new(points: &[Point], [x, y]: [&Axis; 2], frame: &Frame, wide: f64) -> Self {
        let mut curve = Self::default();
        let is_in = |share: f64| (0.0..=1.0).contains(&share);
        let height = |share: f64| frame.bottom - share.clamp(0.0, 1.0) * frame.height();
        // The place and the share of the value before, if the next may be joined to it.
        let mut before: Option<Point> = None;
        for &(at, value) in points {
            let (along, share) = (x.share(at), y.share(value));
            if !is_in(along) {
                before = None;
                continue;
            }
            let at = frame.left + along * frame.width();
            match share {
                _ if share.is_nan() => column(&mut curve.nan, at),
                _ if share > 1.0 => column(&mut curve.above, at),
                _ if share < 0.0 => column(&mut curve.below, at),
                _ => (),
            }
            let is_joined = |&(from, last): &Point| at >= from && (is_in(last) || is_in(share));
            let joined = before.filter(is_joined);
            match (joined, curve.pieces.last_mut()) {
                _ if share.is_nan() => (),
                (Some((_, last)), Some(piece)) if is_in(last) => piece.push((at, height(share))),
                (Some((from, last)), _) => {
                    let piece = vec![(from, height(last)), (at, height(share))];
                    curve.pieces.push(piece);
                }
                _ if is_in(share) => curve.pieces.push(vec![(at, height(share))]),
                _ => (),
            }
            before = (!share.is_nan()).then_some((at, share));
        }
        if points.len() as f64 * wide > 3.0 * frame.width() {
            curve.pieces = thinned(curve.pieces, wide);
        }
        curve
    }

    /// The last place that the curve comes to.
    pub(super) fn end(&self) -> Option<Point> {
        self.pieces.last()?.last().copied()
    }
}

/// Takes down in which column of pixels something is, once.
fn column(columns: &mut Vec<f64>, at: f64) {
    let at = at.floor();
    if columns.last() != Some(&at) {
        columns.push(at);
    }
}

/// Of each column of pixels the first, the lowest, the highest and the last point: the same picture.
fn thinned(pieces: Vec<Vec<Point>>, wide: f64) -> Vec<Vec<Point>> {
    let column = |point: &Point| (point.0 / wide).floor();
    let mut thin: Vec<Vec<Point>> = Vec::new();
    for piece in pieces {
        // A gap within a column is no gap to the eye.
        let is_near = |last: &Vec<Point>| last.last().map(column) == piece.first().map(column);
        if !thin.last().is_some_and(is_near) {
            thin.push(Vec::new());
        }
        let Some(all) = thin.last_mut() else { continue };
        for points in piece.chunk_by(|a, b| column(a) == column(b)) {
            all.extend(ends_of(points));
        }
    }
    // What was joined may have several groups of points in one column.
    thin.into_iter()
        .map(|piece| {
            let groups = piece.chunk_by(|a, b| column(a) == column(b));
            groups.flat_map(ends_of).collect()
        })
        .collect()
}

/// The first, the lowest, the highest and the last, in their order.
fn ends_of(points: &[Point]) -> Vec<Point> {
    let by_height = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
    let last = points.len().saturating_sub(1);
    let highest = (0..points.len()).min_by(by_height).unwrap_or(0);
    let lowest = (0..points.len()).max_by(by_height).unwrap_or(0);
    let mut kept = [0, highest, lowest, last];
    kept.sort_unstable();
    let mut kept = kept.to_vec();
    kept.dedup();
    kept.into_iter()
        .filter_map(|i| points.get(i).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        left: 0.0,
        top: 0.0,
        right: 100.0,
        bottom: 100.0,
    };

    fn curve(points: &[Point]) -> Curve {
        let last = points.last().map_or(1.0, |point| point.0);
        let axes = [Axis::between(0.0, last), Axis::between(0.0, 1.0)];
        Curve::new(points, [&axes[0], &axes[1]], &FRAME, 1.0)
    }

    fn series(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        (0..).map(f64::from).zip(values).collect()
    }

    #[test]
    fn few_points_are_all_there() {
        let curve = curve(&series((0..=50).map(|i| f64::from(i % 7) / 10.0)));
        assert_eq!(curve.pieces.len(), 1);
        assert_eq!(curve.pieces[0].len(), 51);
        assert_eq!(curve.pieces[0][1], (2.0, 90.0));
        assert_eq!(curve.end(), Some((100.0, 90.0)));
    }

    #[test]
    fn a_spike_among_thousands_is_kept() {
        let mut values = vec![0.5; 100_000];
        values[77_777] = 1.0;
        values[33_333] = 0.0;
        let curve = curve(&series(values));
        let points = &curve.pieces[0];
        assert!(points.len() <= 4 * 101, "{}", points.len());
        let at = |y: f64| points.iter().find(|point| point.1 == y).unwrap().0;
        assert!((at(0.0) - 77.777).abs() < 1.0 && (at(100.0) - 33.333).abs() < 1.0);
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn nan_is_a_gap_and_infinity_a_way_to_the_edge() {
        let values = [
            0.5,
            f64::NAN,
            0.5,
            0.5,
            f64::INFINITY,
            f64::INFINITY,
            0.5,
            -3.0,
        ];
        let curve = curve(&series(values));
        let step = 100.0 / 7.0;
        assert_eq!(curve.pieces.len(), 3);
        assert_eq!(curve.pieces[0], [(0.0, 50.0)]);
        let ends = |piece: &[Point]| {
            piece
                .iter()
                .map(|p| (p.0 / step).round() as i32)
                .collect::<Vec<_>>()
        };
        assert_eq!(ends(&curve.pieces[1]), [2, 3, 4]);
        assert_eq!(ends(&curve.pieces[2]), [5, 6, 7]);
        assert_eq!(
            (
                curve.pieces[1][2].1,
                curve.pieces[2][0].1,
                curve.pieces[2][2].1
            ),
            (0.0, 0.0, 100.0)
        );
        assert_eq!(
            (curve.nan.len(), curve.above.len(), curve.below.len()),
            (1, 2, 1)
        );
    }

    #[test]
    fn gaps_narrower_than_a_pixel_do_not_make_a_path_each() {
        let value = |i: u32| if i.is_multiple_of(2) { 0.5 } else { f64::NAN };
        let curve = curve(&series((0..50_000).map(value)));
        assert!(curve.pieces.len() <= 101, "{}", curve.pieces.len());
        assert!(curve.pieces.iter().map(Vec::len).sum::<usize>() <= 404);
        assert!(curve.nan.len() <= 101);
    }

    #[test]
    fn steps_that_are_taken_again_are_a_path_of_their_own() {
        let curve = curve(&[(0.0, 0.1), (4.0, 0.9), (2.0, 0.2), (8.0, 0.3)]);
        assert_eq!(
            curve.pieces.iter().map(Vec::len).collect::<Vec<_>>(),
            [2, 2]
        );
    }

    #[test]
    fn nothing_but_nan_is_no_path() {
        let curve = curve(&series([f64::NAN; 9]));
        assert!(curve.pieces.is_empty() && curve.end().is_none() && curve.nan.len() == 9);
    }
}
