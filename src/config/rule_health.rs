//! Rules about the data and the daemon: what they watch, and how much they bear.

use std::collections::BTreeMap;

use crate::alert::{Coverage, Imbalance, Kind, Part, Quality, Rule, Signal, Stale, Watched};
use crate::cluster::{self, Entity, Level, MeterIx};
use crate::config::rule::RuleCheck;
use crate::config::rule_kind::AVERAGES;
use crate::emission::Transfer;
use crate::quantity::{Ratio, Span};

/// Kinds of rules that are not about what is emitted.
pub(crate) const KINDS: [&str; 5] = ["stale", "coverage", "imbalance", "quality", "daemon"];

impl RuleCheck<'_> {
    /// A rule of one of these kinds, for each way in which it is judged.
    pub(crate) fn health(&mut self, kind: &str, rule: &Rule) -> Vec<Rule> {
        let with = |kind: Kind, watched: Vec<Watched>| Rule { kind, watched, ..rule.clone() };
        match kind {
            "stale" => {
                let (stale, watched) = self.stale();
                vec![with(Kind::Stale(stale), watched)]
            }
            "coverage" => {
                let watched = self.entities(None).into_iter().map(Watched::Entity).collect();
                self.coverage().map(|coverage| with(Kind::Coverage(coverage), watched)).into_iter().collect()
            }
            "imbalance" => {
                let imbalances = self.imbalances();
                imbalances.into_iter().map(|(watched, found)| with(Kind::Imbalance(found), vec![watched])).collect()
            }
            "quality" => {
                let watched = self.entities(Some(Level::Meter)).into_iter().map(Watched::Entity).collect();
                self.quality().map(|quality| with(Kind::Quality(quality), watched)).into_iter().collect()
            }
            _ => vec![with(Kind::Daemon, self.parts())],
        }
    }

    fn stale(&mut self) -> (Stale, Vec<Watched>) {
        let topology = self.topology;
        let meters: Vec<MeterIx> = self
            .entities(Some(Level::Meter))
            .into_iter()
            .filter_map(|entity| match entity {
                Entity::Meter(ix) => Some(ix),
                _ => None,
            })
            .filter(|ix| topology.meter(*ix).kind != cluster::Kind::Derived)
            .collect();
        let mut gateways: BTreeMap<String, Vec<MeterIx>> = BTreeMap::new();
        for ix in &meters {
            if let Some(gateway) = &topology.meter(*ix).gateway {
                gateways.entry(gateway.clone()).or_default().push(*ix);
            }
        }
        gateways.retain(|_, meters| meters.len() > 1);
        let behind = gateways.keys().cloned().map(Watched::Gateway).collect::<Vec<_>>();
        let watched = meters.into_iter().map(|ix| Watched::Entity(Entity::Meter(ix))).chain(behind).collect();
        (Stale { gateways }, watched)
    }

    /// Of what time, by its name.
    fn average(&mut self, default: Span) -> Span {
        let path = ["rules", self.id, "average"];
        self.checker.word(&path, self.section.average.as_ref(), &AVERAGES).unwrap_or(default)
    }

    fn coverage(&mut self) -> Option<Coverage> {
        let average = self.average(Span::minutes(60));
        if self.section.at_least.is_none() {
            self.missing("at_least", "the part of the meters' time that must be measured, such as 0.9");
            return None;
        }
        let least = self.share("at_least", self.section.at_least.as_ref(), (9, 10), 1);
        let deadband = self.share("deadband", self.section.deadband.as_ref(), (1, 100), 1);
        let e4 = |share: Ratio| u32::try_from(share.of_floor(10_000)).unwrap_or(10_000);
        Some(Coverage { average, least_e4: e4(least), clear_e4: (e4(least) + e4(deadband)).min(10_000) })
    }

    fn quality(&mut self) -> Option<Quality> {
        let average = self.average(Span::minutes(60));
        let most = self.share("at_most", self.section.at_most.as_ref(), (5, 100), 1);
        Some(Quality { average, most, clear: self.clear(true) })
    }

    /// One a transfer.
    fn imbalances(&mut self) -> Vec<(Watched, Imbalance)> {
        let average = self.average(Span::days(1));
        if average < Span::minutes(15) {
            self.error("average", "amounts are compared by the quarter of an hour; at least \"15m\"".to_owned());
        }
        let wanted = self.section.select.transfer.clone();
        let transfers = self.transfers;
        let known: BTreeMap<String, ()> = transfers.iter().map(|transfer| (transfer.id.to_string(), ())).collect();
        for name in wanted.iter().flat_map(|names| &names.0).filter(|name| *name != "*") {
            self.checker.reference(&["rules", self.id, "select", "transfer"], name, &known, "transfers");
        }
        let is_meant = |transfer: &&Transfer| {
            let of = |name: &String| name == "*" || name == transfer.id.as_str();
            wanted.as_ref().is_none_or(|names| names.0.iter().any(of))
        };
        let (clear, min_coverage_e4) = (self.clear(true), self.min_coverage_e4());
        let meant: Vec<&Transfer> = transfers.iter().filter(is_meant).collect();
        if meant.is_empty() {
            self.selects_nothing("transfer", "declare `[transfers.<id>]` with `sent` and `received`");
        }
        let mut found = Vec::new();
        for Transfer { id, sent, received, tolerance } in meant {
            let tolerance = match &self.section.tolerance {
                Some(_) => self.share("tolerance", self.section.tolerance.as_ref(), (2, 100), 1),
                None => *tolerance,
            };
            let (sent, received) = (*sent, *received);
            let imbalance = Imbalance { sent, received, average, tolerance, clear, min_coverage_e4 };
            found.push((Watched::Transfer(id.clone()), imbalance));
        }
        found
    }

    fn parts(&mut self) -> Vec<Watched> {
        let Some(names) = &self.section.watch else {
            return Part::NAMES.map(|(_, part)| Watched::Part(part)).to_vec();
        };
        let path = ["rules", self.id, "watch"];
        let parts = names.0.iter().filter_map(|name| self.checker.word(&path, Some(name), &Part::NAMES));
        parts.map(Watched::Part).collect()
    }

    /// What rules that are not about emissions look at.
    pub(crate) fn no_signal() -> Signal {
        Signal::Columns(Vec::new())
    }
}
