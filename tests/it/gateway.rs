//! Sparkplug payloads, written byte by byte from the specification.

/// A metric of a payload.
#[derive(Clone, Default)]
pub struct Metric {
    pub name: Option<&'static str>,
    pub alias: Option<u64>,
    pub timestamp: Option<u64>,
    pub datatype: Option<u64>,
    pub double: Option<f64>,
    pub long: Option<u64>,
    pub int: Option<u64>,
    pub unit: Option<&'static str>,
    pub null: bool,
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn number(field: u64, value: Option<u64>, bytes: &mut Vec<u8>) {
    if let Some(value) = value {
        varint(field << 3, bytes);
        varint(value, bytes);
    }
}

fn block(field: u64, content: &[u8], bytes: &mut Vec<u8>) {
    varint(field << 3 | 2, bytes);
    varint(content.len() as u64, bytes);
    bytes.extend(content);
}

/// `org.eclipse.tahu.protobuf.Payload`: timestamp 1, metrics 2, seq 3.
pub fn payload(timestamp: u64, seq: Option<u64>, metrics: &[Metric]) -> Vec<u8> {
    let mut bytes = Vec::new();
    number(1, Some(timestamp), &mut bytes);
    for metric in metrics {
        let mut inner = Vec::new();
        if let Some(name) = metric.name {
            block(1, name.as_bytes(), &mut inner);
        }
        number(2, metric.alias, &mut inner);
        number(3, metric.timestamp, &mut inner);
        number(4, metric.datatype, &mut inner);
        number(7, metric.null.then_some(1), &mut inner);
        if let Some(unit) = metric.unit {
            let mut value = Vec::new();
            number(1, Some(12), &mut value);
            block(8, unit.as_bytes(), &mut value);
            let mut set = Vec::new();
            block(1, b"engUnit", &mut set);
            block(2, &value, &mut set);
            block(9, &set, &mut inner);
        }
        number(10, metric.int, &mut inner);
        number(11, metric.long, &mut inner);
        if let Some(double) = metric.double {
            varint(13 << 3 | 1, &mut inner);
            inner.extend(double.to_le_bytes());
        }
        block(2, &inner, &mut bytes);
    }
    number(3, seq, &mut bytes);
    bytes
}
