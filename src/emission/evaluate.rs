//! The emissions of one quarter, from the amounts of all meters that have to do with it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::emission::account::{Account, Accounts, Inside};
use crate::emission::book::{Booking, Gwp, Leaf, Parts, Posting, share};
use crate::emission::contract::{self, Claims};
use crate::emission::line::Post;
use crate::emission::method::Applied;
use crate::emission::property::Values;
use crate::emission::{Column, Flag, SourceKey};
use crate::factor::Gas;
use crate::quantity::{Quarter, Ratio};
use crate::window::Activity;

/// Tells the activity of a meter in a quarter.
pub type Facts<'a> = dyn Fn(MeterIx, Quarter) -> Option<Cow<'a, Activity>> + 'a;

/// One quarter being worked out.
pub struct Evaluation<'a> {
    pub(crate) accounts: &'a Accounts,
    pub(crate) quarter: Quarter,
    pub(crate) facts: &'a Facts<'a>,
    /// What contracts cover, worked out when first asked for.
    claims: RefCell<BTreeMap<FacilityIx, Claims>>,
}

impl<'a> Evaluation<'a> {
    /// The quarter, with a way to ask for amounts.
    pub fn new(accounts: &'a Accounts, quarter: Quarter, facts: &'a Facts<'a>) -> Evaluation<'a> {
        Evaluation { accounts, quarter, facts, claims: RefCell::default() }
    }

    /// A facility's emissions, as it counts them and as those above it do.
    pub fn leaf(&self, facility: FacilityIx) -> Leaf {
        let account = self.accounts.facility(facility);
        let mut leaf = Leaf {
            own: Parts::default(),
            cluster: account.cluster_view.then(Box::default),
            network: account.network_view.then(Box::default),
            packed: false,
        };
        for meter in &account.meters {
            let Some(booking) = self.booking(*meter, Some(facility)) else {
                continue;
            };
            booking.add_to(&mut leaf.own, Gwp::Own);
            self.add_views(&booking, &mut leaf);
            leaf.packed |= booking.activity.is_packed();
        }
        leaf
    }

    /// A meter's emissions, all its shares together, in its cluster's GWP set.
    pub fn meter(&self, meter: MeterIx) -> Parts {
        let mut parts = Parts::default();
        for booking in self.bookings(meter) {
            // Its own time is covered whether or not the facility counts it.
            let covers_time =
                booking.covers_time || booking.category.is_memo() && self.accounts.meter(meter).covers_time;
            Booking { covers_time, ..booking }.add_to(&mut parts, Gwp::Own);
        }
        let shares = self.accounts.meter(meter).shares().len().max(1);
        // Shares cover the same time.
        parts.iter_mut().for_each(|part| part.covered_ms /= shares as i64);
        parts
    }

    /// All that is worked out for a meter: one booking, or one a share.
    pub fn bookings(&self, meter: MeterIx) -> Vec<Booking<'a>> {
        match self.accounts.meter(meter).shares() {
            [] => self.booking(meter, None).into_iter().collect(),
            shares => shares.iter().filter_map(|share| self.booking(meter, Some(share.facility))).collect(),
        }
    }

    fn add_views(&self, booking: &Booking<'_>, leaf: &mut Leaf) {
        if leaf.cluster.is_none() && leaf.network.is_none() {
            return;
        }
        let purchase = self.accounts.meter(booking.meter).purchase();
        let eliminated = purchase.and_then(|purchase| purchase.eliminated);
        // Certificates are of electricity: what was sold with them is no longer the cluster's to eliminate.
        let is_power = booking.category == Category::PurchasedElectricity;
        let sold = purchase.filter(|_| is_power).map_or(Ratio::whole(0), |p| self.sold_share(p.supplier));
        let kept = |gwp| sold.of(booking.mg(Column::Scope2Market, gwp));
        if let Some(cluster) = &mut leaf.cluster {
            match eliminated {
                Some(Inside::Cluster) => add_eliminated(booking, cluster, Gwp::Own, kept(Gwp::Own), true),
                _ => booking.add_to(cluster, Gwp::Own),
            }
        }
        if let Some(network) = &mut leaf.network {
            match eliminated {
                // The network's own elimination is what it leaves out itself.
                Some(inside) => {
                    add_eliminated(booking, network, Gwp::Network, kept(Gwp::Network), inside == Inside::Network);
                }
                None => booking.add_to(network, Gwp::Network),
            }
        }
    }

