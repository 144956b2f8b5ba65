//! What is added up: masses of gas and CO2 equivalents in milligrams, with what must be known about them.

use crate::cluster::Category;

/// A quantity of an entry, in milligrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// CO2e of all scope 1 sources.
    Scope1,
    /// CO2e of bought energy, location-based.
    Scope2Location,
    /// CO2e of bought energy, market-based.
    Scope2Market,
    /// CO2 from biomass, outside the scopes.
    BiogenicCo2,
    /// CO2 captured.
    CapturedCo2,
    /// CO2 transferred to storage or bound for good.
    TransferredCo2,
    /// CO2e eliminated as bought inside, location-based.
    EliminatedLocation,
    /// CO2e eliminated as bought inside, market-based.
    EliminatedMarket,
    /// CO2 of scope 1.
    Co2,
    /// CH4 of scope 1.
    Ch4,
    /// N2O of scope 1.
    N2o,
    /// CO2e of hydrofluorocarbons.
    HfcCo2e,
    /// CO2e of perfluorocarbons.
    PfcCo2e,
    /// CO2e of sulphur hexafluoride.
    Sf6Co2e,
    /// CO2e of nitrogen trifluoride.
    Nf3Co2e,
    /// CO2e that rests on substituted data.
    Substituted,
    /// CO2e whose timing is interpolated.
    Interpolated,
    /// CO2e computed with a factor of another year.
    ProvisionalFactor,
}

impl Column {
    /// In the order they are written.
    pub const ALL: [Column; 18] = [
        Column::Scope1,
        Column::Scope2Location,
        Column::Scope2Market,
        Column::BiogenicCo2,
        Column::CapturedCo2,
        Column::TransferredCo2,
        Column::EliminatedLocation,
        Column::EliminatedMarket,
        Column::Co2,
        Column::Ch4,
        Column::N2o,
        Column::HfcCo2e,
        Column::PfcCo2e,
        Column::Sf6Co2e,
        Column::Nf3Co2e,
        Column::Substituted,
        Column::Interpolated,
        Column::ProvisionalFactor,
    ];

    /// In CO2 equivalents, by a potential.
    pub fn is_weighted(self) -> bool {
        use Column::{BiogenicCo2, CapturedCo2, Ch4, Co2, N2o, TransferredCo2};
        !matches!(self, Co2 | Ch4 | N2o | BiogenicCo2 | CapturedCo2 | TransferredCo2)
    }

    /// The field's name without its unit.
    pub fn name(self) -> &'static str {
        match self {
            Column::Scope1 => "scope1",
            Column::Scope2Location => "scope2_location",
            Column::Scope2Market => "scope2_market",
            Column::BiogenicCo2 => "biogenic_co2",
            Column::CapturedCo2 => "captured_co2",
            Column::TransferredCo2 => "transferred_co2",
            Column::EliminatedLocation => "eliminated_location",
            Column::EliminatedMarket => "eliminated_market",
            Column::Co2 => "co2",
            Column::Ch4 => "ch4",
            Column::N2o => "n2o",
            Column::HfcCo2e => "hfc_co2e",
            Column::PfcCo2e => "pfc_co2e",
            Column::Sf6Co2e => "sf6_co2e",
            Column::Nf3Co2e => "nf3_co2e",
            Column::Substituted => "substituted",
            Column::Interpolated => "interpolated",
            Column::ProvisionalFactor => "provisional_factor",
        }
    }
}

/// Something a reader of a figure must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// The factor's validity ended before the usage.
    FactorProvisional,
    /// The factor's validity begins after the usage.
    FactorBackcast,
    /// A factor in CO2e was computed with another GWP set.
    ForeignGwp,
    /// A grid average stands in for a residual mix.
    GridAsResidual,
    /// Part of the timing is interpolated across a gap.
    Interpolated,
    /// A property had no value of its time, and another stood in.
    Substituted,
    /// A property had no value, and nothing could be computed.
    PropertyMissing,
    /// The supplier's emissions per energy are not known, and nothing could be computed.
    SupplierUnknown,
    /// What was sent and what was received differ by more than the tolerance.
    TransferDifference,
    /// Sub-meters show more than their main meter.
    NegativeRemainder,
    /// An operator set the amount.
    Adjusted,
}

