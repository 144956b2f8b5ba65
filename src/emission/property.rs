//! Properties of a fuel or a gas: what must be known beside the amount before a factor can be applied to it.

use std::sync::Arc;

use crate::cluster::MeterIx;
use crate::quantity::{Bottom, Dimension, Ratio, Time, Top};

/// Which property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyKind {
    /// Energy per amount.
    HeatContent,
    /// Mass per volume.
    Density,
    /// Mass of carbon per amount.
    Carbon,
    /// The part of the amount that is water; the other properties are of the rest.
    Moisture,
    /// The part of its carbon that is of biomass.
    BiomassShare,
    /// Of a gas in the pipe.
    Temperature,
    /// Of a gas in the pipe, absolute.
    Pressure,
}

impl PropertyKind {
    /// All.
    pub const ALL: [PropertyKind; 7] = [
        PropertyKind::HeatContent,
        PropertyKind::Density,
        PropertyKind::Carbon,
        PropertyKind::Moisture,
        PropertyKind::BiomassShare,
        PropertyKind::Temperature,
        PropertyKind::Pressure,
    ];

    /// The key in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            PropertyKind::HeatContent => "heat_content",
            PropertyKind::Density => "density",
            PropertyKind::Carbon => "carbon",
            PropertyKind::Moisture => "moisture",
            PropertyKind::BiomassShare => "biomass_share",
            PropertyKind::Temperature => "temperature",
            PropertyKind::Pressure => "pressure",
        }
    }

    /// An example of how it is written.
    pub fn example(self) -> &'static str {
        match self {
            PropertyKind::HeatContent => "39.5 MJ/Nm3",
            PropertyKind::Density => "0.84 kg/L",
            PropertyKind::Carbon => "68 %",
            PropertyKind::Moisture => "8 %",
            PropertyKind::BiomassShare => "40 %",
            PropertyKind::Temperature => "15 degC",
            PropertyKind::Pressure => "4.0 bar",
        }
    }

    /// Whether values of a dimension can be this property.
    pub fn takes(self, dimension: Dimension) -> bool {
        match self {
            PropertyKind::HeatContent => {
                matches!(dimension, Dimension::Quotient(Top::Energy, Bottom::Mass | Bottom::Volume(_)))
            }
            PropertyKind::Density => matches!(dimension, Dimension::Quotient(Top::Mass, Bottom::Volume(_))),
            PropertyKind::Carbon => matches!(dimension, Dimension::Share | Dimension::Quotient(Top::Mass, _)),
            PropertyKind::Moisture | PropertyKind::BiomassShare => dimension == Dimension::Share,
            PropertyKind::Temperature => dimension == Dimension::Temperature,
            PropertyKind::Pressure => dimension == Dimension::Pressure,
        }
    }

    /// Whether a value is possible at all.
    pub fn allows(self, value: Ratio) -> bool {
        let is_share = |value: Ratio| !value.is_negative() && !Ratio::ONE.minus(value).is_some_and(Ratio::is_negative);
        match self {
            PropertyKind::Moisture | PropertyKind::BiomassShare => is_share(value),
            PropertyKind::Carbon => !value.is_negative(),
            _ => value.is_positive(),
        }
    }
}

/// Where the values of a property come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Each from its time on; a constant holds from the beginning of time.
    Dated(Vec<(Time, Ratio)>),
    /// Another meter.
    Metered {
        /// It.
        meter: MeterIx,
        /// What holds where it has no value.
        otherwise: Option<Ratio>,
    },
}

/// A declared property.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// What its values are.
    pub dimension: Dimension,
    /// Where they come from.
    pub source: Source,
}

/// The properties of one meter, by [`PropertyKind`]; most meters have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(pub Option<Arc<[Option<Property>; 7]>>);

impl Properties {
    /// The property, if it is declared.
    pub fn get(&self, kind: PropertyKind) -> Option<&Property> {
        self.0.as_ref().and_then(|all| all[kind as usize].as_ref())
    }

    /// The meters that some of them come from.
    pub fn meters(&self) -> impl Iterator<Item = MeterIx> {
        self.declared().filter_map(|(_, property)| match property.source {
            Source::Metered { meter, .. } => Some(meter),
            Source::Dated(_) => None,
        })
    }

    /// Those that are declared.
    pub fn declared(&self) -> impl Iterator<Item = (PropertyKind, &Property)> {
        PropertyKind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// The times at which some value changes.
    pub fn edges(&self) -> impl Iterator<Item = Time> {
        self.declared().flat_map(|(_, property)| match &property.source {
            Source::Dated(values) => values.iter().map(|(from, _)| *from).collect::<Vec<_>>(),
            Source::Metered { .. } => Vec::new(),
        })
    }

    /// Their values at a time. `metered` tells a meter's; `None` from it: it has none.
    pub fn resolve(&self, time: Time, metered: &mut impl FnMut(MeterIx, Dimension) -> Option<Ratio>) -> Values {
        let mut values = Values::default();
        for (kind, property) in self.declared() {
            let value = match &property.source {
                Source::Dated(dated) => {
                    let after = dated.partition_point(|(from, _)| *from <= time);
                    // Before the first of a table its earliest value stands in.
                    values.substituted |= after == 0;
                    dated.get(after.saturating_sub(1)).map(|(_, value)| *value)
                }
                Source::Metered { meter, otherwise } => {
                    let measured = metered(*meter, property.dimension).filter(|value| kind.allows(*value));
                    values.substituted |= measured.is_none() && otherwise.is_some();
                    measured.or(*otherwise)
                }
            };
            values.missing |= value.is_none();
            values.all[kind as usize] = value.map(|value| (property.dimension, value));
        }
        values
    }
}

/// The properties of a meter in one quarter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    all: [Option<(Dimension, Ratio)>; 7],
    /// Some value stands in for one that is not there.
    pub substituted: bool,
    /// Some property has no value: nothing can be computed.
    pub missing: bool,
}

impl Values {
    /// The value of one.
    pub fn get(&self, kind: PropertyKind) -> Option<(Dimension, Ratio)> {
        self.all[kind as usize]
    }

    /// The value of one that is stated per something, and what.
    pub(crate) fn per(&self, kind: PropertyKind) -> Option<(Dimension, Ratio)> {
        match self.get(kind)? {
            (Dimension::Quotient(_, bottom), value) => Some((bottom.dimension(), value)),
            // A share of carbon is by mass.
            (Dimension::Share, value) => Some((Dimension::Mass, value)),
            _ => None,
        }
    }

    /// A share.
    pub(crate) fn share(&self, kind: PropertyKind) -> Option<Ratio> {
        self.get(kind).map(|(_, value)| value)
    }
}