    pub(crate) fn applied(&self, account: &'a Account) -> Applied<'a> {
        account.method.at(self.quarter, &mut |meter, dimension| self.mean(meter, dimension))
    }

    // ---- bookings ------------------------------------------------------------------------------------------------

    /// What is worked out for a meter: for one facility's share of it, or for all. `None`: it has no activity.
    fn booking(&self, meter: MeterIx, facility: Option<FacilityIx>) -> Option<Booking<'a>> {
        let activity = self.part(meter, facility, self.quarter)?;
        let account = self.accounts.meter(meter);
        let facility = facility.filter(|_| !account.shares().is_empty());
        let mut booking = self.empty(meter, account, activity);
        booking.facility = facility;
        if account.category == Category::Property {
            return Some(booking);
        }
        let applied = self.applied(account);
        if booking.activity.is_adjusted() {
            add_flag(&mut booking.flags, Flag::Adjusted);
        }
        booking.values = applied.values.clone();
        booking.flags.extend_from_slice(applied.flags);
        if applied.values.substituted {
            booking.substituted = true;
            add_flag(&mut booking.flags, Flag::Substituted);
        }
        if applied.values.missing || applied.posts.is_none() {
            booking.covers_time = false;
            add_flag(&mut booking.flags, Flag::PropertyMissing);
            return Some(booking);
        }
        if booking.activity.total().amount < 0 && !account.terms().is_empty() {
            add_flag(&mut booking.flags, Flag::NegativeRemainder);
        }
        match &account.special {
            Some(special) => self.special(&mut booking, &applied, special, facility),
            None if account.category == Category::CemsCo2 => self.stack(&mut booking, None, None),
            None => self.plain(&mut booking, &applied, facility),
        }
        self.compare_transfers(&mut booking);
        Some(booking)
    }

