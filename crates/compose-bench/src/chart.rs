//! The chart: bars for the times of the six sources and the bytes of the largest repo.

use std::fmt::Write as _;

use crate::scenarios::Results;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 310.0;
const VALUES: f64 = 100.0;
const ROW: f64 = 26.0;

/// Colours for light and dark pages.
const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}.note{fill:#59636e}\
    .ours{fill:#0969da}.theirs{fill:#afb8c1}\
    @media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.ours{fill:#4493f8}.theirs{fill:#484f58}}\
    </style>\n";

/// A group of bars.
struct Panel {
    title: String,
    bars: Vec<Bar>,
}

struct Bar {
    label: String,
    value: f64,
    shown: String,
}

/// Returns the chart as a self-contained SVG.
pub(crate) fn svg(results: &Results) -> String {
    let panels = panels(results);
    let rows: usize = panels.iter().map(|panel| panel.bars.len() + 2).sum();
    let height = (rows as f64 + 0.5) * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>bitops-compose against the alternatives</title>\n{STYLE}"
    );
    let mut top = 0.0;
    for panel in &panels {
        let most = panel
            .bars
            .iter()
            .map(|bar| bar.value)
            .fold(f64::MIN_POSITIVE, f64::max);
        write_text(&mut out, "title", 8.0, top + ROW, &panel.title);
        top += ROW * 1.4;
        for bar in &panel.bars {
            let length = (bar.value / most * (WIDTH - LABELS - VALUES)).max(1.0);
            let class = if bar.label.starts_with("bitops-compose") {
                "ours"
            } else {
                "theirs"
            };
            write_text(&mut out, "", 8.0, top + 17.0, &bar.label);
            writeln!(
                out,
                "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"2\"/>",
                top + 3.0,
                ROW - 7.0
            )
            .expect("writing to a string cannot fail");
            write_text(&mut out, "note", LABELS + length + 8.0, top + 17.0, &bar.shown);
            top += ROW;
        }
        top += ROW * 0.6;
    }
    out.push_str("</svg>\n");
    out
}

fn panels(results: &Results) -> Vec<Panel> {
    let mut panels = Vec::new();
    if let Some(six) = &results.six {
        panels.push(Panel {
            title: format!(
                "{}, {} ms per round trip: time",
                six.title, results.latency_millis
            ),
            bars: six
                .series
                .iter()
                .map(|series| {
                    let median = series.millis().median;
                    Bar {
                        label: series.contender.to_owned(),
                        value: median,
                        shown: format!("{median:.0} ms"),
                    }
                })
                .collect(),
        });
    }
    if let Some(largest) = results.sizes.last() {
        panels.push(Panel {
            title: format!("{}: bytes received", largest.title),
            bars: largest
                .series
                .iter()
                .map(|series| Bar {
                    label: series.contender.to_owned(),
                    value: series.bytes() as f64,
                    shown: format!("{:.1} KB", series.bytes() as f64 / 1e3),
                })
                .collect(),
        });
    }
    panels
}

fn write_text(out: &mut String, class: &str, x: f64, y: f64, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>"
    )
    .expect("writing to a string cannot fail");
}
