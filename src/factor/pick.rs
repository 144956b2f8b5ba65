//! Which vintage of a factor is in force when: the valid one; else the latest earlier one, as provisional; else
//! the earliest later one, cast back. Never nothing.

use std::cmp::Reverse;

use crate::factor::Catalogue;
use crate::quantity::{Time, Zone};

/// A stretch of time with one vintage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// From this instant,
    pub from: Time,
    /// to this one, exclusive.
    pub to: Time,
    /// The set in force.
    pub set: String,
    /// The set's validity ended before.
    pub provisional: bool,
    /// The set's validity begins later.
    pub backcast: bool,
}

/// The vintages of a factor, over all time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vintages(Vec<Slice>);

/// A set with its validity as instants.
struct Candidate<'a> {
    /// The position of the name it was found under: earlier ones are preferred.
    order: usize,
    set: &'a str,
    from: Time,
    to: Time,
}

impl Vintages {
    /// Works out the slices of the named series or sets, in order of preference. Dates are days of `zone`.
    /// `Err` names what is unknown.
    pub fn of(catalogue: &Catalogue, names: &[String], zone: &Zone) -> Result<Vintages, String> {
        let mut candidates = Vec::new();
        for (order, name) in names.iter().enumerate() {
            let sets = catalogue.vintages(name).ok_or_else(|| name.clone())?;
            candidates.extend(sets.into_iter().map(|set| Candidate { order, ..Candidate::new(catalogue, set, zone) }));
        }
        let mut edges: Vec<Time> =
            candidates.iter().flat_map(|c| [c.from, c.to]).chain([Time::MIN, Time::MAX]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut slices: Vec<Slice> = Vec::new();
        for pair in edges.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let Some(slice) = pick(&candidates, from, to) else {
                continue;
            };
            match slices.last_mut() {
                Some(last) if last.same_figures(&slice) => last.to = to,
                _ => slices.push(slice),
            }
        }
        Ok(Vintages(slices))
    }

    /// In order of time, without gaps.
    pub fn slices(&self) -> &[Slice] {
        &self.0
    }
}

impl Slice {
    fn same_figures(&self, other: &Slice) -> bool {
        (&self.set, self.provisional, self.backcast) == (&other.set, other.provisional, other.backcast)
    }
}

impl<'a> Candidate<'a> {
    fn new(catalogue: &Catalogue, set: &'a str, zone: &Zone) -> Candidate<'a> {
        let rows = catalogue.set(set);
        let day = |text: Option<&String>| text.and_then(|t| zone.day_of_text(t));
        let from = day(rows.first().and_then(|r| r.valid_from.as_ref())).map_or(Time::MIN, |d| d.0);
        let to = day(rows.first().and_then(|r| r.valid_to.as_ref())).map_or(Time::MAX, |d| d.1);
        Candidate { order: 0, set, from, to }
    }
}

fn pick(candidates: &[Candidate<'_>], from: Time, to: Time) -> Option<Slice> {
    let slice =
        |c: &Candidate<'_>, provisional, backcast| Slice { from, to, set: c.set.to_owned(), provisional, backcast };
    // Of several valid ones the first named wins, then the one that became valid last.
    let valid = candidates.iter().filter(|c| c.from <= from && to <= c.to);
    if let Some(c) = valid.min_by_key(|c| (c.order, Reverse(c.from))) {
        return Some(slice(c, false, false));
    }
    let earlier = candidates.iter().filter(|c| c.to <= from).max_by_key(|c| c.to);
    if let Some(c) = earlier {
        return Some(slice(c, true, false));
    }
    let later = candidates.iter().min_by_key(|c| c.from);
    later.map(|c| slice(c, false, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, at: &str, expected: (&str, bool, bool)) {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let vintages = Vintages::of(&Catalogue::shipped(), &[name.to_owned()], &zone).unwrap();
        let at = Time::parse_rfc3339(at).unwrap();
        let slice = vintages.slices().iter().find(|s| s.from <= at && at < s.to).unwrap();
        assert_eq!((slice.set.as_str(), slice.provisional, slice.backcast), expected, "{name} at {at}");
    }

    #[test]
    fn the_valid_vintage_else_the_nearest() {
        check("cn_prov_tj", "2022-06-01T00:00:00Z", ("cn2022_prov_tj", false, false));
        check("cn_prov_tj", "2022-12-31T16:00:00Z", ("cn2023_prov_tj", false, false));
        check("cn_prov_tj", "2026-01-01T00:00:00Z", ("cn2023_prov_tj", true, false));
        check("cn_prov_tj", "2018-01-01T00:00:00Z", ("cn2021_prov_tj", false, true));
        check("cn2021_prov_tj", "2023-01-01T00:00:00Z", ("cn2021_prov_tj", true, false));
        check("ipcc06_natural_gas", "2026-01-01T00:00:00Z", ("ipcc06_natural_gas", false, false));
    }

    #[test]
    fn an_unknown_name_is_named() {
        let unknown = Vintages::of(&Catalogue::shipped(), &["nowhere".to_owned()], &Zone::UTC);
        assert_eq!(unknown, Err("nowhere".to_owned()));
    }
}
