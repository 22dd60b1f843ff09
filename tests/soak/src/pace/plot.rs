//! Draws curves as SVG, both axes logarithmic.

use crate::pace::Curve;
use std::fmt::Write as _;

const WIDTH: f64 = 700.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// How far apart names are, so that each can be read.
const LINE: f64 = 13.0;

/// Told apart by people who see few colours, too (Okabe and Ito).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"];

/// Powers of ten that hold all values.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|it| *it > 0.0) {
            low = low.min(value.log10().floor());
            high = high.max(value.log10().ceil());
        }
        if low.is_finite() {
            Self { low, high: high.max(low + 1.0) }
        } else {
            Self { low: 0.0, high: 1.0 }
        }
    }

    /// Where a value stands, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (mut at, high) = (self.low, self.high);
        std::iter::from_fn(move || {
            let tick = (at <= high).then(|| 10f64.powf(at));
            at += 1.0;
            tick
        })
    }
}

/// Draws `value` of each point against the number of targets.
#[must_use]
pub fn svg(
    title: &str,
    unit: &str,
    curves: &[Curve],
    value: impl Fn(&crate::pace::Taken) -> f64,
) -> String {
    let points = || curves.iter().flat_map(|it| &it.points);
    let across = Axis::of(points().map(|it| it.0));
    let up = Axis::of(points().map(|it| value(&it.1)));
    let x = |it: f64| LEFT + across.place(it) * (WIDTH - LEFT - RIGHT);
    let y = |it: f64| HEIGHT - BOTTOM - up.place(it) * (HEIGHT - TOP - BOTTOM);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for tick in up.ticks() {
        let (at, end) = (y(tick), WIDTH - RIGHT);
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick} {unit}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for tick in across.ticks() {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
            x(tick),
            HEIGHT - BOTTOM + 20.0
        );
    }
    let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"{}\">targets</text>", HEIGHT - 10.0);
    let mut named: Vec<(f64, f64)> = Vec::new();
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let places: Vec<_> = curve.points.iter().map(|it| (x(it.0), y(value(&it.1)))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in &places {
            let _ =
                writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        if let Some((x, y)) = places.last() {
            let (name, x, mut y) = (&curve.name, x + 8.0, y + 4.0);
            let is_hit =
                |it: &&(f64, f64), y: f64| (it.0 - x).abs() < 1.0 && (it.1 - y).abs() < LINE;
            while let Some(other) = named.iter().find(|it| is_hit(it, y)) {
                y = other.1 + LINE;
            }
            named.push((x, y));
            let _ =
                writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>");
        }
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Taken;

    #[test]
    fn a_tenfold_value_stands_one_step_higher() {
        let axis = Axis::of([0.02, 5.0].into_iter());
        assert_eq!(axis.ticks().count(), 4);
        let step = axis.place(1.0) - axis.place(0.1);
        assert!((step - 1.0 / 3.0).abs() < 1e-9);
        let taken = Taken { seconds: 0.5, mebibytes: 9.0 };
        let curve = Curve { name: "one".into(), points: vec![(100.0, taken), (1000.0, taken)] };
        let text = svg("Time", "s", &[curve], |it| it.seconds);
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains(">one</text>"));
    }

    #[test]
    fn names_of_curves_that_end_together_stand_one_below_the_other() {
        let taken = Taken { seconds: 0.5, mebibytes: 9.0 };
        let curve = |name: &str| Curve { name: name.into(), points: vec![(100.0, taken)] };
        let text = svg("Time", "s", &["one", "two", "three"].map(curve), |it| it.seconds);
        let height = |name: &str| {
            let line = text.lines().find(|it| it.ends_with(&format!(">{name}</text>"))).unwrap();
            let rest = line.split_once(" y=\"").unwrap().1;
            rest.split_once('"').unwrap().0.parse::<f64>().unwrap()
        };
        assert!((height("two") - height("one") - LINE).abs() < 0.2);
        assert!((height("three") - height("two") - LINE).abs() < 0.2);
    }
}
