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
}

impl Flag {
    /// In the order they are written.
    pub const ALL: [Flag; 5] =
        [Flag::FactorBackcast, Flag::FactorProvisional, Flag::ForeignGwp, Flag::GridAsResidual, Flag::Interpolated];

    /// As written in entries.
    pub fn name(self) -> &'static str {
        match self {
            Flag::FactorProvisional => "factor-provisional",
            Flag::FactorBackcast => "factor-backcast",
            Flag::ForeignGwp => "foreign-gwp",
            Flag::GridAsResidual => "grid-as-residual",
            Flag::Interpolated => "interpolated",
        }
    }
}

const COLUMNS: usize = Column::ALL.len();
const CATEGORIES: usize = Category::ALL.len();
const FLAGS: usize = Flag::ALL.len();

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
}

impl Tally {
    /// The milligrams of a column.
    pub fn mg(&self, column: Column) -> i128 {
        self.columns[column as usize]
    }

    /// The milligrams of a category.
    pub fn category_mg(&self, category: Category) -> i128 {
        self.categories[category as usize]
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
        let sum = &mut self.categories[category as usize];
        *sum = sum.saturating_add(mg);
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
    }

    /// True where no activity is: an entry exists only where activity does.
    pub fn is_empty(&self) -> bool {
        self.covered_ms == 0 && self.events == 0
    }
}
