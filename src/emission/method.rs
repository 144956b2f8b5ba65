//! How a meter's activity becomes emissions: worked out once from the declaration and the factors in force, and for what
//! hangs on another meter's values, once a quarter.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cluster::{Category, MeterIx};
use crate::emission::line::{Line, Post};
use crate::emission::problem::MethodProblem;
use crate::emission::property::{Properties, PropertyKind, Values};
use crate::emission::reach::reach;
use crate::emission::{Flag, PropertySource};
use crate::factor::{Basis, Catalogue, Denominator, Gas, GwpSet, Row, Slice, Use, Vintages};
use crate::quantity::{Bottom, Dimension, Quarter, Ratio, Time, Top};

/// What a meter declares about what it measures.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What it is booked as.
    pub category: Category,
    /// What its base unit measures.
    pub dimension: Dimension,
    /// The heating value that its energy, or its heat content, is stated on.
    pub basis: Option<Basis>,
    /// The properties of what it measures.
    pub properties: Properties,
    /// The product it counts.
    pub product: Option<String>,
    /// The gas that it measures itself, which needs no factor.
    pub gas: Option<Gas>,
    /// The potentials of the meter's cluster.
    pub gwp: GwpSet,
    /// Those of its network, where they differ.
    pub network_gwp: Option<GwpSet>,
    /// When its fossil CO2 is measured in a stack and not calculated.
    pub measured: Option<(Time, Time)>,
    /// Its maker books the biogenic CO2 of what is bought.
    pub bought_inside: bool,
}

/// Which total a factor feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Scope 1.
    Scope1,
    /// Scope 2, location-based.
    Location,
    /// Scope 2, market-based.
    Market,
}

/// One factor over time, and the total it feeds.
#[derive(Clone, Debug)]
pub struct Term {
    /// The total.
    pub slot: Slot,
    /// The factor.
    pub vintages: Vintages,
    /// Which rows may stand here.
    pub allowed: &'static [Use],
}

/// The factors of one meter.
pub type Factors = Vec<Term>;

/// A stretch of time with the same factors and the same dated properties.
#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    to: Time,
    lines: Vec<Line>,
    /// Worked out already, where nothing hangs on another meter.
    posts: Option<Vec<Post>>,
    flags: Vec<Flag>,
    /// Of the market-based figure alone, which contracts may cover.
    market_flags: Vec<Flag>,
}

/// How a meter's activity becomes emissions, over all time.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// What the meter is booked as.
    pub category: Category,
    dimension: Dimension,
    properties: Properties,
    bought_inside: bool,
    stretches: Vec<Stretch>,
}

/// What one quarter's activity is multiplied with.
#[derive(Clone, Debug)]
pub struct Applied<'a> {
    /// The products. `None`: a property has no value, so nothing can be said.
    pub posts: Option<Cow<'a, [Post]>>,
    /// What must be known about them.
    pub flags: &'a [Flag],
    /// What must be known about the market-based ones.
    pub market_flags: &'a [Flag],
    /// The properties used.
    pub values: Values,
}

impl Method {
    /// Nothing.
    pub fn empty(category: Category) -> Method {
        let (dimension, properties) = (Dimension::Mass, Properties::default());
        Method { category, dimension, properties, bought_inside: false, stretches: Vec::new() }
    }

    /// Works out the method.
    pub fn new(declared: &Declared, factors: &Factors, catalogue: &Catalogue) -> Result<Method, MethodProblem> {
        let mut edges: Vec<Time> =
            factors.iter().flat_map(|t| t.vintages.slices()).flat_map(|s| [s.from, s.to]).collect();
        edges.extend([Time::MIN, Time::MAX]);
        edges.extend(declared.properties.edges());
        edges.extend(declared.measured.into_iter().flat_map(|(from, to)| [from, to]));
        edges.sort_unstable();
        edges.dedup();
        let mut method = Method {
            category: declared.category,
            dimension: declared.dimension,
            properties: declared.properties.clone(),
            bought_inside: declared.bought_inside,
            stretches: Vec::new(),
        };
        for pair in edges.windows(2) {
            let stretch = method.stretch(declared, factors, catalogue, (pair[0], pair[1]))?;
            method.stretches.push(stretch);
        }
        Ok(method)
    }

