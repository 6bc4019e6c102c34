//! Figures and the table of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::linux::Figures;
use super::rows::{Budget, LINUX, LINUX_HERE, ROWS, Row};

/// A line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The row that it is of.
    pub name: String,
    /// Of what it is a number.
    pub unit: String,
    /// The number.
    pub value: f64,
    #[serde(flatten)]
    budget: Budget,
    peers: BTreeMap<&'static str, f64>,
}

impl Figure {
    /// A figure with the budget and the peers of its row.
    pub fn new(name: &str, unit: &str, value: f64) -> Figure {
        let row = ROWS.iter().find(|row| row.name == name);
        Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
            budget: row.map_or(Budget::default(), |row| row.budget),
            peers: row.map(|row| row.peers.iter().copied().collect()).unwrap_or_default(),
        }
    }

    /// Reads a line of a guest's: name, unit and value.
    pub fn read(line: &str) -> Result<Figure> {
        let [name, unit, value] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("`{line}` is no figure: it should be name, unit and value with tabs between");
        };
        let value =
            value.parse().with_context(|| format!("`{line}` is no figure: `{value}` is no number"))?;
        Ok(Figure::new(name, unit, value))
    }

    /// Puts what Linux took here and now in the place of what it took once, and sees to the budget that follows from it.
    pub fn put_beside(&mut self, linux: &Figures) {
        self.peers.remove(LINUX);
        if let Some(&measured) = linux.get(&self.name) {
            self.peers.insert(LINUX_HERE, measured);
            if let Some(factor) = self.row().and_then(|row| row.of_linux) {
                self.budget = self.budget.of(factor, measured);
            }
        }
    }

    /// Whether its budget holds.
    pub fn is_within(&self) -> bool {
        self.budget.at_most.is_none_or(|at_most| self.value <= at_most)
            && self.budget.at_least.is_none_or(|at_least| self.value >= at_least)
    }

    fn row(&self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.name == self.name)
    }
}

/// Orders figures as the rows are.
pub fn sort(figures: &mut [Figure]) {
    let place = |figure: &Figure| ROWS.iter().position(|row| row.name == figure.name).unwrap_or(ROWS.len());
    figures.sort_by_key(place);
}

/// The table as text: the peers that something is known of have a column each.
pub fn table(figures: &[Figure]) -> String {
    let mut peers: Vec<&str> = figures.iter().flat_map(|figure| figure.peers.keys().copied()).collect();
    peers.sort_unstable();
    peers.dedup();
    let number = |value: Option<f64>| value.map_or_else(String::new, grouped);
    let heads = ["", "V", "budget", "aim"].into_iter().chain(peers.iter().copied()).chain([""]);
    let mut lines = vec![heads.map(str::to_owned).collect::<Vec<String>>()];
    for figure in figures {
        let title = figure.row().map_or(&*figure.name, |row| row.title);
        let budget = match (figure.budget.at_most, figure.budget.at_least) {
            (Some(at_most), _) => format!("<= {}", grouped(at_most)),
            (None, Some(at_least)) => format!(">= {}", grouped(at_least)),
            (None, None) => String::new(),
        };
        let mut line = vec![format!("{title}, {}", figure.unit), grouped(figure.value), budget];
        line.push(number(figure.budget.aim));
        line.extend(peers.iter().map(|peer| number(figure.peers.get(peer).copied())));
        line.push(if figure.is_within() { "" } else { "EXCEEDED" }.to_owned());
        lines.push(line);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len() - 1).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let (Some((name, numbers)), Some(mark)) = (line[..widths.len()].split_first(), line.last()) else {
            continue;
        };
        let mut row = format!("{name:0$}", widths[0]);
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            row = format!("{row}  {number:>width$}");
        }
        text += format!("{row}  {mark}").trim_end();
        text.push('\n');
    }
    text
}

/// The median of each figure over all rounds, which have the same figures.
pub fn medians(rounds: &[Vec<Figure>]) -> Vec<Figure> {
    let figures = rounds.first().into_iter().flatten().enumerate();
    let median_of = |(row, figure): (usize, &Figure)| {
        let values = rounds.iter().filter_map(|round| Some(round.get(row)?.value));
        Figure::new(&figure.name, &figure.unit, median(values))
    };
    figures.map(median_of).collect()
}

/// The same of another's figures.
pub fn medians_beside(rounds: &[Figures]) -> Figures {
    let names = rounds.first().into_iter().flat_map(BTreeMap::keys);
    let of = |name: &String| median(rounds.iter().filter_map(|round| round.get(name).copied()));
    names.map(|name| (name.clone(), of(name))).collect()
}

/// The middle one; of as many that are less and more, the greater.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A number with its thousands apart, and as many decimals as matter.
fn grouped(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..10_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match decimals.trim_end_matches('0') {
        "" => grouped,
        decimals => format!("{grouped}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_figure_has_its_budget_and_peers() {
        let figure = Figure::read("send-receive-reply\tinstructions\t300").unwrap();
        assert_eq!((figure.budget.at_most, figure.budget.aim), (Some(350.0), Some(200.0)));
        assert_eq!(figure.peers.get("seL4"), Some(&458.0));
        assert!(figure.is_within());
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!(json["peers"][LINUX], 10602.0);
        assert_eq!(json["at_most"], 350.0);
        assert_eq!(json["unit"], "instructions");
    }

    #[test]
    fn what_is_over_its_budget_says_so() {
        let figures = [
            Figure::read("null-kernel-request\tinstructions\t150.5").unwrap(),
            Figure::read("something new\tinstructions\t12345").unwrap(),
            Figure::read("remote-loss-throughput\tper cent\t69.9").unwrap(),
        ];
        assert_eq!(figures.each_ref().map(Figure::is_within), [false, true, false]);
        let table = table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].contains("150.5  <= 150") && lines[1].ends_with("EXCEEDED"), "{table}");
        assert!(lines[2].trim_end().ends_with("12,345"), "{table}");
        assert!(lines[3].contains(">= 70"), "{table}");
    }

    #[test]
    fn some_budgets_follow_from_what_linux_takes() {
        let mut figure = Figure::read("remote-move-to-throughput\tMB/s\t140").unwrap();
        assert!(figure.is_within());
        figure.put_beside(&Figures::from([("remote-move-to-throughput".to_owned(), 100.0)]));
        assert_eq!(figure.budget.at_least, Some(150.0));
        assert!(!figure.is_within());
        assert_eq!((figure.peers.get(LINUX), figure.peers.get(LINUX_HERE)), (None, Some(&100.0)));
    }

    #[test]
    fn a_line_that_is_no_figure_is_refused() {
        for line in ["", "a\tb", "a\tb\tc", "a\tb\t1\t2"] {
            assert!(Figure::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_570_000_000.0, "1,570,000,000"),
            (0.192, "0.19"),
            (12.34, "12.3"),
            (12_345.6, "12,346"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }
}
