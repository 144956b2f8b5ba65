//! Booking one meter's quarter into the leaf of its facility.

use crate::emission::{Column, Flag, Method, Post, Tally};
use crate::quantity::Quarter;
use crate::window::Activity;

/// The emissions of a facility in one clock quarter, minute by minute: the leaf of every rollup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// In the cluster's GWP set.
    pub own: Parts,
    /// In the network's, where that differs.
    pub network: Option<Box<Parts>>,
}

/// The fifteen minutes of a quarter, and last what has none.
pub type Parts = [Tally; 16];

impl Leaf {
    /// An empty leaf; `two_sets` when the network counts in another GWP set.
    pub fn new(two_sets: bool) -> Leaf {
        Leaf { own: Default::default(), network: two_sets.then(Box::default) }
    }
}

/// Books what a meter measured in a quarter. Each post is rounded once, over the quarter; `covers_time` is false for
/// events, which have no duration.
pub fn book(method: &Method, quarter: Quarter, activity: &Activity, covers_time: bool, leaf: &mut Leaf) {
    let (posts, flags) = method.at(quarter);
    book_set(method, posts, flags, activity, covers_time, &mut leaf.own, |post| post.own);
    if let Some(network) = &mut leaf.network {
        book_set(method, posts, flags, activity, covers_time, network, |post| post.network.unwrap_or(post.own));
    }
}

#[expect(clippy::too_many_arguments, reason = "one call site, two GWP sets")]
fn book_set(
    method: &Method,
    posts: &[Post],
    flags: &[Flag],
    activity: &Activity,
    covers_time: bool,
    parts: &mut Parts,
    ratio: impl Fn(&Post) -> crate::quantity::Ratio,
) {
    let whole = i128::from(activity.total().amount);
    for post in posts {
        let mass = ratio(post).of(whole).unwrap_or(i128::MAX);
        let (mut used, mut done) = (0i128, 0i128);
        for (minute, tally) in activity.parts().zip(parts.iter_mut()) {
            if minute.amount == 0 {
                continue;
            }
            used += i128::from(minute.amount);
            let upto = share(mass, used, whole);
            book_part(method, post, upto - done, &minute, tally);
            done = upto;
        }
    }
    for (minute, tally) in activity.parts().zip(parts.iter_mut()) {
        tally.covered_ms += if covers_time { i64::from(minute.covered_ms) } else { 0 };
        tally.events += minute.events;
        if minute.covered_ms > 0 || minute.events > 0 {
            flags.iter().for_each(|flag| tally.add_flag(*flag, 1));
        }
        if minute.interpolated != 0 {
            tally.add_flag(Flag::Interpolated, 1);
        }
    }
}

fn book_part(method: &Method, post: &Post, mg: i128, minute: &crate::window::Minute, tally: &mut Tally) {
    tally.add(post.column, mg);
    if !matches!(post.column, Column::Scope1 | Column::Scope2Location) {
        return;
    }
    tally.add_category(method.category, mg);
    if post.provisional {
        tally.add(Column::ProvisionalFactor, mg);
    }
    if minute.interpolated != 0 {
        tally.add(Column::Interpolated, share(mg, i128::from(minute.interpolated), i128::from(minute.amount)));
    }
}

/// `mass x used / whole`, rounded down; exact at the end.
fn share(mass: i128, used: i128, whole: i128) -> i128 {
    if used == whole {
        return mass;
    }
    match mass.checked_mul(used) {
        Some(product) => product.div_euclid(whole),
        None => (mass / whole).saturating_mul(used),
    }
}