    fn stretch(
        &self,
        declared: &Declared,
        factors: &Factors,
        catalogue: &Catalogue,
        (from, to): (Time, Time),
    ) -> Result<Stretch, MethodProblem> {
        let mut stretch = Stretch { to, lines: Vec::new(), posts: None, flags: Vec::new(), market_flags: Vec::new() };
        for term in factors {
            let slices = term.vintages.slices();
            if let Some(slice) = slices.iter().find(|s| s.from <= from && from < s.to) {
                stretch.add(declared, term, slice, catalogue)?;
            }
        }
        if declared.properties.get(PropertyKind::Carbon).is_some() {
            // The carbon says what becomes CO2; a factor beside it gives the other gases.
            let of_table = |line: &&Line| line.gas == Gas::Co2;
            let biogenic = stretch.lines.iter().find(of_table).is_some_and(|line| line.biogenic);
            stretch.lines.retain(|line| line.gas != Gas::Co2);
            stretch.lines.push(Line::of_carbon(biogenic));
        }
        if let Some(gas) = &declared.gas {
            let row = Line::of_gas(gas.clone());
            stretch.lines.push(row.with_potentials(declared, catalogue, &format!("gas {}", gas.name()))?);
        }
        if declared.measured.is_some_and(|(start, end)| start <= from && to <= end) {
            stretch.leave_co2_to_the_stack()?;
        }
        let dynamic = declared.properties.meters().next().is_some();
        let mut nominal = |_: MeterIx, dimension: Dimension| Some(nominal(dimension));
        let values = declared.properties.resolve(from, &mut nominal);
        let posts = self.posts_of(&stretch.lines, &values)?;
        stretch.posts = (!dynamic).then_some(posts);
        stretch.flags.extend((values.substituted && !dynamic).then_some(Flag::Substituted));
        for flags in [&mut stretch.flags, &mut stretch.market_flags] {
            flags.sort_unstable();
            flags.dedup();
        }
        check_basis(declared, &stretch.lines, &values)?;
        Ok(stretch)
    }

    fn posts_of(&self, lines: &[Line], values: &Values) -> Result<Vec<Post>, MethodProblem> {
        let mut posts = Vec::new();
        for line in lines {
            line.posts(self.dimension, values, &mut posts)?;
        }
        if self.bought_inside {
            posts.retain(|post| post.column != crate::emission::Column::BiogenicCo2);
        }
        Ok(posts)
    }

    /// What is in force in a quarter; everything changes only at its edges.
    pub fn at(&self, quarter: Quarter, metered: &mut impl FnMut(MeterIx, Dimension) -> Option<Ratio>) -> Applied<'_> {
        let time = quarter.start();
        let Some(stretch) = self.stretch_at(time) else {
            return Applied { posts: None, flags: &[], market_flags: &[], values: Values::default() };
        };
        if let (Some(posts), None) = (&stretch.posts, &self.properties.0) {
            let posts = Some(Cow::Borrowed(posts.as_slice()));
            let (flags, market_flags) = (&stretch.flags, &stretch.market_flags);
            return Applied { posts, flags, market_flags, values: Values::default() };
        }
        let values = self.properties.resolve(time, metered);
        let posts = match &stretch.posts {
            _ if values.missing => None,
            Some(posts) => Some(Cow::Borrowed(posts.as_slice())),
            // It fitted with nominal values; what does not fit now is beyond any fuel.
            None => self.posts_of(&stretch.lines, &values).ok().map(Cow::Owned),
        };
        Applied { posts, flags: &stretch.flags, market_flags: &stretch.market_flags, values }
    }

    /// Base units of `target` for one base unit of what the meter measures, with these properties.
    pub fn reach(&self, values: &Values, target: Dimension) -> Option<Ratio> {
        reach(self.dimension, values, Denominator::of(target), None).map(|reached| reached.ratio)
    }

    /// The properties.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Where it changes.
    pub fn edges(&self) -> impl Iterator<Item = Time> {
        self.stretches.iter().map(|stretch| stretch.to)
    }

    /// The rows of factors in force at a time.
    pub fn rows_at(&self, time: Time) -> impl Iterator<Item = &Arc<str>> {
        self.stretch_at(time).into_iter().flat_map(|stretch| &stretch.lines).map(|line| &line.row)
    }

    fn stretch_at(&self, time: Time) -> Option<&Stretch> {
        let at = self.stretches.partition_point(|s| s.to <= time).min(self.stretches.len().saturating_sub(1));
        self.stretches.get(at)
    }

    /// Everything that decides figures at a time, as text to compare: where it is the same, so are the figures.
    pub fn text_at(&self, time: Time, name: impl Fn(MeterIx) -> String) -> String {
        let mut text = self.stretch_at(time).map_or_else(String::new, Stretch::text);
        for (kind, property) in self.properties.declared() {
            if let PropertySource::Metered { meter, otherwise } = &property.source {
                text.push_str(&format!(" {} {} {otherwise:?}", kind.name(), name(*meter)));
            }
        }
        text
    }
}

