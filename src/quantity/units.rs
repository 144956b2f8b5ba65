//! All units there are.

use crate::quantity::{Dimension, PROPERTY_BASE, Reference};

/// Name, dimension, and base units as an exact fraction.
pub(crate) type Row = (&'static str, Dimension, i128, i128);

const NM3: Dimension = Dimension::Volume(Reference::Normal);
const SM3: Dimension = Dimension::Volume(Reference::Standard);
const LITRE: Dimension = Dimension::Volume(Reference::Actual);

#[rustfmt::skip]
pub(crate) const UNITS: &[Row] = &[
    ("J", Dimension::Energy, 1_000, 1),
    ("kJ", Dimension::Energy, 1_000_000, 1),
    ("MJ", Dimension::Energy, 1_000_000_000, 1),
    ("GJ", Dimension::Energy, 1_000_000_000_000, 1),
    ("TJ", Dimension::Energy, 1_000_000_000_000_000, 1),
    ("Wh", Dimension::Energy, 3_600_000, 1),
    ("kWh", Dimension::Energy, 3_600_000_000, 1),
    ("MWh", Dimension::Energy, 3_600_000_000_000, 1),
    ("GWh", Dimension::Energy, 3_600_000_000_000_000, 1),
    ("Btu", Dimension::Energy, 105_505_585_262, 100_000),
    ("mmBtu", Dimension::Energy, 1_055_055_852_620, 1),
    ("therm", Dimension::Energy, 105_505_585_262, 1),
    ("kcal", Dimension::Energy, 4_186_800, 1),
    ("Gcal", Dimension::Energy, 4_186_800_000_000, 1),
    ("g", Dimension::Mass, 1_000_000, 1),
    ("kg", Dimension::Mass, 1_000_000_000, 1),
    ("t", Dimension::Mass, 1_000_000_000_000, 1),
    ("kt", Dimension::Mass, 1_000_000_000_000_000, 1),
    ("Mt", Dimension::Mass, 1_000_000_000_000_000_000, 1),
    ("lb", Dimension::Mass, 453_592_370, 1),
    ("short_ton", Dimension::Mass, 907_184_740_000, 1),
    ("long_ton", Dimension::Mass, 1_016_046_908_800, 1),
    ("L", LITRE, 1_000_000, 1),
    ("m3", LITRE, 1_000_000_000, 1),
    ("ft3", LITRE, 28_316_846_592, 1_000),
    ("gal", LITRE, 3_785_411_784, 1_000),
    ("imp_gal", LITRE, 4_546_090, 1),
    ("bbl", LITRE, 158_987_294_928, 1_000),
    ("Nm3", NM3, 1_000_000_000, 1),
    ("Sm3", SM3, 1_000_000_000, 1),
    ("scf60", Dimension::Volume(Reference::Scf60), 28_316_846_592, 1_000),
    ("scf68", Dimension::Volume(Reference::Scf68), 28_316_846_592, 1_000),
];

/// Name, dimension, base units, and where the nought lies, both as exact fractions.
pub(crate) type StateRow = (&'static str, Dimension, i128, i128, (i128, i128));

/// Units of a state, of which there is no amount.
#[rustfmt::skip]
pub(crate) const STATES: &[StateRow] = &[
    ("K", Dimension::Temperature, 1_000_000, 1, (0, 1)),
    ("degC", Dimension::Temperature, 1_000_000, 1, (27_315, 100)),
    ("degF", Dimension::Temperature, 10_000_000, 18, (45_967, 100)),
    ("Pa", Dimension::Pressure, 1_000, 1, (0, 1)),
    ("hPa", Dimension::Pressure, 100_000, 1, (0, 1)),
    ("mbar", Dimension::Pressure, 100_000, 1, (0, 1)),
    ("kPa", Dimension::Pressure, 1_000_000, 1, (0, 1)),
    ("bar", Dimension::Pressure, 100_000_000, 1, (0, 1)),
    ("MPa", Dimension::Pressure, 1_000_000_000, 1, (0, 1)),
    ("atm", Dimension::Pressure, 101_325_000, 1, (0, 1)),
    ("psi", Dimension::Pressure, 6_894_757_293_168, 1_000_000, (0, 1)),
    ("%", Dimension::Share, 10_000_000, 1, (0, 1)),
    ("ppm", Dimension::Share, 1_000, 1, (0, 1)),
    ("share", Dimension::Share, PROPERTY_BASE, 1, (0, 1)),
];

/// Power units: millijoules a second.
pub(crate) const POWERS: &[(&str, i128)] = &[("W", 1_000), ("kW", 1_000_000), ("MW", 1_000_000_000)];

pub(crate) const AMBIGUOUS: &[(&str, &str)] = &[
    ("MMBtu", "`MMBtu` may mean a million or a thousand thousand Btu; write `mmBtu` for one million Btu (IT)"),
    ("MMBTU", "`MMBTU` is written `mmBtu` here, for one million Btu (IT)"),
    ("ton", "`ton` alone is ambiguous; write `t` (1000 kg), `short_ton` (2000 lb) or `long_ton` (2240 lb)"),
    ("tonne", "a tonne of 1000 kg is written `t`"),
    ("scf", "`scf` alone is ambiguous; write `scf60` (60 °F, 14.696 psia) or `scf68` (68 °F, 101.325 kPa)"),
];

/// All units by what they measure, in words.
pub fn unit_groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    let power = POWERS.iter().map(|power| ("power", power.0));
    let amounts = UNITS.iter().map(|unit| (words(unit.1), unit.0));
    for (what, name) in amounts.chain(power).chain(STATES.iter().map(|state| (words(state.1), state.0))) {
        match groups.iter_mut().find(|group| group.0 == what) {
            Some((_, names)) => names.push(name),
            None => groups.push((what, vec![name])),
        }
    }
    groups
}

fn words(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Energy => "energy",
        Dimension::Mass => "mass",
        Dimension::Volume(Reference::Actual) => "volume of a liquid, or of a gas as it is in the pipe",
        Dimension::Volume(Reference::Normal) => "volume of a gas at 0 °C and 101.325 kPa",
        Dimension::Volume(Reference::Standard) => "volume of a gas at 15 °C and 101.325 kPa",
        Dimension::Volume(Reference::Scf60) => "volume of a gas at 60 °F and 14.696 psia",
        Dimension::Volume(Reference::Scf68) => "volume of a gas at 68 °F and 101.325 kPa",
        Dimension::Temperature => "temperature",
        Dimension::Pressure => "absolute pressure",
        Dimension::Share => "share",
        Dimension::Quotient(..) => "quotient",
    }
}
