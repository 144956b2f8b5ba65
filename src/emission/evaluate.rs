//! The emissions of one quarter, from the amounts of all meters that have to do with it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::emission::account::{Account, Accounts, Inside, Purchase, Special};
use crate::emission::book::{Booking, Gwp, Leaf, Parts, Posting, share};
use crate::emission::contract::{self, Claims};
use crate::emission::line::Post;
use crate::emission::method::Applied;
use crate::emission::property::{PropertyKind, Values};
use crate::emission::{Column, Flag};
use crate::factor::Gas;
use crate::quantity::{Dimension, Quarter, Ratio};
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

/// What carbon dioxide there is, in micrograms for a milligram.
const MICROGRAMS_A_MILLIGRAM: i128 = 1_000;

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
        let kept = |gwp| {
            purchase.map_or(Ratio::whole(0), |p| self.sold_share(p.supplier)).of(booking.mg(Column::Scope2Market, gwp))
        };
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

    fn applied(&self, account: &'a Account) -> Applied<'a> {
        account.method.at(self.quarter, &mut |meter, dimension| self.mean(meter, dimension))
    }

    // ---- bookings ------------------------------------------------------------------------------------------------

    /// What is worked out for a meter: for one facility's share of it, or for all. `None`: it has no activity.
    fn booking(&self, meter: MeterIx, facility: Option<FacilityIx>) -> Option<Booking<'a>> {
        let activity = self.part(meter, facility, self.quarter)?;
        let account = self.accounts.meter(meter);
        if account.category == Category::Property {
            return Some(self.empty(meter, account, activity));
        }
        let applied = self.applied(account);
        let mut booking = self.empty(meter, account, activity);
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
        let posts = applied.posts.as_deref().unwrap_or(&[]);
        match &account.special {
            Some(special) => self.special(&mut booking, posts, special, facility),
            None if account.category == Category::CemsCo2 => self.stack(&mut booking, None),
            None => self.plain(&mut booking, posts, facility),
        }
        self.compare_transfers(&mut booking);
        Some(booking)
    }

    fn empty(&self, meter: MeterIx, account: &Account, activity: Cow<'a, Activity>) -> Booking<'a> {
        Booking {
            meter,
            category: account.category,
            activity,
            postings: Vec::new(),
            flags: Vec::new(),
            values: Values::default(),
            covers_time: account.covers_time && !account.category.is_memo(),
            substituted: false,
            error: account.error,
        }
    }

    fn plain(&self, booking: &mut Booking<'_>, posts: &[Post], facility: Option<FacilityIx>) {
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
            applied.flags.iter().for_each(|flag| add_flag(&mut booking.flags, *flag));
            for post in applied.posts.iter().flat_map(|posts| posts.iter()) {
                booking.postings.push(post.on(amount));
            }
        }
        if rest == 0 && whole != 0 {
            // Nothing falls to the residual mix, so nothing stands in for it.
            booking.flags.retain(|flag| *flag != Flag::GridAsResidual);
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

    fn special(&self, booking: &mut Booking<'_>, posts: &[Post], special: &Special, facility: Option<FacilityIx>) {
        if booking.category == Category::CemsCo2 {
            return self.stack(booking, special.stack);
        }
        if let Some(capture) = special.capture {
            return captured(booking, capture.deduct);
        }
        if special.sold {
            return self.sold(booking, posts);
        }
        match &special.purchase {
            Some(purchase) if purchase.chp.is_some() => self.supplied(booking, posts, purchase),
            _ => self.plain(booking, posts, facility),
        }
    }

    /// A stack: the biogenic share, declared or as its fuels have it, leaves scope 1 for the memo; what the fuels book there
    /// themselves stays with them.
    fn stack(&self, booking: &mut Booking<'_>, stack: Option<usize>) {
        let measured = round(i128::from(booking.activity.total().amount), MICROGRAMS_A_MILLIGRAM);
        let fuels = stack.and_then(|at| self.accounts.stacks.get(at)).map(|stack| self.calculated(&stack.fuels));
        let (by_fuels, calculated) = fuels.unwrap_or((0, 0));
        let biogenic = match booking.values.share(PropertyKind::BiomassShare) {
            Some(share) => share.of(measured).unwrap_or(0),
            None if calculated == 0 => 0,
            None => Ratio::new(by_fuels, calculated).and_then(|share| share.of(measured)).unwrap_or(0),
        };
        let fossil = measured - biogenic;
        booking.postings.push(measured_co2(booking, Column::Co2, fossil));
        booking.postings.push(measured_co2(booking, Column::Scope1, fossil));
        let memo = if booking.values.get(PropertyKind::BiomassShare).is_some() || by_fuels != 0 {
            biogenic - by_fuels
        } else {
            0
        };
        if memo != 0 {
            booking.postings.push(measured_co2(booking, Column::BiogenicCo2, memo));
        }
    }

    /// Biogenic CO2 of fuels as calculated, and all CO2.
    fn calculated(&self, fuels: &[MeterIx]) -> (i128, i128) {
        let (mut biogenic, mut fossil) = (0, 0);
        for fuel in fuels {
            let Some(activity) = self.net(*fuel, self.quarter) else {
                continue;
            };
            let amount = i128::from(activity.total().amount);
            let applied = self.applied(self.accounts.meter(*fuel));
            for post in applied.posts.iter().flat_map(|posts| posts.iter()) {
                match post.column {
                    Column::BiogenicCo2 => biogenic += post.on(amount).mg,
                    Column::Co2 => fossil += post.on(amount).mg,
                    _ => {}
                }
            }
        }
        (biogenic, biogenic + fossil)
    }

    /// Own generation whose certificates are sold takes the residual mix for what is used on site.
    fn sold(&self, booking: &mut Booking<'_>, posts: &[Post]) {
        let meters = self.accounts.with_exports(booking.meter);
        let of = |category: Category| -> i128 {
            let mine = meters.iter().filter(|meter| self.accounts.meter(**meter).category == category);
            mine.map(|meter| self.total_of(*meter, self.quarter).max(0)).sum()
        };
        let (generated, exported) = (of(Category::Generation), of(Category::Export));
        let mine = i128::from(booking.activity.total().amount);
        let kept = if generated == 0 { mine } else { mine - share(mine, exported.min(generated), generated) };
        for post in posts.iter().filter(|post| post.column == Column::Scope2Market) {
            booking.postings.push(post.on(kept));
        }
    }

    /// The part of what a supplier generates whose certificates are sold.
    fn sold_share(&self, supplier: FacilityIx) -> Ratio {
        let (mut sold, mut all) = (0, 0);
        for meter in &self.accounts.facility(supplier).meters {
            let account = self.accounts.meter(*meter);
            if account.category == Category::Generation {
                let amount = self.total_of(*meter, self.quarter).max(0);
                all += amount;
                sold += if account.special.as_ref().is_some_and(|special| special.sold) { amount } else { 0 };
            }
        }
        Ratio::new(sold, all).unwrap_or(Ratio::whole(0))
    }

    /// Bought from a member's plant: its emissions by the efficiency method, or else the declared factor.
    fn supplied(&self, booking: &mut Booking<'_>, posts: &[Post], purchase: &Purchase) {
        let is_power = booking.category == Category::PurchasedElectricity;
        let ratios = purchase.chp.and_then(|at| self.per_energy(at, is_power));
        let account = self.accounts.meter(booking.meter);
        let energy = account.method.reach(&booking.values, Dimension::Energy);
        let amount = i128::from(booking.activity.total().amount);
        let (Some((own, network)), Some(energy)) = (ratios, energy) else {
            if posts.is_empty() {
                booking.covers_time = false;
                return add_flag(&mut booking.flags, Flag::SupplierUnknown);
            }
            return self.plain(booking, posts, None);
        };
        let factor = |ratio: Ratio| energy.times(ratio).unwrap_or(Ratio::whole(0));
        // The flags of the declared factor are not of this one.
        booking.flags.retain(|flag| matches!(flag, Flag::Substituted | Flag::NegativeRemainder));
        for column in [Column::Scope2Location, Column::Scope2Market] {
            let (own, network) = (factor(own), factor(network));
            let row: Arc<str> = "supplier".into();
            let post = Post {
                column,
                own,
                network: Some(network),
                provisional: false,
                replaced: false,
                row,
                gas: Gas::Co2e,
                error: None,
            };
            booking.postings.push(post.on(amount));
        }
    }

    /// Milligrams for a millijoule of a plant's heat or power, in both GWP sets: the efficiency method.
    fn per_energy(&self, chp: usize, is_power: bool) -> Option<(Ratio, Ratio)> {
        let chp = self.accounts.chps.get(chp)?;
        let energy = |meters: &[MeterIx]| -> Option<i128> { meters.iter().map(|meter| self.energy_of(*meter)).sum() };
        let (heat, power) = (energy(&chp.heat)?, energy(&chp.power)?);
        let (mut own, mut network) = (0, 0);
        for fuel in &chp.fuels {
            for booking in self.bookings(*fuel) {
                own += booking.mg(Column::Scope1, Gwp::Own);
                network += booking.mg(Column::Scope1, Gwp::Network);
            }
        }
        // E x (1 / e) / (H / eH + P / eP), for one unit of heat or of power.
        let heat_fuel = Ratio::whole(heat).over(chp.heat_efficiency)?;
        let fuel = heat_fuel.plus(Ratio::whole(power).over(chp.power_efficiency)?)?;
        let efficiency = if is_power { chp.power_efficiency } else { chp.heat_efficiency };
        let per = |mg: i128| Ratio::whole(mg).over(fuel)?.over(efficiency);
        fuel.is_positive().then_some((per(own)?, per(network)?))
    }

    /// The energy of a meter in the quarter, in millijoules.
    fn energy_of(&self, meter: MeterIx) -> Option<i128> {
        let account = self.accounts.meter(meter);
        let applied = self.applied(account);
        account.method.reach(&applied.values, Dimension::Energy)?.of(self.total_of(meter, self.quarter))
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
    /// Of an amount: one mass, rounded once.
    fn on(&self, amount: i128) -> Posting {
        let mass = |ratio: Ratio| ratio.of(amount).unwrap_or(i128::MAX);
        let mg = mass(self.own);
        Posting {
            column: self.column,
            amount,
            ratio: self.own,
            mg,
            network_mg: self.network.map_or(mg, mass),
            provisional: self.provisional,
            row: Arc::clone(&self.row),
            gas: self.gas.clone(),
            error: self.error,
        }
    }
}

/// CO2 that was measured itself.
fn measured_co2(booking: &Booking<'_>, column: Column, mg: i128) -> Posting {
    Posting {
        column,
        amount: i128::from(booking.activity.total().amount),
        ratio: Ratio::new(1, MICROGRAMS_A_MILLIGRAM).unwrap_or(Ratio::ONE),
        mg,
        network_mg: mg,
        provisional: false,
        row: "measured".into(),
        gas: Gas::Co2,
        error: None,
    }
}

/// Captured CO2 is a memo; what is stored or bound for good is shown as transferred, as far as it is fossil.
fn captured(booking: &mut Booking<'_>, deduct: bool) {
    let captured = round(i128::from(booking.activity.total().amount), MICROGRAMS_A_MILLIGRAM);
    booking.postings.push(measured_co2(booking, Column::CapturedCo2, captured));
    if deduct {
        let biogenic =
            booking.values.share(PropertyKind::BiomassShare).and_then(|share| share.of(captured)).unwrap_or(0);
        booking.postings.push(measured_co2(booking, Column::TransferredCo2, captured - biogenic));
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

fn add_flag(flags: &mut Vec<Flag>, flag: Flag) {
    if !flags.contains(&flag) {
        flags.push(flag);
    }
}

fn round(amount: i128, divisor: i128) -> i128 {
    Ratio::new(1, divisor).and_then(|ratio| ratio.of(amount)).unwrap_or(i128::MAX)
}
