//! Figures and what was aimed at.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// All figures of a run.
#[derive(Default)]
pub struct Report(Vec<Figure>);

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    aim: Option<Aim>,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Aim {
    /// At least so much.
    AtLeast(f64),
    /// Less than so much.
    Under(f64),
}

impl Report {
    /// Adds a figure that is only told, and says it.
    pub fn tell(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.add(Figure { name: name.into(), value, unit, aim: None });
    }

    /// Adds a figure that has an aim, and says it.
    pub fn aim(&mut self, name: impl Into<String>, value: f64, unit: &'static str, aim: Aim) {
        self.add(Figure { name: name.into(), value, unit, aim: Some(aim) });
    }

    fn add(&mut self, figure: Figure) {
        eprintln!("{}: {} {}", figure.name, figure.rounded(), figure.unit);
        self.0.push(figure);
    }

    /// Prints a table, in Markdown.
    pub fn print(&self) {
        println!("| | value | aim | met |\n|---|---:|---:|---|");
        for figure in &self.0 {
            let (aim, met) = match figure.aim {
                Some(aim) => (aim.text(), if aim.is_met(figure.value) { "yes" } else { "no" }),
                None => (String::new(), ""),
            };
            println!("| {} | {} {} | {aim} | {met} |", figure.name, figure.rounded(), figure.unit);
        }
    }

    /// Writes all figures, as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        let figures: Vec<Value> = self.0.iter().map(Figure::json).collect();
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Figure {
    fn json(&self) -> Value {
        let Figure { name, value, unit, aim } = self;
        json!({
            "name": name,
            "value": value,
            "unit": unit,
            "aim": aim.map(Aim::text),
            "met": aim.map(|aim| aim.is_met(*value)),
        })
    }

    fn rounded(&self) -> String {
        match self.value {
            value if value >= 100.0 => format!("{value:.0}"),
            value if value >= 10.0 => format!("{value:.1}"),
            value => format!("{value:.2}"),
        }
    }
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Aim::AtLeast(least) => value >= least,
            Aim::Under(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Aim::AtLeast(least) => format!(">= {least}"),
            Aim::Under(limit) => format!("< {limit}"),
        }
    }
}
