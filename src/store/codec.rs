//! How readings, activities and balances are written. Codes are part of the format: never reuse one.

use crate::cluster::Category;
use crate::emission::{Column, Flag, SourceKey, Tally};
use crate::ledger::Balance;
use crate::meter::{Held, Point, QuarterSet};
use crate::quantity::{QUARTER_MS, Quarter};
use crate::store::bytes::{Cursor, Writer};
use crate::window::{Activity, Minute};

/// Checksum over the parts of a record, key included, so that no record can pass for another.
pub(crate) fn checksum(key: &[i64], bodies: &[&[u8]]) -> i64 {
    let mut crc = crc32fast::Hasher::new();
    key.iter().for_each(|part| crc.update(&part.to_le_bytes()));
    for body in bodies {
        crc.update(&(body.len() as u64).to_le_bytes());
        crc.update(body);
    }
    i64::from(crc.finalize())
}

// ---- readings ----------------------------------------------------------------------------------------------------

/// A point has three numbers, each of a byte or more.
const POINT_MIN: usize = 3;

/// Differences of differences of times, differences of values, differences of lags: regular meters become zeros.
pub(crate) fn write_held(held: &Held) -> Vec<u8> {
    let mut writer = Writer::default();
    let points = held.set.points();
    writer.unsigned(points.len() as u128);
    let (mut offset, mut step, mut value, mut lag) = (0i64, 0i64, 0i64, 0i64);
    for point in points {
        let time = i64::from(point.offset_ms());
        let receipt = point.received(held.quarter).since(point.time(held.quarter)).0;
        writer.signed(i128::from(time - offset - step));
        writer.signed(i128::from(point.value) - i128::from(value));
        writer.signed(i128::from(receipt) - i128::from(lag));
        (step, offset, value, lag) = (time - offset, time, point.value, receipt);
    }
    writer.unsigned(held.aside.len() as u128);
    held.aside.iter().for_each(|offset| writer.unsigned(u128::from(*offset)));
    writer.0
}

/// The readings of a quarter, from the column `readings`. `None`: malformed.
pub fn read_held(quarter: Quarter, bytes: &[u8]) -> Option<Held> {
    let mut cursor = Cursor(bytes);
    let count: usize = cursor.number()?;
    let mut points = Vec::with_capacity(count.min(bytes.len() / POINT_MIN));
    let (mut offset, mut step, mut value, mut lag) = (0i64, 0i64, 0i64, 0i64);
    for _ in 0..count {
        let time = offset.checked_add(step)?.checked_add(cursor.integer()?)?;
        if !(0..QUARTER_MS).contains(&time) {
            return None;
        }
        value = i64::try_from(cursor.signed()?.checked_add(i128::from(value))?).ok()?;
        lag = lag.checked_add(cursor.integer()?)?;
        (step, offset) = (time - offset, time);
        let time = crate::quantity::Time(quarter.start().0 + time);
        points.push(Point::new(time, crate::quantity::Time(time.0.checked_add(lag)?), value));
    }
    let mut aside = Vec::new();
    for _ in 0..cursor.number::<u32>()? {
        aside.push(cursor.number()?);
    }
    points.is_sorted().then(|| Held { quarter, set: QuarterSet::from_sorted(points), aside })
}

// ---- activity ----------------------------------------------------------------------------------------------------

const FULL_MINUTE_MS: u32 = 60_000;
const HAS_AMOUNT: u8 = 1;
const FULLY_COVERED: u8 = 2;
const PARTLY_COVERED: u8 = 4;
const HAS_INTERPOLATED: u8 = 8;
const HAS_EVENTS: u8 = 16;

pub(crate) fn write_activity(activity: &Activity) -> Vec<u8> {
    let mut writer = Writer::default();
    // What the quarter has beside its minutes comes last, if there is any.
    let has_whole = activity.part(Activity::WHOLE) != Minute::default();
    let parts = activity.parts().take(Activity::WHOLE + usize::from(has_whole));
    parts.for_each(|part| write_minute(&mut writer, &part));
    writer.0
}

/// The activity of a quarter, from the column `minutes`. `None`: malformed.
pub fn read_activity(bytes: &[u8]) -> Option<Activity> {
    let mut cursor = Cursor(bytes);
    let mut activity = Activity::default();
    for at in 0..Activity::WHOLE {
        activity.add(at, read_minute(&mut cursor)?);
    }
    if !cursor.0.is_empty() {
        activity.add(Activity::WHOLE, read_minute(&mut cursor)?);
    }
    Some(activity)
}

