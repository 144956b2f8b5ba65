//! Looking on: a session of its own that leaves nothing behind at the broker.

use rumqttc::{AsyncClient, ConnectReturnCode, Event, Packet, Publish, QoS, SubscribeFilter};

use crate::mqtt::Options;
use crate::mqtt::connection::connection;
use crate::tls::Seen;

/// Listens to the filters until `each` says that it is enough, or the connection ends; then an error says why.
pub async fn listen(
    options: &Options,
    filters: &[String],
    mut each: impl FnMut(&Publish) -> bool,
) -> Result<(), String> {
    let id = format!("emissiond-tap-{:08x}", fastrand::u32(..));
    let mqtt = connection(options, id, &Seen::default()).map_err(|e| e.to_string())?;
    let (client, mut events) = AsyncClient::new(mqtt, filters.len() + 10);
    loop {
        match events.poll().await.map_err(|e| e.to_string())? {
            Event::Incoming(Packet::ConnAck(connack)) if connack.code != ConnectReturnCode::Success => {
                return Err(format!("the broker refused the connection: {:?}", connack.code));
            }
            Event::Incoming(Packet::ConnAck(_)) => {
                for filters in filters.chunks(100) {
                    let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtMostOnce));
                    client.try_subscribe_many(wanted).map_err(|e| e.to_string())?;
                }
            }
            Event::Incoming(Packet::Publish(publish)) if !each(&publish) => return Ok(()),
            _ => {}
        }
    }
}
