//! What only some meters have: stacks, captured CO2, sold certificates, plants that supply others.

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::emission::account::{Account, Capture, Purchase, Special};
use crate::emission::book::{Booking, Gwp, Posting, share};
use crate::emission::evaluate::{Evaluation, add_flag, round};
use crate::emission::line::Post;
use crate::emission::method::Applied;
use crate::emission::property::PropertyKind;
use crate::emission::{Column, Flag};
use crate::factor::Gas;
use crate::quantity::{Dimension, Ratio};

/// Micrograms of carbon dioxide in a milligram.
pub(crate) const MICROGRAMS_A_MILLIGRAM: i128 = 1_000;

/// A plant in one quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// What it emitted, scope 1, in its cluster's GWP set,
    pub mg: i128,
    /// and in its network's.
    pub network_mg: i128,
    /// Its heat in millijoules.
    pub heat: i128,
    /// Its power in millijoules.
    pub power: i128,
}

impl Evaluation<'_> {
    pub(crate) fn special(
        &self,
        booking: &mut Booking<'_>,
        applied: &Applied<'_>,
        special: &Special,
        facility: Option<FacilityIx>,
    ) {
        if booking.category == Category::CemsCo2 {
            return self.stack(booking, special.stack, facility);
        }
        if let Some(capture) = special.capture {
            return self.captured(booking, capture);
        }
        if special.sold {
            return self.sold(booking, applied, facility);
        }
        match &special.purchase {
            Some(purchase) if purchase.chp.is_some() => self.supplied(booking, applied, purchase),
            _ => self.plain(booking, applied, facility),
        }
    }

    /// A stack: the biogenic share, declared or as its fuels have it, leaves scope 1 for the memo; what the fuels book there
    /// themselves stays with them.
    pub(crate) fn stack(&self, booking: &mut Booking<'_>, stack: Option<usize>, facility: Option<FacilityIx>) {
        let measured = round(i128::from(booking.activity.total().amount), MICROGRAMS_A_MILLIGRAM);
        let fuels = self.fuels(stack);
        let by_fuels = self.booked_by_fuels(fuels, facility);
        let biogenic = match booking.values.share(PropertyKind::BiomassShare).or_else(|| self.biogenic_share(fuels)) {
            Some(share) => share.of(measured).unwrap_or(0),
            // The share of the others would be wrong: but for what they book themselves, all of it stands as fossil.
            None => {
                booking.substituted = true;
                add_flag(&mut booking.flags, Flag::Substituted);
                by_fuels.min(measured)
            }
        };
        let fossil = measured - biogenic;
        booking.postings.push(measured_co2(booking, Column::Co2, fossil));
        booking.postings.push(measured_co2(booking, Column::Scope1, fossil));
        if biogenic != by_fuels {
            booking.postings.push(measured_co2(booking, Column::BiogenicCo2, biogenic - by_fuels));
        }
    }

    /// The biogenic CO2 that the fuels of a stack book themselves; of a shared stack, those of the facility.
    fn booked_by_fuels(&self, fuels: &[MeterIx], facility: Option<FacilityIx>) -> i128 {
        let of = |fuel: &MeterIx| match facility {
            Some(facility) if !self.accounts.holders(*fuel).any(|holder| holder == facility) => 0,
            _ => self.accounts.meter(*fuel).part_of(self.calculated(std::slice::from_ref(fuel)).0, facility),
        };
        fuels.iter().map(of).sum()
    }

    fn fuels(&self, stack: Option<usize>) -> &[MeterIx] {
        stack.and_then(|at| self.accounts.stacks.get(at)).map_or(&[], |stack| &stack.fuels)
    }

    /// The part of the CO2 of these fuels that is of biomass, as calculated. `None`: one of them is silent.
    fn biogenic_share(&self, fuels: &[MeterIx]) -> Option<Ratio> {
        if fuels.iter().any(|fuel| self.is_silent(*fuel)) {
            return None;
        }
        let (biogenic, all) = self.calculated(fuels);
        if all == 0 { Some(Ratio::whole(0)) } else { Ratio::new(biogenic, all) }
    }

    /// Captured CO2 is a memo; what is stored or bound for good is shown as transferred, as far as it is fossil: by its own share,
    /// or as the stack it is taken from.
    fn captured(&self, booking: &mut Booking<'_>, capture: Capture) {
        let captured = round(i128::from(booking.activity.total().amount), MICROGRAMS_A_MILLIGRAM);
        booking.postings.push(measured_co2(booking, Column::CapturedCo2, captured));
        if capture.deduct {
            let own = booking.values.share(PropertyKind::BiomassShare);
            let share = own.or_else(|| self.stack_share(capture.stack?));
            let biogenic = share.and_then(|share| share.of(captured)).unwrap_or(0);
            booking.postings.push(measured_co2(booking, Column::TransferredCo2, captured - biogenic));
        }
    }

    /// The biogenic share of a stack: declared at its CEMS, or as its fuels have it.
    fn stack_share(&self, at: usize) -> Option<Ratio> {
        let stack = self.accounts.stacks.get(at)?;
        let declared = self.applied(self.accounts.meter(stack.cems)).values.share(PropertyKind::BiomassShare);
        declared.or_else(|| self.biogenic_share(&stack.fuels))
    }

    /// A meter that should show something at any time, and does not.
    pub(crate) fn is_silent(&self, meter: MeterIx) -> bool {
        self.accounts.meter(meter).covers_time && self.net(meter, self.quarter).is_none()
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
    fn sold(&self, booking: &mut Booking<'_>, applied: &Applied<'_>, facility: Option<FacilityIx>) {
        applied.market_flags.iter().for_each(|flag| add_flag(&mut booking.flags, *flag));
        let posts = applied.posts.as_deref().unwrap_or(&[]);
        let facility = facility.unwrap_or(self.accounts.meter(booking.meter).facility);
        let (generated, exported) = (self.generated(facility, |_| true), self.exported(facility));
        let mine = i128::from(booking.activity.total().amount);
        let kept = if generated == 0 { mine } else { mine - share(mine, exported.min(generated), generated) };
        for post in posts.iter().filter(|post| post.column == Column::Scope2Market) {
            booking.postings.push(post.on(kept));
        }
    }

    /// What a facility generates on site; a plant behind an external contract stands elsewhere.
    fn generated(&self, facility: FacilityIx, wanted: impl Fn(&Account) -> bool) -> i128 {
        let meters = self.accounts.facility(facility).meters.iter().copied();
        let on_site = meters.filter(|meter| {
            let account = self.accounts.meter(*meter);
            account.category == Category::Generation && !self.accounts.is_elsewhere(*meter) && wanted(account)
        });
        on_site.map(|meter| self.amount_of(meter, facility, self.quarter).max(0)).sum()
    }

    fn exported(&self, facility: FacilityIx) -> i128 {
        let meters = self.accounts.facility(facility).meters.iter().copied();
        let export = meters.filter(|meter| self.accounts.meter(*meter).category == Category::Export);
        export.map(|meter| self.amount_of(meter, facility, self.quarter).max(0)).sum()
    }

    /// The part of what a supplier generates whose certificates are sold.
    pub(crate) fn sold_share(&self, supplier: FacilityIx) -> Ratio {
        let is_sold = |account: &Account| account.special.as_ref().is_some_and(|special| special.sold);
        let (sold, all) = (self.generated(supplier, is_sold), self.generated(supplier, |_| true));
        Ratio::new(sold, all).unwrap_or(Ratio::whole(0))
    }

    /// Bought from a member's plant: its emissions by the efficiency method, or else the declared factor.
    fn supplied(&self, booking: &mut Booking<'_>, applied: &Applied<'_>, purchase: &Purchase) {
        let is_power = booking.category == Category::PurchasedElectricity;
        let ratios = purchase.chp.and_then(|at| self.per_energy(at, is_power));
        let energy = self.accounts.meter(booking.meter).method.reach(&booking.values, Dimension::Energy);
        let posts = applied.posts.as_deref().unwrap_or(&[]);
        let amount = i128::from(booking.activity.total().amount);
        let factors =
            ratios.zip(energy).and_then(|((own, network), energy)| Some((energy.times(own)?, energy.times(network)?)));
        let Some((own, network)) = factors else {
            if posts.is_empty() && amount != 0 {
                booking.covers_time = false;
                return add_flag(&mut booking.flags, Flag::SupplierUnknown);
            }
            return self.plain(booking, applied, None);
        };
        // What is said of a declared factor is not of this one.
        booking.flags.retain(|flag| !applied.flags.contains(flag) || *flag == Flag::Substituted);
        for (column, of_supplier, flags) in [
            (Column::Scope2Location, purchase.by_location, applied.flags),
            (Column::Scope2Market, purchase.by_market, applied.market_flags),
        ] {
            if of_supplier {
                booking.postings.push(Post::of_supplier(column, own, network).on(amount));
                continue;
            }
            flags.iter().for_each(|flag| add_flag(&mut booking.flags, *flag));
            booking.postings.extend(posts.iter().filter(|post| post.column == column).map(|post| post.on(amount)));
        }
    }

    /// Milligrams for a millijoule of a plant's heat or power, in both GWP sets: the efficiency method.
    fn per_energy(&self, chp: usize, is_power: bool) -> Option<(Ratio, Ratio)> {
        let plant = self.plant(chp)?;
        let chp = self.accounts.chps.get(chp)?;
        // E x (1 / e) / (H / eH + P / eP), for one unit of heat or of power.
        let heat_fuel = Ratio::whole(plant.heat).over(chp.heat_efficiency)?;
        let fuel = heat_fuel.plus(Ratio::whole(plant.power).over(chp.power_efficiency)?)?;
        let efficiency = if is_power { chp.power_efficiency } else { chp.heat_efficiency };
        let per = |mg: i128| Ratio::whole(mg).over(fuel)?.over(efficiency);
        fuel.is_positive().then_some((per(plant.mg)?, per(plant.network_mg)?))
    }

    /// What a plant burned and made in the quarter. `None`: some of it is not known.
    pub fn plant(&self, chp: usize) -> Option<Plant> {
        let chp = self.accounts.chps.get(chp)?;
        // A meter that is silent is no nought: without it nothing can be divided.
        let mut all = chp.fuels.iter().chain(&chp.heat).chain(&chp.power);
        let nothing = |meters: &[MeterIx]| meters.iter().all(|meter| self.net(*meter, self.quarter).is_none());
        if all.any(|meter| self.is_silent(*meter)) || nothing(&chp.fuels) || nothing(&chp.heat) {
            return None;
        }
        let energy = |meters: &[MeterIx]| -> Option<i128> { meters.iter().map(|meter| self.energy_of(*meter)).sum() };
        let mut plant = Plant { mg: 0, network_mg: 0, heat: energy(&chp.heat)?, power: energy(&chp.power)? };
        for booking in chp.fuels.iter().flat_map(|fuel| self.bookings(*fuel)) {
            if booking.flags.contains(&Flag::PropertyMissing) {
                return None;
            }
            plant.mg += booking.mg(Column::Scope1, Gwp::Own);
            plant.network_mg += booking.mg(Column::Scope1, Gwp::Network);
        }
        Some(plant)
    }

    /// The energy of a meter in the quarter, in millijoules.
    fn energy_of(&self, meter: MeterIx) -> Option<i128> {
        let account = self.accounts.meter(meter);
        let applied = self.applied(account);
        account.method.reach(&applied.values, Dimension::Energy)?.of(self.total_of(meter, self.quarter))
    }
}

/// CO2 that was measured itself.
fn measured_co2(booking: &Booking<'_>, column: Column, mg: i128) -> Posting {
    let amount = i128::from(booking.activity.total().amount);
    Posting {
        column,
        amount,
        // The part of what was measured, in milligrams.
        ratio: Ratio::new(mg, amount).unwrap_or(Ratio::whole(0)),
        potential: Ratio::ONE,
        mg,
        network_mg: mg,
        provisional: false,
        row: "measured".into(),
        contract: None,
        gas: Gas::Co2,
        error: None,
    }
}
