//! The table of ratios.

use std::time::Duration;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Demand {
    /// Ours may take this many times as long as the reference.
    AtMost(f64),
    /// Ours must be this many times as fast as the reference.
    AtLeast(f64),
    /// Ours must be faster than the C++ server.
    FasterThanCpp,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) name: String,
    /// How long ours takes.
    pub(crate) ours: Duration,
    /// What it is compared with, and how long that takes.
    pub(crate) reference: Option<(&'static str, Duration)>,
    /// What must hold.
    pub(crate) demand: Demand,
    /// How long the C++ server takes.
    pub(crate) cpp: Option<Duration>,
}

impl Row {
    /// Ours to the reference as the demand counts it; to the C++ server if there is no other.
    fn ratio(&self) -> Option<f64> {
        let reference = match self.demand {
            Demand::FasterThanCpp => self.cpp?,
            _ => self.reference?.1,
        };
        let times = self.ours.as_secs_f64() / reference.as_secs_f64();
        Some(if matches!(self.demand, Demand::AtLeast(_)) {
            times.recip()
        } else {
            times
        })
    }

    /// Whether the demand is met, and ours is faster than the C++ server.
    pub(crate) fn holds(&self) -> bool {
        let met = self.ratio().is_none_or(|ratio| match self.demand {
            Demand::AtMost(most) => ratio <= most,
            Demand::AtLeast(least) => ratio >= least,
            Demand::FasterThanCpp => ratio < 1.0,
        });
        met && self.cpp.is_none_or(|cpp| self.ours < cpp)
    }
}

/// Prints the rows as a Markdown table.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn print(rows: &[Row]) {
    println!("| what | ours | reference | ratio | demanded | C++ server | holds |");
    println!("|---|--:|--:|--:|--:|--:|---|");
    for row in rows {
        let reference = row
            .reference
            .map_or("–".to_owned(), |(name, time)| format!("{} {name}", text(time)));
        let ratio = row.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let demand = match row.demand {
            Demand::AtMost(most) => format!("≤ {most}"),
            Demand::AtLeast(least) => format!("≥ {least}"),
            Demand::FasterThanCpp => "faster than C++".to_owned(),
        };
        let cpp = row.cpp.map_or("–".to_owned(), text);
        let holds = if row.holds() { "yes" } else { "**no**" };
        println!(
            "| {} | {} | {reference} | {ratio} | {demand} | {cpp} | {holds} |",
            row.name,
            text(row.ours)
        );
    }
}

fn text(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} µs", seconds * 1e6),
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    fn row(ours: u64, reference: u64, demand: Demand, cpp: Option<u64>) -> Row {
        Row {
            name: String::new(),
            ours: Duration::from_millis(ours),
            reference: Some(("reference", Duration::from_millis(reference))),
            demand,
            cpp: cpp.map(Duration::from_millis),
        }
    }

    #[test]
    fn a_row_holds_if_its_demand_and_the_cpp_server_are_beaten() {
        assert!(row(15, 10, Demand::AtMost(1.5), None).holds());
        assert!(!row(16, 10, Demand::AtMost(1.5), None).holds());
        assert!(row(20, 10, Demand::AtLeast(0.5), None).holds());
        assert!(!row(21, 10, Demand::AtLeast(0.5), None).holds());
        assert!(!row(15, 10, Demand::AtMost(1.5), Some(15)).holds());
        assert!(row(9, 1, Demand::FasterThanCpp, Some(10)).holds());
    }
}