impl Flag {
    /// In the order they are written.
    pub const ALL: [Flag; 11] = [
        Flag::Adjusted,
        Flag::FactorBackcast,
        Flag::FactorProvisional,
        Flag::ForeignGwp,
        Flag::GridAsResidual,
        Flag::Interpolated,
        Flag::NegativeRemainder,
        Flag::PropertyMissing,
        Flag::Substituted,
        Flag::SupplierUnknown,
        Flag::TransferDifference,
    ];

    /// What it says, for people.
    pub fn about(self) -> &'static str {
        match self {
            Flag::FactorProvisional => "a factor's validity ended before: that of its year is not published yet",
            Flag::FactorBackcast => "a factor's validity begins later: there is none of its time",
            Flag::ForeignGwp => "a factor in CO2e was computed by its maker with other warming potentials",
            Flag::GridAsResidual => "the average of the grid stands in for a residual mix",
            Flag::Interpolated => "an amount was measured across a gap: when within it, is not known",
            Flag::Substituted => "a property had no value of its time: another stood in",
            Flag::PropertyMissing => "a property had no value: what hangs on it could not be computed",
            Flag::SupplierUnknown => {
                "a supplier's emissions per energy are not known: what it supplied could not be computed"
            }
            Flag::TransferDifference => "what was sent and what was received differ by more than the tolerance",
            Flag::NegativeRemainder => "sub-meters show more than their main meter",
            Flag::Adjusted => "an operator set an amount: see the corrections",
        }
    }

    /// As written in entries.
    pub fn name(self) -> &'static str {
        match self {
            Flag::FactorProvisional => "factor-provisional",
            Flag::FactorBackcast => "factor-backcast",
            Flag::ForeignGwp => "foreign-gwp",
            Flag::GridAsResidual => "grid-as-residual",
            Flag::Interpolated => "interpolated",
            Flag::Substituted => "substituted",
            Flag::PropertyMissing => "property-missing",
            Flag::SupplierUnknown => "supplier-unknown",
            Flag::TransferDifference => "transfer-difference",
            Flag::NegativeRemainder => "negative-remainder",
            Flag::Adjusted => "adjusted",
        }
    }
}

const COLUMNS: usize = Column::ALL.len();
/// The memo categories come last and have no emission of their own.
const CATEGORIES: usize = Category::Generation as usize;
const FLAGS: usize = Flag::ALL.len();

/// Whose error a part of a sum has: one meter's, or one factor's. Errors of one source add up; those of several are
/// independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey(pub u64);

impl SourceKey {
    /// The same for the same name, now and in all versions: it is stored.
    pub fn of(kind: &str, id: &str) -> SourceKey {
        let bytes = kind.bytes().chain([b'/']).chain(id.bytes());
        // FNV-1a, 64 bits.
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        SourceKey(hash)
    }
}

/// A sum of emissions. Every part of it is an integer that adds, so the order of adding never matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Milligrams, by [`Column`].
    columns: [i128; COLUMNS],
    /// Milligrams CO2e (location-based for scope 2), by category.
    categories: [i128; CATEGORIES],
    /// How many meter quarters carry each flag.
    flags: [u32; FLAGS],
    /// Meter time covered by measurement.
    pub covered_ms: i64,
    /// How many events are in it.
    pub events: u32,
    /// By source, half the width of the 95 % interval in millionths of a milligram, sorted; none below a quarter.
    errors: Vec<(SourceKey, i128)>,
}

