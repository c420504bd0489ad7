//! A flame graph: time from left to right, callers below, what they call above them. No order in time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Time in a function and in what it called.
#[derive(Default)]
struct Node {
    count: u64,
    called: BTreeMap<String, Node>,
}

const WIDTH: f64 = 1200.0;
const ROW: f64 = 16.0;
/// What is narrower is left out.
const NARROW: f64 = 2.0;
/// A letter's width, of the font below.
const LETTER: f64 = 6.6;

/// The picture, as SVG. Each stack: its class, its functions from the outermost on, and how often it was seen.
pub fn picture<'a>(stacks: impl Iterator<Item = (&'static str, &'a [String], u64)>) -> String {
    let mut classes: BTreeMap<String, Node> = BTreeMap::new();
    for (class, frames, count) in stacks {
        let mut node = classes.entry(class.to_owned()).or_default();
        node.count += count;
        for frame in frames {
            node = node.called.entry(frame.clone()).or_default();
            node.count += count;
        }
    }
    let all: u64 = classes.values().map(|node| node.count).sum();
    let per_count = WIDTH / all.max(1) as f64;
    let height = classes.values().map(|node| rows(node, per_count)).max().unwrap_or(0) as f64 * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut x = 0.0;
    for (class, node) in &classes {
        let color = match class.as_str() {
            "guest" => "#9ecae1",
            "compression" => "#a1d99b",
            "network" => "#dadaeb",
            _ => "#fdae6b",
        };
        draw(&mut svg, class, node, color, x, height - ROW, per_count);
        x += node.count as f64 * per_count;
    }
    svg + "</svg>\n"
}

/// How many rows it and what it called take.
fn rows(node: &Node, per_count: f64) -> usize {
    let wide = node.called.values().filter(|called| called.count as f64 * per_count >= NARROW);
    1 + wide.map(|called| rows(called, per_count)).max().unwrap_or(0)
}

fn draw(svg: &mut String, name: &str, node: &Node, color: &str, x: f64, y: f64, per_count: f64) {
    let width = node.count as f64 * per_count;
    if width < NARROW {
        return;
    }
    let percent = width / WIDTH * 100.0;
    let letters = ((width - 4.0) / LETTER).max(0.0) as usize;
    let full = short(name);
    let fitting = if full.len() <= letters { full.as_str() } else { full.rsplit("::").next().unwrap_or_default() };
    let label: String = if letters < 3 { String::new() } else { fitting.chars().take(letters).collect() };
    // Writing into memory does not fail.
    let _ = writeln!(
        svg,
        "<g><title>{} {percent:.1} %</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{color}\" \
         stroke=\"#fff\" stroke-width=\".5\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>",
        escaped(name),
        ROW - 1.0,
        x + 2.0,
        y + ROW - 4.5,
        escaped(&label)
    );
    let mut x = x;
    for (name, called) in &node.called {
        draw(svg, name, called, color, x, y - ROW, per_count);
        x += called.count as f64 * per_count;
    }
}

/// The function with what it is in: `Type::function` or `module::function`.
fn short(name: &str) -> String {
    let name = match name.strip_prefix('<').and_then(|inner| inner.split_once(" as ")) {
        Some((kind, rest)) => format!("{kind}::{}", rest.rsplit("::").next().unwrap_or(rest)),
        None => name.to_owned(),
    };
    let mut depth = 0;
    let plain: String = name
        .chars()
        .filter(|letter| {
            depth += i32::from(*letter == '<') - i32::from(*letter == '>');
            depth == 0 && *letter != '>'
        })
        .collect();
    let parts: Vec<&str> = plain.split("::").filter(|part| !part.is_empty()).collect();
    parts.iter().skip(parts.len().saturating_sub(2)).copied().collect::<Vec<_>>().join("::")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