/// A value that any such property could have: enough to find out whether a way exists.
fn nominal(dimension: Dimension) -> Ratio {
    match dimension {
        Dimension::Temperature => Ratio::whole(293_150_000),
        Dimension::Pressure => Ratio::whole(101_325_000),
        Dimension::Quotient(Top::Energy | Top::Mass, Bottom::Energy | Bottom::Mass | Bottom::Volume(_)) => Ratio::ONE,
        _ => Ratio::new(1, 10).unwrap_or(Ratio::ONE),
    }
}

/// Bought energy is delivered energy: it has no heating value. Everything else that is multiplied by one must agree with it.
fn check_basis(declared: &Declared, lines: &[Line], values: &Values) -> Result<(), MethodProblem> {
    if declared.category == Category::PurchasedElectricity
        && let Some(line) = lines.iter().find(|line| line.heating().is_some())
    {
        return Err(MethodProblem::OfFuel(line.set.to_string()));
    }
    if declared.category.is_purchase() {
        return Ok(());
    }
    for line in lines {
        let Some((per, own, factor)) = line.heating() else {
            continue;
        };
        let by_heat = reach(declared.dimension, values, per, own).is_some_and(|reached| reached.by_heat);
        if !by_heat || declared.basis == Some(factor) {
            continue;
        }
        // The table's own heat content is on the table's own basis.
        let own_content =
            values.get(PropertyKind::HeatContent).is_none() && declared.dimension != Dimension::Energy && own.is_some();
        if !own_content || declared.basis.is_some() {
            return Err(MethodProblem::Basis { set: line.set.to_string(), factor, meter: declared.basis });
        }
    }
    Ok(())
}

impl Stretch {
    fn text(&self) -> String {
        format!("{:?} {:?} {:?} {:?}", self.lines, self.posts, self.flags, self.market_flags)
    }

    fn add(
        &mut self,
        declared: &Declared,
        term: &Term,
        slice: &Slice,
        catalogue: &Catalogue,
    ) -> Result<(), MethodProblem> {
        for row in catalogue.set(&slice.set) {
            if !term.allowed.contains(&row.usage) {
                let set = slice.set.clone();
                return Err(MethodProblem::NotAllowed { set, usage: row.usage, allowed: term.allowed });
            }
            check_product(declared, row)?;
            let line = Line::of_row(row, term.slot, slice.provisional || slice.backcast);
            self.lines.push(line.with_potentials(declared, catalogue, &row.set)?);
            let flags = if term.slot == Slot::Market { &mut self.market_flags } else { &mut self.flags };
            if term.slot == Slot::Market && row.usage == Use::Grid {
                flags.push(Flag::GridAsResidual);
            }
            let foreign = row.is_co2e && row.gas != Gas::Co2;
            if foreign && row.gwp_set.as_deref().is_some_and(|set| set != declared.gwp.name()) {
                flags.push(Flag::ForeignGwp);
            }
        }
        let flags = if term.slot == Slot::Market { &mut self.market_flags } else { &mut self.flags };
        flags.extend(slice.provisional.then_some(Flag::FactorProvisional));
        flags.extend(slice.backcast.then_some(Flag::FactorBackcast));
        Ok(())
    }

    /// What a stack measures is calculated beside it, for its biogenic share, and not booked.
    fn leave_co2_to_the_stack(&mut self) -> Result<(), MethodProblem> {
        for line in &mut self.lines {
            if line.gas == Gas::Co2e {
                return Err(MethodProblem::Undivided(line.set.to_string()));
            }
            line.replaced = line.gas == Gas::Co2 && !line.biogenic;
        }
        Ok(())
    }
}

/// A factor of a product needs a meter that counts that product. What stands in brackets says how it is counted.
fn check_product(declared: &Declared, row: &Row) -> Result<(), MethodProblem> {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let plain = |text: &str| text.split('(').next().unwrap_or("").to_owned();
    let fits = match (&row.product, &declared.product) {
        (None, None) => true,
        (Some(factor), Some(meter)) => same(factor, meter) || same(&plain(factor), meter),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let (factor, meter) = (row.product.clone(), declared.product.clone());
    Err(MethodProblem::Product { set: row.set.clone(), factor, meter })
}
