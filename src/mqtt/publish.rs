//! Saying something for certain: a connection of its own that ends when the broker has it all.

use rumqttc::{AsyncClient, ConnectReturnCode, Event, Packet, QoS};

use crate::mqtt::Options;
use crate::mqtt::connection::connection;
use crate::tls::Seen;

/// A topic, a payload, and whether it is retained.
pub type Message = (String, String, bool);

/// Publishes messages at QoS 1, in order; returns when all are confirmed.
pub async fn publish(options: &Options, messages: &[Message]) -> Result<(), String> {
    let id = format!("emissiond-tell-{:08x}", fastrand::u32(..));
    let (client, mut events) =
        AsyncClient::new(connection(options, id, &Seen::default()).map_err(|e| e.to_string())?, messages.len() + 10);
    let mut confirmed = 0;
    loop {
        match events.poll().await.map_err(|e| e.to_string())? {
            Event::Incoming(Packet::ConnAck(connack)) if connack.code != ConnectReturnCode::Success => {
                return Err(format!("the broker refused the connection: {:?}", connack.code));
            }
            Event::Incoming(Packet::ConnAck(_)) => {
                for (topic, payload, retain) in messages {
                    let sent = client.try_publish(topic, QoS::AtLeastOnce, *retain, payload.clone());
                    sent.map_err(|e| e.to_string())?;
                }
            }
            Event::Incoming(Packet::PubAck(_)) => {
                confirmed += 1;
                if confirmed == messages.len() {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}