    fn empty(&self, meter: MeterIx, account: &Account, activity: Cow<'a, Activity>) -> Booking<'a> {
        Booking {
            meter,
            facility: None,
            category: account.category,
            activity,
            postings: Vec::new(),
            flags: Vec::new(),
            values: Values::default(),
            covers_time: account.covers_time && !account.category.is_memo(),
            substituted: false,
            errors: self.errors(meter, account),
        }
    }

    /// The errors that a meter's masses have: its own, or those of its terms by their part in it; and those of the meters of its
    /// properties.
    fn errors(&self, meter: MeterIx, account: &Account) -> Vec<(SourceKey, i64)> {
        let properties = account.method.properties().meters().filter_map(|ix| self.accounts.meter(ix).error);
        if account.terms().is_empty() {
            return account.error.into_iter().chain(properties).collect();
        }
        let total = i128::from(self.net(meter, self.quarter).map_or(0, |activity| activity.total().amount));
        let of_term = |(input, coefficient, amount): (MeterIx, Ratio, i64)| {
            let (source, millionths) = self.accounts.meter(input).error?;
            let part = coefficient.times(Ratio::new(i128::from(amount), total)?)?;
            Some((source, i64::try_from(part.of(i128::from(millionths))?).ok()?))
        };
        self.terms(meter).into_iter().filter_map(of_term).chain(properties).collect()
    }

    pub(crate) fn plain(&self, booking: &mut Booking<'_>, applied: &Applied<'_>, facility: Option<FacilityIx>) {
        let posts = applied.posts.as_deref().unwrap_or(&[]);
        let whole = i128::from(booking.activity.total().amount);
        let covered = self.covered(booking.meter, facility);
        let rest = whole - covered.iter().map(|(_, amount)| amount).sum::<i128>();
        for post in posts.iter().filter(|post| !post.replaced) {
            let amount = if post.column == Column::Scope2Market { rest } else { whole };
            booking.postings.push(post.on(amount));
        }
        for (at, amount) in covered {
            let contract = &self.accounts.contracts[at];
            let applied = contract.method.at(self.quarter, &mut |_, _| None);
            // That its factor is of a grid is what the contract says.
            let flags = applied.market_flags.iter().filter(|flag| **flag != Flag::GridAsResidual);
            flags.for_each(|flag| add_flag(&mut booking.flags, *flag));
            for post in applied.posts.iter().flat_map(|posts| posts.iter()) {
                booking.postings.push(Posting { contract: Some(at), ..post.on(amount) });
            }
        }
        if rest != 0 || whole == 0 {
            applied.market_flags.iter().for_each(|flag| add_flag(&mut booking.flags, *flag));
        }
    }

    /// What contracts cover of a meter in the quarter.
    fn covered(&self, meter: MeterIx, facility: Option<FacilityIx>) -> Vec<(usize, i128)> {
        let account = self.accounts.meter(meter);
        if !account.is_contractable() {
            return Vec::new();
        }
        let facility = facility.unwrap_or(account.facility);
        if self.accounts.facility(facility).contracts.is_empty() {
            return Vec::new();
        }
        let mut known = self.claims.borrow_mut();
        let claims = known.entry(facility).or_insert_with(|| contract::claims(self, facility, self.quarter));
        claims.get(&(facility, meter, self.quarter)).cloned().unwrap_or_default()
    }

    /// What was sent against what was received: both ends say it, for neither is preferred.
    fn compare_transfers(&self, booking: &mut Booking<'_>) {
        let meter = booking.meter;
        for transfer in self.accounts.transfers.iter().filter(|t| t.received == meter || t.sent == meter) {
            let amount = |meter: MeterIx| self.total_of(meter, self.quarter);
            let (sent, received) = (amount(transfer.sent), amount(transfer.received));
            if transfer.tolerance.of(sent.abs()).is_some_and(|most| (sent - received).abs() > most) {
                add_flag(&mut booking.flags, Flag::TransferDifference);
            }
        }
    }
}

impl Post {
    pub(crate) fn of_supplier(column: Column, own: Ratio, network: Ratio) -> Post {
        let (row, gas, network): (Arc<str>, _, _) = ("supplier".into(), Gas::Co2e, Some(network));
        Post { column, own, network, potential: Ratio::ONE, provisional: false, replaced: false, row, gas, error: None }
    }

    /// Of an amount: one mass, rounded once.
    pub(crate) fn on(&self, amount: i128) -> Posting {
        let mass = |ratio: Ratio| ratio.of(amount).unwrap_or(i128::MAX);
        let mg = mass(self.own);
        Posting {
            column: self.column,
            amount,
            ratio: self.own,
            potential: self.potential,
            mg,
            network_mg: self.network.map_or(mg, mass),
            provisional: self.provisional,
            row: Arc::clone(&self.row),
            contract: None,
            gas: self.gas.clone(),
            error: self.error,
        }
    }
}

fn add_eliminated(booking: &Booking<'_>, parts: &mut Parts, gwp: Gwp, kept: Option<i128>, shown: bool) {
    let mut mine = Parts::default();
    booking.add_to(&mut mine, gwp);
    let (kept, whole) = (kept.unwrap_or(0), booking.mg(Column::Scope2Market, gwp));
    let (mut seen, mut done) = (0, 0);
    for (part, sum) in mine.iter().zip(parts.iter_mut()) {
        seen += part.mg(Column::Scope2Market);
        let upto = if whole == 0 { 0 } else { share(kept, seen, whole) };
        sum.merge(&part.eliminated(upto - done, shown));
        done = upto;
    }
}

pub(crate) fn add_flag(flags: &mut Vec<Flag>, flag: Flag) {
    if !flags.contains(&flag) {
        flags.push(flag);
    }
}

pub(crate) fn round(amount: i128, divisor: i128) -> i128 {
    Ratio::new(1, divisor).and_then(|ratio| ratio.of(amount)).unwrap_or(i128::MAX)
}