pub(crate) fn write_minute(writer: &mut Writer, minute: &Minute) {
    let full = minute.covered_ms == FULL_MINUTE_MS;
    let marks = [
        (minute.amount != 0, HAS_AMOUNT),
        (full, FULLY_COVERED),
        (!full && minute.covered_ms != 0, PARTLY_COVERED),
        (minute.interpolated != 0, HAS_INTERPOLATED),
        (minute.events != 0, HAS_EVENTS),
    ];
    let mark = marks.iter().filter(|(set, _)| *set).fold(0, |sum, (_, bit)| sum | bit);
    writer.0.push(mark);
    if minute.amount != 0 {
        writer.signed(i128::from(minute.amount));
    }
    if mark & PARTLY_COVERED != 0 {
        writer.unsigned(u128::from(minute.covered_ms));
    }
    if minute.interpolated != 0 {
        writer.signed(i128::from(minute.interpolated));
    }
    if minute.events != 0 {
        writer.unsigned(u128::from(minute.events));
    }
}

pub(crate) fn read_minute(cursor: &mut Cursor<'_>) -> Option<Minute> {
    let mark: u8 = cursor.number()?;
    let mut minute = Minute::default();
    if mark & HAS_AMOUNT != 0 {
        minute.amount = cursor.integer()?;
    }
    if mark & FULLY_COVERED != 0 {
        minute.covered_ms = FULL_MINUTE_MS;
    }
    if mark & PARTLY_COVERED != 0 {
        minute.covered_ms = cursor.number()?;
    }
    if mark & HAS_INTERPOLATED != 0 {
        minute.interpolated = cursor.integer()?;
    }
    if mark & HAS_EVENTS != 0 {
        minute.events = cursor.number()?;
    }
    Some(minute)
}

// ---- balances ----------------------------------------------------------------------------------------------------

fn category_code(category: Category) -> u8 {
    match category {
        Category::StationaryCombustion => 1,
        Category::MobileCombustion => 2,
        Category::Process => 3,
        Category::Fugitive => 4,
        Category::CemsCo2 => 5,
        Category::PurchasedElectricity => 6,
        Category::PurchasedSteam => 7,
        Category::PurchasedHeat => 8,
        Category::PurchasedCooling => 9,
        Category::Generation => 10,
        Category::Export => 11,
        Category::CapturedCo2 => 12,
        Category::Production => 13,
        Category::Property => 14,
        Category::Memo => 15,
    }
}

fn flag_code(flag: Flag) -> u8 {
    match flag {
        Flag::FactorProvisional => 1,
        Flag::FactorBackcast => 2,
        Flag::ForeignGwp => 3,
        Flag::GridAsResidual => 4,
        Flag::Interpolated => 5,
        Flag::Substituted => 6,
        Flag::PropertyMissing => 7,
        Flag::SupplierUnknown => 8,
        Flag::TransferDifference => 9,
        Flag::NegativeRemainder => 10,
        Flag::Adjusted => 11,
    }
}

/// What follows the entity's own sum, and the errors of all.
const HAS_NETWORK: u8 = 1;
const HAS_CLUSTER: u8 = 2;
const HAS_ERRORS: u8 = 4;

pub(crate) fn write_balance(balance: &Balance) -> Vec<u8> {
    let mut writer = Writer::default();
    let views = [(&balance.network, HAS_NETWORK), (&balance.cluster, HAS_CLUSTER)];
    write_tally(&mut writer, &balance.own);
    let mut marks = views.iter().filter(|(view, _)| view.is_some()).fold(0, |sum, (_, bit)| sum | bit);
    let all = || [Some(&balance.own), balance.network.as_deref(), balance.cluster.as_deref()].into_iter().flatten();
    if all().any(|tally| !tally.errors().is_empty()) {
        marks |= HAS_ERRORS;
    }
    writer.unsigned(u128::from(marks));
    for view in views.iter().filter_map(|(view, _)| view.as_deref()) {
        write_tally(&mut writer, view);
    }
    if marks & HAS_ERRORS != 0 {
        all().for_each(|tally| write_errors(&mut writer, tally));
    }
    writer.0
}

/// The sums of an entry, from the column `body`. `None`: malformed.
pub fn read_balance(bytes: &[u8]) -> Option<Balance> {
    let mut cursor = Cursor(bytes);
    let own = read_tally(&mut cursor)?;
    let marks: u8 = cursor.number()?;
    let mut view = |bit: u8| match marks & bit {
        0 => Some(None),
        _ => read_tally(&mut cursor).map(|tally| Some(Box::new(tally))),
    };
    let (network, cluster) = (view(HAS_NETWORK)?, view(HAS_CLUSTER)?);
    let mut balance = Balance { own, cluster, network };
    if marks & HAS_ERRORS != 0 {
        read_errors(&mut cursor, &mut balance.own)?;
        for view in [&mut balance.network, &mut balance.cluster].into_iter().flatten() {
            read_errors(&mut cursor, view)?;
        }
    }
    Some(balance)
}

