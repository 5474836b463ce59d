//! A curve as a picture: both axes in powers of ten, or the lower one from zero.

use std::fmt::Write as _;

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// The name of its file.
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// Each with a name.
    pub(super) series: Vec<(&'static str, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
const COLOURS: [&str; 3] = ["#c0392b", "#2c6fbb", "#3a8a4a"];

/// An axis in powers of ten, over all figures.
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    fn over(figures: impl Iterator<Item = f64> + Clone) -> Axis {
        let least = figures.clone().fold(f64::INFINITY, f64::min).max(1e-9);
        let most = figures.fold(0.0, f64::max).max(least);
        let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Axis { from, to: to.max(from + 1) }
    }

    /// From 0 to 1.
    fn place(&self, figure: f64) -> f64 {
        (figure.max(1e-9).log10() - f64::from(self.from)) / f64::from(self.to - self.from)
    }
}

pub(super) fn number(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{}G", n / 1e9),
        n if n >= 1e6 => format!("{}M", n / 1e6),
        n if n >= 1e3 => format!("{}k", n / 1e3),
        n => format!("{n}"),
    }
}

pub(super) fn draw(curve: &Curve) -> String {
    let points = || curve.series.iter().flat_map(|(_, points)| points);
    let (x, y) = (Axis::over(points().map(|point| point.0)), Axis::over(points().map(|point| point.1)));
    let across = |figure| LEFT + x.place(figure) * (WIDTH - LEFT - RIGHT);
    let up = |figure| HEIGHT - BOTTOM - y.place(figure) * (HEIGHT - BOTTOM - TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
        curve.title
    );
    for power in x.from..=x.to {
        let (figure, at) = (10f64.powi(power), across(10f64.powi(power)));
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {TOP}V{}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            number(figure)
        );
    }
    for power in y.from..=y.to {
        let (figure, at) = (10f64.powi(power), up(10f64.powi(power)));
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(figure)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0,
        curve.x,
        (TOP + HEIGHT - BOTTOM) / 2.0,
        curve.y
    );
    for ((at, (name, points)), colour) in curve.series.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> =
            points.iter().map(|point| format!("{:.1} {:.1}", across(point.0), up(point.1))).collect();
        let _ = writeln!(
            out,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        for point in points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                across(point.0),
                up(point.1)
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
            WIDTH - RIGHT,
            20.0 + 14.0 * at as f64
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_points_within_its_axes() {
        let points = vec![(10.0, 0.5), (1e7, 2_000.0)];
        let curve = Curve { name: "c", title: "C".into(), x: "x", y: "y", series: vec![("a", points)] };
        let picture = draw(&curve);
        assert_eq!(picture.matches("<circle").count(), 2);
        assert!(picture.contains("<circle cx=\"70.0\""), "the first at the left end: {picture}");
        assert!(picture.contains(">10M<") && picture.contains(">0.1<"), "{picture}");
    }
}
