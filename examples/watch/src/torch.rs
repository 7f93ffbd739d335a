//! Runs that PyTorch made and logged: the same tasks and ranges of settings, other cells and another arithmetic.

use crate::replay::Run;
use crate::train::Row;

/// run, step, loss, norm of the gradients, norm of the parameters: `tests/oracle/watch.py` writes it.
const LOG: &str = include_str!("../../../tests/data/torch_runs.csv");

pub(crate) fn runs() -> Result<Vec<Run>, String> {
    let mut runs: Vec<Vec<Row>> = vec![];
    for (number, line) in (1..).zip(LOG.lines()).skip(1) {
        let strange =
            || format!("torch_runs.csv, line {number}: five numbers expected, found '{line}'");
        let fields: Vec<f64> = line
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| strange())?;
        let [run, step, loss, grad_norm, weight_norm] = fields[..] else {
            return Err(strange());
        };
        if run as usize == runs.len() {
            runs.push(vec![]);
        }
        let rows = runs.last_mut().ok_or_else(strange)?;
        rows.push(Row {
            loss,
            grad_norm,
            weight_norm,
            update_norm: None,
        });
        if step as usize != rows.len() {
            return Err(strange());
        }
    }
    Ok(runs.into_iter().map(Run::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_they_were_written() {
        let runs = runs().unwrap();
        assert_eq!(runs.len(), 60);
        let rows: usize = runs.iter().map(|run| run.rows.len()).sum();
        assert_eq!(rows, LOG.lines().count() - 1);
        let first = runs[0].rows[1];
        assert_eq!(
            (first.loss, first.grad_norm, first.weight_norm),
            (0.6045, 0.4655, 5.337)
        );
        let lost = runs.iter().filter(|run| run.onset.is_some()).count();
        assert!((5..50).contains(&lost), "{lost}");
    }
}