fn write_errors(writer: &mut Writer, tally: &Tally) {
    writer.unsigned(tally.errors().len() as u128);
    for (source, millionths) in tally.errors() {
        writer.unsigned(u128::from(source.0));
        writer.signed(*millionths);
    }
}

fn read_errors(cursor: &mut Cursor<'_>, tally: &mut Tally) -> Option<()> {
    for _ in 0..cursor.number::<u32>()? {
        let source = SourceKey(cursor.number()?);
        tally.add_error(source, cursor.signed()?);
    }
    Some(())
}

/// Only what is not nought, each with its code.
fn write_tally(writer: &mut Writer, tally: &Tally) {
    writer.signed(i128::from(tally.covered_ms));
    writer.unsigned(u128::from(tally.events));
    let columns: Vec<Column> = Column::ALL.into_iter().filter(|c| tally.mg(*c) != 0).collect();
    writer.unsigned(columns.len() as u128);
    for column in columns {
        writer.unsigned(column as u128);
        writer.signed(tally.mg(column));
    }
    let categories: Vec<Category> = Category::ALL.into_iter().filter(|c| tally.category_mg(*c) != 0).collect();
    writer.unsigned(categories.len() as u128);
    for category in categories {
        writer.unsigned(u128::from(category_code(category)));
        writer.signed(tally.category_mg(category));
    }
    let flags: Vec<Flag> = Flag::ALL.into_iter().filter(|f| tally.flag_count(*f) != 0).collect();
    writer.unsigned(flags.len() as u128);
    for flag in flags {
        writer.unsigned(u128::from(flag_code(flag)));
        writer.unsigned(u128::from(tally.flag_count(flag)));
    }
}

fn read_tally(cursor: &mut Cursor<'_>) -> Option<Tally> {
    let mut tally = Tally::default();
    tally.covered_ms = cursor.integer()?;
    tally.events = cursor.number()?;
    for _ in 0..cursor.number::<u8>()? {
        let code: usize = cursor.number()?;
        tally.add(*Column::ALL.get(code)?, cursor.signed()?);
    }
    for _ in 0..cursor.number::<u8>()? {
        let code: u8 = cursor.number()?;
        let category = Category::ALL.into_iter().find(|c| category_code(*c) == code)?;
        tally.add_category(category, cursor.signed()?);
    }
    for _ in 0..cursor.number::<u8>()? {
        let code: u8 = cursor.number()?;
        let flag = Flag::ALL.into_iter().find(|f| flag_code(*f) == code)?;
        tally.add_flag(flag, cursor.number()?);
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Time;

    #[test]
    fn readings_come_back() {
        let points = [(0, 5, 1 << 40), (10_000, 10_200, 3), (899_999, -100_000, i64::MAX)];
        let points = points.map(|(at, received, value)| Point::new(Time(at), Time(received), value));
        let set = QuarterSet::from_sorted(points.to_vec());
        let held = Held { quarter: Quarter(0), set, aside: vec![10_000] };
        assert_eq!(read_held(Quarter(0), &write_held(&held)), Some(held));
    }

    #[test]
    fn activities_and_balances_come_back() {
        let mut activity = Activity::default();
        activity.add(3, Minute { amount: 7, interpolated: 7, covered_ms: 60_000, events: 0 });
        activity.add(4, Minute { amount: i64::MAX, interpolated: 0, covered_ms: 12, events: 2 });
        activity.add(Activity::WHOLE, Minute { amount: 3, interpolated: 3, covered_ms: 900_000, events: 0 });
        assert_eq!(read_activity(&write_activity(&activity)), Some(activity));
        let mut own = Tally::default();
        (own.covered_ms, own.events) = (5, 1);
        own.add(Column::ProvisionalFactor, i128::MAX / 2);
        own.add_category(Category::PurchasedElectricity, 9);
        own.add_flag(Flag::Interpolated, 3);
        let mut cluster = own.clone();
        cluster.add_error(SourceKey(u64::MAX), -7);
        let (network, cluster) = (Some(Box::new(own.clone())), Some(Box::new(cluster)));
        let balance = Balance { cluster, network, own };
        assert_eq!(read_balance(&write_balance(&balance)), Some(balance));
    }

    #[test]
    fn cut_records_are_noticed() {
        let mut activity = Activity::default();
        (0..15).for_each(|at| activity.add(at, Minute { amount: 9, ..Minute::default() }));
        let whole = write_activity(&activity);
        assert_eq!(read_activity(&whole[..whole.len() - 1]), None);
        assert_eq!(read_held(Quarter(0), &[5, 0]), None);
    }
}