impl Tally {
    /// The milligrams of a column.
    pub fn mg(&self, column: Column) -> i128 {
        self.columns[column as usize]
    }

    /// The milligrams of a category.
    pub fn category_mg(&self, category: Category) -> i128 {
        self.categories.get(category as usize).copied().unwrap_or(0)
    }

    /// How many meter quarters carry the flag.
    pub fn flag_count(&self, flag: Flag) -> u32 {
        self.flags[flag as usize]
    }

    /// Adds to a column.
    pub fn add(&mut self, column: Column, mg: i128) {
        let sum = &mut self.columns[column as usize];
        *sum = sum.saturating_add(mg);
    }

    /// Adds to a category.
    pub fn add_category(&mut self, category: Category, mg: i128) {
        if let Some(sum) = self.categories.get_mut(category as usize) {
            *sum = sum.saturating_add(mg);
        }
    }

    /// Adds to the error of a source.
    pub fn add_error(&mut self, source: SourceKey, millionths: i128) {
        match self.errors.binary_search_by_key(&source, |(key, _)| *key) {
            Ok(at) => self.errors[at].1 = self.errors[at].1.saturating_add(millionths),
            Err(at) => self.errors.insert(at, (source, millionths)),
        }
    }

    /// The errors by source.
    pub fn errors(&self) -> &[(SourceKey, i128)] {
        &self.errors
    }

    /// The uncertainty of scope 1 and location-based scope 2 together, in percent at 95 %: the errors of one source added, of
    /// several in quadrature (IPCC 2006, volume 1, chapter 3, equation 3.2). `None`: no error is declared, or nothing to
    /// have one.
    pub fn uncertainty_pct(&self) -> Option<f64> {
        let total = self.mg(Column::Scope1).saturating_add(self.mg(Column::Scope2Location));
        if self.errors().is_empty() || total == 0 {
            return None;
        }
        let squares: f64 = self.errors().iter().map(|(_, error)| (*error as f64).powi(2)).sum();
        Some(squares.sqrt() / 1e4 / (total as f64).abs())
    }

    /// As it counts where what was bought inside is left out: its scope 2 is eliminated. `market_kept` milligrams of the
    /// market-based part stay, whose attributes have left.
    /// `shown`: the level that leaves it out shows how much that is.
    pub fn eliminated(&self, market_kept: i128, shown: bool) -> Tally {
        let mut kept =
            Tally { flags: self.flags, covered_ms: self.covered_ms, events: self.events, ..Tally::default() };
        if shown {
            kept.add(Column::EliminatedLocation, self.mg(Column::Scope2Location));
            kept.add(Column::EliminatedMarket, self.mg(Column::Scope2Market).saturating_sub(market_kept));
        }
        kept.add(Column::Scope2Market, market_kept);
        kept
    }

    /// Marks with a flag, for `count` meter quarters.
    pub fn add_flag(&mut self, flag: Flag, count: u32) {
        let sum = &mut self.flags[flag as usize];
        *sum = sum.saturating_add(count);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Tally) {
        for (sum, part) in self.columns.iter_mut().zip(&other.columns) {
            *sum = sum.saturating_add(*part);
        }
        for (sum, part) in self.categories.iter_mut().zip(&other.categories) {
            *sum = sum.saturating_add(*part);
        }
        for (sum, part) in self.flags.iter_mut().zip(&other.flags) {
            *sum = sum.saturating_add(*part);
        }
        self.covered_ms = self.covered_ms.saturating_add(other.covered_ms);
        self.events = self.events.saturating_add(other.events);
        other.errors().iter().for_each(|(source, millionths)| self.add_error(*source, *millionths));
    }

    /// True where no activity is: an entry exists only where activity does.
    pub fn is_empty(&self) -> bool {
        let nothing = self.covered_ms == 0 && self.events == 0;
        nothing && self.columns.iter().all(|mg| *mg == 0) && self.flags.iter().all(|count| *count == 0)
    }
}
