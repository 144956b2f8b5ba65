//! Saying something for certain: a connection of its own that ends when the broker has it all.

use rumqttc::{AsyncClient, ConnectReturnCode, Event, Packet, QoS};

use crate::mqtt::Options;
use crate::mqtt::connection::connection;

/// Publishes payloads on a topic at QoS 1, in order, each retained or not; returns when all are confirmed.
pub async fn publish(options: &Options, topic: &str, payloads: &[(String, bool)]) -> Result<(), String> {
    let id = format!("emissiond-tell-{:08x}", fastrand::u32(..));
    let (client, mut events) =
        AsyncClient::new(connection(options, id).map_err(|e| e.to_string())?, payloads.len() + 10);
    let mut confirmed = 0;
    loop {
        match events.poll().await.map_err(|e| e.to_string())? {
            Event::Incoming(Packet::ConnAck(connack)) if connack.code != ConnectReturnCode::Success => {
                return Err(format!("the broker refused the connection: {:?}", connack.code));
            }
            Event::Incoming(Packet::ConnAck(_)) => {
                for (payload, retain) in payloads {
                    let sent = client.try_publish(topic, QoS::AtLeastOnce, *retain, payload.clone());
                    sent.map_err(|e| e.to_string())?;
                }
            }
            Event::Incoming(Packet::PubAck(_)) => {
                confirmed += 1;
                if confirmed == payloads.len() {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}
