//! The returns of all trainings in one picture.

use std::path::Path;

use plotters::prelude::*;

use crate::tell::Told;

/// The returns of all trainings, each with whether it was guarded and whether its reward was broken.
pub(crate) fn draw(path: &Path, courses: &[(bool, bool, Vec<f64>)], updates: u32) -> Told {
    let ink = RGBColor(40, 44, 52);
    let text = |size| ("sans-serif", size).into_font().color(&ink);
    let root = SVGBackend::new(path, (800, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = "A pole on a cart, PPO: without a guard (red) and with one (blue)";
    let root = root.titled(title, text(20))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(1..updates.max(2), 0.0..520.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(228, 231, 236))
        .label_style(text(14))
        .axis_desc_style(text(15))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .x_desc("update (dashed: a broken reward)")
        .y_desc("steps the pole stood")
        .draw()?;
    for (guarded, breaks, returns) in courses {
        let red = RGBColor(204, 51, 17);
        let colour = if *guarded {
            RGBColor(34, 119, 187)
        } else {
            red
        };
        let points = (1..).zip(returns.iter().copied());
        if *breaks {
            let style = colour.stroke_width(2);
            chart.draw_series(DashedLineSeries::new(points, 6, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points, colour.stroke_width(1)))?;
        }
    }
    root.present()?;
    Ok(())
}
