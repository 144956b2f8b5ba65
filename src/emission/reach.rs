//! From what a meter measures to what a factor is stated per, through the declared properties.

use crate::emission::property::{PropertyKind, Values};
use crate::factor::Denominator;
use crate::quantity::{Dimension, Ratio, Reference};

/// 273.15 K in base units.
const NORMAL_TEMPERATURE: i128 = 273_150_000;
/// 101.325 kPa in base units.
const NORMAL_PRESSURE: i128 = 101_325_000;

/// Base units reached for one base unit of the meter, and whether a heating value is involved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reached {
    pub(crate) ratio: Ratio,
    pub(crate) by_heat: bool,
}

/// How many base units of `target` one base unit of what a meter measures makes. `own` is the heat content of the factor's
/// table, used where none is declared. `None`: a property is wanting, or the figures are too large.
pub(crate) fn reach(
    measured: Dimension,
    values: &Values,
    target: Denominator,
    own: Option<(Denominator, Ratio)>,
) -> Option<Reached> {
    let (start, dry) = prepared(measured, values)?;
    let found = |ratio: Ratio, by_heat| Some(Reached { ratio: ratio.times(dry)?, by_heat });
    if let Some(ratio) = plain(start, values, target) {
        return found(ratio, target.dimension == Dimension::Energy && start == Dimension::Energy);
    }
    if target.dimension != Dimension::Energy {
        return None;
    }
    let declared = values.per(PropertyKind::HeatContent).map(|(per, content)| (Denominator::of(per), content));
    let (per, content) = declared.or(own)?;
    found(plain(start, values, per)?.times(content)?, true)
}

/// A gas in the pipe becomes a normal volume where temperature and pressure are known, and loses its water.
fn prepared(measured: Dimension, values: &Values) -> Option<(Dimension, Ratio)> {
    let dry = match values.share(PropertyKind::Moisture) {
        Some(moisture) => Ratio::ONE.minus(moisture)?,
        None => Ratio::ONE,
    };
    let state = values.share(PropertyKind::Temperature).zip(values.share(PropertyKind::Pressure));
    match (measured, state) {
        (Dimension::Volume(Reference::Actual), Some((temperature, pressure))) => {
            let compressed = pressure.over(Ratio::whole(NORMAL_PRESSURE))?;
            let normal = Ratio::whole(NORMAL_TEMPERATURE).over(temperature)?.times(compressed)?;
            Some((Dimension::Volume(Reference::Normal), dry.times(normal)?))
        }
        _ => Some((measured, dry)),
    }
}

/// Without a heating value: the same thing at another reference, or through the density.
fn plain(start: Dimension, values: &Values, target: Denominator) -> Option<Ratio> {
    if let Some(ratio) = target.reached_from(start) {
        return Some(ratio);
    }
    let (volume, density) = values.per(PropertyKind::Density)?;
    if target.dimension == Dimension::Mass {
        return start.convert(volume)?.times(density);
    }
    if start != Dimension::Mass {
        return None;
    }
    target.reached_from(volume)?.over(density)
}
