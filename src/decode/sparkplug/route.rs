//! Which meters listen to the metrics of a gateway, and what they read in its messages.

use foldhash::HashMap;

use crate::cluster::MeterIx;
use crate::decode::listener::Listener;
use crate::decode::mapping::Mapping;
use crate::decode::reading::Readings;
use crate::decode::sparkplug::session::{Fresh, Gateway, made};
use crate::decode::sparkplug::wire::{self, Head, Metric};
use crate::decode::sparkplug::{Address, Part, Table, filter};
use crate::decode::{Births, Decoded, Message, Reading, Refusal};
use crate::quantity::Time;

/// The metric by which a gateway counts its births.
const SESSION: &str = "bdSeq";

/// All gateways that some meter listens to, by group and edge node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gateways {
    gateways: HashMap<String, HashMap<String, Device>>,
    filters: Vec<String>,
    /// The gateway and the device of each meter.
    meters: HashMap<MeterIx, (String, String)>,
}

/// The wanted metrics of a gateway or a device.
#[derive(Clone, Debug, Default)]
struct Device {
    /// By name: the position in `listeners`.
    names: HashMap<String, u32>,
    listeners: Vec<Vec<Listener>>,
}

/// Where the value and time of a metric come from.
#[derive(Clone, Copy)]
struct Around<'a> {
    table: Option<&'a Table>,
    made: Time,
    /// The payload says when it was made.
    is_dated: bool,
    received: Time,
}

impl Gateways {
    pub(crate) fn add(&mut self, mapping: &Mapping, metric: &str) {
        let Some(address) = Address::parse(&mapping.topic) else {
            return;
        };
        let filter = filter(&mapping.topic).unwrap_or_default();
        if !self.filters.contains(&filter) {
            self.filters.push(filter);
        }
        self.meters.insert(mapping.meter, (address.key(), address.device.to_owned()));
        let gateway = self.gateways.entry(address.key()).or_default();
        let device = gateway.entry(address.device.to_owned()).or_default();
        let fresh = device.listeners.len() as u32;
        let at = *device.names.entry(metric.to_owned()).or_insert(fresh);
        if at == fresh {
            device.listeners.push(Vec::new());
        }
        device.listeners[at as usize].push(Listener::new(mapping, at));
    }

    pub(crate) fn gone(&self, meter: MeterIx, births: &Births) -> Option<Time> {
        let (gateway, device) = self.meters.get(&meter)?;
        births.gone(gateway, device)
    }

    pub(crate) fn filters(&self) -> impl Iterator<Item = String> {
        self.filters.iter().cloned()
    }

    pub(crate) fn read(&self, address: Address<'_>, message: &Message, births: &mut Births) -> Decoded {
        let key = address.key();
        let Some(devices) = self.gateways.get(&key) else {
            return Decoded::Unmapped;
        };
        if message.oversize {
            return Decoded::Refused(Refusal::Oversize);
        }
        let head = match wire::head(&message.payload) {
            Ok(head) => head,
            Err(refusal) => return Decoded::Refused(refusal),
        };
        let is_gateway_birth = address.part == Part::Birth && address.device.is_empty();
        let (gateway, fresh) = births.gateway(key);
        if !is_gateway_birth {
            gateway.count(head.seq, made(head, message.received), false);
        }
        let device = devices.get(address.device);
        let decoded = match (address.part, device) {
            (Part::Birth, None) if !is_gateway_birth => Decoded::Unmapped,
            (Part::Birth, device) => {
                birth(device.unwrap_or(&Device::default()), (address, head), message, (gateway, fresh))
            }
            (Part::Death, None) if !address.device.is_empty() => Decoded::Unmapped,
            (Part::Death, _) => death((address, head), message, (gateway, fresh)),
            (Part::Data, None) => Decoded::Unmapped,
            (Part::Data, Some(device)) => data(device, (address, head), message, gateway),
        };
        if decoded == Decoded::Refused(Refusal::NoBirth) {
            births.lack(address.key());
        }
        decoded
    }
}

