//! Sparkplug B as a passive secondary host reads it: births say which metric an alias stands for, data follow, deaths end it.

mod route;
mod session;
mod wire;

pub(crate) use route::Gateways;
pub(crate) use session::Table;
pub use session::{Births, DeviceView, GatewayView};

use crate::quantity::Time;

/// What a message is of a gateway's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Of a gateway or of one of its devices: all metrics, with names and aliases.
    Birth,
    /// Metrics that changed.
    Data,
    /// The gateway or the device is gone.
    Death,
}

/// Whose a message is, from its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// The group.
    pub group: &'a str,
    /// The gateway, called an edge node.
    pub edge: &'a str,
    /// A device behind it. Empty: the gateway itself.
    pub device: &'a str,
    /// What it is.
    pub part: Part,
}

const NAMESPACE: &str = "spBv1.0";

impl<'a> Address<'a> {
    /// Reads `spBv1.0/group/DDATA/edge/device`. `None`: no message of a gateway.
    pub(crate) fn parse(topic: &'a str) -> Option<Address<'a>> {
        let mut levels = topic.strip_prefix(NAMESPACE)?.strip_prefix('/')?.splitn(4, '/');
        let (group, kind, edge) = (levels.next()?, levels.next()?, levels.next()?);
        let device = levels.next().unwrap_or("");
        let (of_device, part) = match kind {
            "NBIRTH" => (false, Part::Birth),
            "NDATA" => (false, Part::Data),
            "NDEATH" => (false, Part::Death),
            "DBIRTH" => (true, Part::Birth),
            "DDATA" => (true, Part::Data),
            "DDEATH" => (true, Part::Death),
            _ => return None,
        };
        let whole = !group.is_empty() && !edge.is_empty() && of_device != device.is_empty() && !device.contains('/');
        whole.then_some(Address { group, edge, device, part })
    }

    /// What a gateway is known by.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.group, self.edge)
    }
}

/// The topic and the payload that ask a gateway to be born again, by group and edge node.
pub fn rebirth_request(gateway: &str, now: Time) -> Option<(String, Vec<u8>)> {
    let (group, edge) = gateway.split_once('/')?;
    Some((format!("{NAMESPACE}/{group}/NCMD/{edge}"), wire::rebirth(now)))
}

/// The filter for all that a gateway with this topic says. `None`: the topic is no gateway's.
pub fn filter(topic: &str) -> Option<String> {
    Address::parse(topic).map(|address| format!("{NAMESPACE}/{}/+/{}/#", address.group, address.edge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_gateways() {
        let address = |topic| Address::parse(topic).map(|a| (a.group, a.edge, a.device, a.part));
        assert_eq!(
            address("spBv1.0/Sparkplug B Devices/DDATA/Raspberry Pi/Pibrella"),
            Some(("Sparkplug B Devices", "Raspberry Pi", "Pibrella", Part::Data))
        );
        assert_eq!(address("spBv1.0/A/NBIRTH/gw"), Some(("A", "gw", "", Part::Birth)));
        for topic in ["spBv1.0/A/NBIRTH/gw/dev", "spBv1.0/A/DDATA/gw", "spBv1.0/A/NCMD/gw", "spBv1.0/STATE/x", "a/b"] {
            assert_eq!(address(topic), None, "{topic}");
        }
        assert_eq!(filter("spBv1.0/A/DDATA/gw/boiler").as_deref(), Some("spBv1.0/A/+/gw/#"));
    }
}
