//! A meter: the kind of number it sends, its unit, and what its activity is booked as.

use std::sync::Arc;

use crate::cluster::{FacilityIx, Identity};
use crate::quantity::{Conversion, Dimension, Id, Ratio, Reference, Schedule, Span, Time, Top};

/// The position of a meter in its [`Topology`](crate::cluster::Topology).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterIx(pub u32);

/// What the number means, and how usage follows from the readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cumulative total in base units; usage is the difference of neighbours in time.
    Register {
        /// The modulus in base units, where the register wraps to nought.
        rollover_at: Option<i64>,
        /// When a drop counts as a reset.
        reset: Reset,
    },
    /// The amount used in a period of fixed length.
    Interval {
        /// The period.
        length: Span,
        /// Which end of the period the reading's time names.
        stamp: Stamp,
    },
    /// An amount per time, in base units a day.
    Rate {
        /// How the rate runs between two readings.
        shape: Shape,
    },
    /// An amount at an instant.
    Event,
    /// A state, such as a temperature: each reading holds until the next, and no longer than this.
    Gauge {
        /// How long a reading holds.
        hold: Span,
    },
    /// No readings of its own: it is worked out from other meters.
    Derived,
}

/// When a register that fell is taken as started again from nought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// A drop to below 1 % of the last value; other drops are set aside.
    ToZero,
    /// Every drop.
    AnyDrop,
    /// No drop; all are set aside.
    Never,
}

/// Which end of its period an interval reading is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The period begins at the reading's time.
    Start,
    /// The period ends at the reading's time.
    End,
}

/// The course of a rate between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The mean of the two, over the time between them.
    Linear,
    /// The first, held until the second.
    Step,
}

/// What a meter's activity is booked as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Fuel burned in place: scope 1.
    StationaryCombustion,
    /// Fuel burned in vehicles and vessels: scope 1.
    MobileCombustion,
    /// What a process sets free: scope 1.
    Process,
    /// Leaks, vents and refrigerants: scope 1.
    Fugitive,
    /// CO2 measured in a stack: scope 1.
    CemsCo2,
    /// Bought electricity: scope 2, location- and market-based.
    PurchasedElectricity,
    /// Bought steam: scope 2.
    PurchasedSteam,
    /// Bought heat: scope 2.
    PurchasedHeat,
    /// Bought cooling: scope 2.
    PurchasedCooling,
    /// Energy made on site, or by a plant that backs a contract: a memo, but for sold certificates.
    Generation,
    /// Energy handed on: a memo.
    Export,
    /// CO2 captured: a memo.
    CapturedCo2,
    /// Goods made: a memo.
    Production,
    /// A property of another meter's fuel: no amount at all.
    Property,
    /// An amount that only other meters are worked out from.
    Memo,
}

impl Category {
    /// All, in the order of their columns.
    pub const ALL: [Category; 15] = [
        Category::StationaryCombustion,
        Category::MobileCombustion,
        Category::Process,
        Category::Fugitive,
        Category::CemsCo2,
        Category::PurchasedElectricity,
        Category::PurchasedSteam,
        Category::PurchasedHeat,
        Category::PurchasedCooling,
        Category::Generation,
        Category::Export,
        Category::CapturedCo2,
        Category::Production,
        Category::Property,
        Category::Memo,
    ];

    /// As written in configuration and entries.
    pub fn name(self) -> &'static str {
        match self {
            Category::StationaryCombustion => "stationary-combustion",
            Category::MobileCombustion => "mobile-combustion",
            Category::Process => "process",
            Category::Fugitive => "fugitive",
            Category::CemsCo2 => "cems-co2",
            Category::PurchasedElectricity => "purchased-electricity",
            Category::PurchasedSteam => "purchased-steam",
            Category::PurchasedHeat => "purchased-heat",
            Category::PurchasedCooling => "purchased-cooling",
            Category::Generation => "generation",
            Category::Export => "export",
            Category::CapturedCo2 => "captured-co2",
            Category::Production => "production",
            Category::Property => "property",
            Category::Memo => "memo",
        }
    }

    /// What it is, and where it is counted.
    pub fn about(self) -> &'static str {
        match self {
            Category::StationaryCombustion => "fuel burned in place: scope 1",
            Category::MobileCombustion => "fuel burned in vehicles and vessels: scope 1",
            Category::Process => "what a process sets free: scope 1",
            Category::Fugitive => "leaks, vents and refrigerants: scope 1",
            Category::CemsCo2 => "CO2 measured in a stack: scope 1",
            Category::PurchasedElectricity => "bought electricity: scope 2, location- and market-based",
            Category::PurchasedSteam => "bought steam: scope 2",
            Category::PurchasedHeat => "bought heat: scope 2",
            Category::PurchasedCooling => "bought cooling: scope 2",
            Category::Generation => {
                "energy made on site, or by a plant that backs a contract: a memo, but for sold certificates"
            }
            Category::Export => "energy handed on: a memo",
            Category::CapturedCo2 => "CO2 captured: a memo",
            Category::Production => "goods made: a memo",
            Category::Property => "a property of another meter's fuel: no amount at all",
            Category::Memo => "an amount that only other meters are worked out from",
        }
    }

    /// Reads [`Category::name`].
    pub fn parse(text: &str) -> Option<Category> {
        Category::ALL.into_iter().find(|c| c.name() == text)
    }

    /// Bought energy.
    pub fn is_purchase(self) -> bool {
        use Category::{PurchasedCooling, PurchasedElectricity, PurchasedHeat, PurchasedSteam};
        matches!(self, PurchasedElectricity | PurchasedSteam | PurchasedHeat | PurchasedCooling)
    }

    /// No emission of a facility hangs on its time being covered: left out of the facility's coverage.
    pub fn is_memo(self) -> bool {
        use Category::{CapturedCo2, Export, Generation, Memo, Production, Property};
        matches!(self, Generation | Export | CapturedCo2 | Production | Property | Memo)
    }
}