/// Takes the aliases, and the values, which are readings like any other.
fn birth(
    device: &Device,
    (address, head): (Address<'_>, Head),
    message: &Message,
    (gateway, fresh): (&mut Gateway, &mut Fresh),
) -> Decoded {
    let born = made(head, message.received);
    let mut table = Table::new(born, message.received, device.listeners.len());
    let mut session = None;
    for metric in wire::metrics(&message.payload) {
        let metric = match metric {
            Ok(metric) => metric,
            Err(refusal) => return Decoded::Refused(refusal),
        };
        let name = metric.name.unwrap_or("");
        if name == SESSION {
            session = session_of(&metric);
        }
        let wanted = device.names.get(name).copied();
        let others = match wanted.map(|wanted| (wanted, metric.unit())) {
            Some((wanted, Ok(Some(unit)))) => device.is_other_unit(wanted, unit),
            Some((_, Err(refusal))) => return Decoded::Refused(refusal),
            Some((_, Ok(None))) | None => false,
        };
        table.note(&metric, wanted, others);
    }
    let table = table.sorted();
    let readings = values(device, Some(&table), head, message).map_or_else(|_| Vec::new(), |(readings, _)| readings);
    let of_gateway = address.device.is_empty();
    let is_news = gateway.is_news(address.device, born, session) && (of_gateway || !gateway.is_over(born));
    match (of_gateway, is_news) {
        (true, true) => gateway.count(head.seq, born, true),
        (true, false) => gateway.count_copy(),
        (false, _) => {}
    }
    if is_news {
        gateway.born(address.device, table, session);
        fresh.keep(message);
    }
    Decoded::Declared(readings)
}

/// The number by which the gateway counts its births.
fn session_of(metric: &Metric<'_>) -> Option<u8> {
    metric.count().map(|number| number as u8)
}

fn death(
    (address, head): (Address<'_>, Head),
    message: &Message,
    (gateway, fresh): (&mut Gateway, &mut Fresh),
) -> Decoded {
    let mut session = None;
    for metric in wire::metrics(&message.payload) {
        match metric {
            Ok(metric) if metric.name == Some(SESSION) => session = session_of(&metric),
            Ok(_) => {}
            Err(refusal) => return Decoded::Refused(refusal),
        }
    }
    // The last will of a gateway was written when it connected.
    let at = if address.device.is_empty() { message.received } else { made(head, message.received) };
    if gateway.died(address.device, at, session) {
        fresh.keep(message);
    }
    Decoded::Declared(Vec::new())
}

fn data(device: &Device, (address, head): (Address<'_>, Head), message: &Message, gateway: &Gateway) -> Decoded {
    let table = gateway.table(address.device, made(head, message.received));
    match values(device, table.ok(), head, message) {
        Err(refusal) => Decoded::Refused(refusal),
        // Other metrics of the device, or some that the birth would tell the names of.
        Ok((readings, true)) if readings.is_empty() => Decoded::Refused(Refusal::NoBirth),
        Ok((readings, _)) if readings.is_empty() => Decoded::Unmapped,
        Ok((readings, _)) => Decoded::Readings(readings),
    }
}

/// The readings in a payload, and whether there are metrics nobody knows the name of.
fn values(device: &Device, table: Option<&Table>, head: Head, message: &Message) -> Result<(Readings, bool), Refusal> {
    let mut readings = Vec::with_capacity(device.listeners.len());
    let mut nameless = false;
    let is_dated = head.timestamp.is_some();
    let around = Around { table, made: made(head, message.received), is_dated, received: message.received };
    for metric in wire::metrics(&message.payload) {
        let metric = metric?;
        let wanted = match (metric.name, metric.alias) {
            (Some(name), _) => device.names.get(name).copied(),
            (None, Some(alias)) => match table.ok_or(Refusal::NoBirth).and_then(|table| table.metric(alias)) {
                Ok(wanted) => wanted,
                Err(_) => {
                    nameless = true;
                    None
                }
            },
            (None, None) => None,
        };
        if let Some(wanted) = wanted {
            device.read(&metric, wanted, around, &mut readings);
        }
    }
    Ok((readings, nameless))
}

impl Device {
    fn is_other_unit(&self, wanted: u32, unit: &str) -> bool {
        let listeners = self.listeners.get(wanted as usize);
        listeners.is_some_and(|listeners| listeners.iter().any(|listener| listener.is_other_unit(unit)))
    }

    fn read(&self, metric: &Metric<'_>, wanted: u32, around: Around<'_>, readings: &mut Readings) {
        let known = around.table.map_or(0, |table| table.datatype(wanted));
        let datatype = metric.datatype.unwrap_or(known);
        let other_unit = around.table.is_some_and(|table| table.other_unit.contains(&wanted));
        let listeners = self.listeners.get(wanted as usize).map_or(&[][..], Vec::as_slice);
        let start = readings.len();
        for listener in listeners {
            let read = || -> Result<Reading, Refusal> {
                if other_unit {
                    return Err(Refusal::OtherUnit);
                }
                let time = match metric.timestamp {
                    Some(ms) => wire::time(ms).ok_or(Refusal::BadTime)?,
                    None if around.is_dated => around.made,
                    None => listener.time_of_receipt(around.received)?,
                };
                listener.number(metric.number(datatype, &listener.notation)?, time, around.received)
            };
            readings.push((listener.meter, read()));
        }
        let fresh = &readings[start..];
        if listeners.len() > 1 && fresh.iter().any(|(_, reading)| *reading != Err(Refusal::NotValid)) {
            // An exchanged meter: its successor reads the same metric.
            let kept = readings.split_off(start).into_iter().filter(|(_, reading)| *reading != Err(Refusal::NotValid));
            readings.extend(kept.collect::<Vec<_>>());
        }
    }
}
