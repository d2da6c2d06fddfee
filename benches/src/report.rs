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
    /// Nothing: the amount is shown, beside the reference if there is one.
    Shown,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount {
    /// How long something takes.
    Time(Duration),
    /// Memory, or bytes on a wire.
    Bytes(f64),
    /// How often something happens.
    Count(f64),
}

impl Amount {
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Bytes(number) | Self::Count(number) => number,
        }
    }
}

impl From<Duration> for Amount {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) name: String,
    /// How long ours takes, or how much of it.
    pub(crate) ours: Amount,
    /// What it is compared with, and how long that takes, or how much.
    pub(crate) reference: Option<(&'static str, Amount)>,
    /// What must hold.
    pub(crate) demand: Demand,
    /// How long the C++ server takes.
    pub(crate) cpp: Option<Duration>,
}

impl Row {
    /// Ours to the reference as the demand counts it; to the C++ server if there is no other.
    fn ratio(&self) -> Option<f64> {
        let reference = match self.demand {
            Demand::FasterThanCpp => self.cpp?.into(),
            _ => self.reference?.1,
        };
        let times = self.ours.number() / reference.number();
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
            Demand::Shown => true,
        });
        met && self
            .cpp
            .is_none_or(|cpp| self.ours.number() < Amount::from(cpp).number())
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
            Demand::Shown => "–".to_owned(),
        };
        let cpp = row.cpp.map_or("–".to_owned(), |cpp| text(cpp.into()));
        let holds = match (row.holds(), row.demand, row.cpp) {
            (true, Demand::Shown, None) => "–",
            (true, ..) => "yes",
            (false, ..) => "**no**",
        };
        println!(
            "| {} | {} | {reference} | {ratio} | {demand} | {cpp} | {holds} |",
            row.name,
            text(row.ours)
        );
    }
}

fn text(amount: Amount) -> String {
    match (amount, amount.number()) {
        (Amount::Time(_), seconds @ 1.0..) => format!("{seconds:.2} s"),
        (Amount::Time(_), seconds @ 1e-3..) => format!("{:.2} ms", seconds * 1e3),
        (Amount::Time(_), seconds) => format!("{:.1} µs", seconds * 1e6),
        (Amount::Bytes(_), bytes @ 1024.0..) => format!("{:.1} KiB", bytes / 1024.0),
        (Amount::Bytes(_), bytes) => format!("{bytes:.0} B"),
        (Amount::Count(_), count) => format!("{count:.0}"),
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    fn row(ours: u64, reference: u64, demand: Demand, cpp: Option<u64>) -> Row {
        Row {
            name: String::new(),
            ours: Duration::from_millis(ours).into(),
            reference: Some(("reference", Duration::from_millis(reference).into())),
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