/// A declared meter.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Unique among meters.
    pub id: Id,
    /// The facility it belongs to; of a shared meter, the first of them.
    pub facility: FacilityIx,
    /// A name for people.
    pub name: Option<String>,
    /// What the number means.
    pub kind: Kind,
    /// What the base unit of its activity measures.
    pub dimension: Dimension,
    /// The unit as declared.
    pub unit: String,
    /// How the numbers it sends become base units.
    pub conversion: Arc<Conversion>,
    /// What its activity is booked as.
    pub category: Category,
    /// How often a reading is due.
    pub expected_every: Span,
    /// Without a reading for longer than this it counts as silent.
    pub stale_after: Span,
    /// When readings are due.
    pub schedule: Schedule,
    /// What its readings come through.
    pub gateway: Option<String>,
    /// The longest time between neighbours whose timing is taken as measured.
    pub max_gap: Span,
    /// The highest believable rate in base units a day.
    pub max_rate: Option<i64>,
    /// What it usually shows, for the simulator: base units a day, or the value of a property.
    pub typical: Option<i64>,
    /// Readings before this are not this meter's.
    pub valid_from: Time,
    /// Readings at or after this are not this meter's.
    pub valid_to: Time,
}

impl Meter {
    /// Whether time can be covered by this meter: an event has no duration.
    pub fn covers_time(&self) -> bool {
        self.kind != Kind::Event
    }

    /// What its numbers are, and what they are booked as.
    pub(crate) fn identity(&self, facility: &Id) -> Identity {
        let (kind, shown) = match self.kind {
            Kind::Register { .. } => ("register".to_owned(), "a register".to_owned()),
            Kind::Interval { length, stamp } => {
                let (key, shown) = match stamp {
                    Stamp::Start => ("start", "from its time on"),
                    Stamp::End => ("end", "up to its time"),
                };
                (format!("interval/{}/{key}", length.0), format!("an interval of {length} {shown}"))
            }
            Kind::Rate { .. } => ("rate".to_owned(), "a rate".to_owned()),
            Kind::Event => ("event".to_owned(), "an event".to_owned()),
            Kind::Gauge { .. } => ("gauge".to_owned(), "a gauge".to_owned()),
            Kind::Derived => ("derived".to_owned(), "a sum of meters".to_owned()),
        };
        let Conversion { unit, scale, offset } = *self.conversion;
        let quantity = match self.dimension {
            Dimension::Energy => "mJ",
            Dimension::Volume(Reference::Actual) => "uL",
            Dimension::Volume(Reference::Normal) => "NuL",
            Dimension::Volume(Reference::Standard) => "SuL",
            Dimension::Volume(Reference::Scf60) => "uL@60F",
            Dimension::Volume(Reference::Scf68) => "uL@68F",
            Dimension::Mass => "ug",
            Dimension::Temperature => "uK",
            Dimension::Pressure => "mPa",
            Dimension::Share => "n",
            Dimension::Quotient(Top::Energy, _) => "mJ/",
            Dimension::Quotient(Top::Mass, _) => "ug/",
        };
        // What one of the device's numbers is in base units: another way to write the same is no change.
        let base = |factor: Ratio| factor.times(unit.base).map_or_else(|| "?".to_owned(), |ratio| ratio.to_string());
        let (category, unit) = (self.category.name(), &self.unit);
        let scaled = if scale == Ratio::ONE { String::new() } else { format!(" x {scale}") };
        let moved = if offset == Ratio::whole(0) { String::new() } else { format!(" + {offset}") };
        Identity {
            key: format!("1 {kind} {quantity} {} {} {category} {facility}", base(scale), base(offset)),
            text: format!("{shown} in {unit}{scaled}{moved}, {category} of facility {facility}"),
        }
    }

    /// The milliseconds of `[from, to)` in which the meter is declared valid.
    pub fn valid_ms(&self, from: Time, to: Time) -> i64 {
        let (from, to) = (from.max(self.valid_from), to.min(self.valid_to));
        to.since(from).0.max(0)
    }
}
