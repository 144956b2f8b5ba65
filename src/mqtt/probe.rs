//! A connection that only finds out what the broker lets us do. It has an id of its own, so that the daemon's session is left
//! alone.

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectReturnCode, Event, Packet, QoS, SubscribeFilter, SubscribeReasonCode};

use crate::mqtt::Options;
use crate::mqtt::connection::connection;
use crate::tls::Seen;

/// What a broker was found to be.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// Why there is no session.
    pub trouble: Option<String>,
    /// Filters that it refused.
    pub refused: Vec<String>,
    /// Until when its certificate is valid, in seconds of Unix time.
    pub not_after: Option<i64>,
    /// What it says it is.
    pub version: Option<String>,
    /// Messages that it received in the last minute.
    pub messages_a_minute: Option<f64>,
    /// Messages that it dropped since it started.
    pub dropped: Option<u64>,
}

/// Where mosquitto, and who follows it, tells of itself.
const VERSION: &str = "$SYS/broker/version";
const LOAD: &str = "$SYS/broker/load/publish/received/1min";
const DROPPED: &str = "$SYS/broker/publish/messages/dropped";
const FILTERS_A_PACKET: usize = 100;
/// What is not told by then is not told at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// After the answer to the subscriptions, what is retained is there at once.
const RETAINED: Duration = Duration::from_millis(700);

/// Connects, subscribes, and leaves.
pub async fn probe(options: &Options, id: String) -> Probe {
    let mut probe = Probe::default();
    let seen = Seen::default();
    if let Err(trouble) = ask(options, id, &seen, &mut probe).await {
        probe.trouble = Some(trouble);
    }
    probe.not_after = seen.not_after();
    probe
}

async fn ask(options: &Options, id: String, seen: &Seen, probe: &mut Probe) -> Result<(), String> {
    let mut mqtt = connection(options, id, seen).map_err(|e| e.to_string())?;
    mqtt.set_clean_session(true);
    let (client, mut events) = AsyncClient::new(mqtt, options.subscribe.len().div_ceil(FILTERS_A_PACKET) + 10);
    // Its own counts come last, on their own: a broker may cut whoever asks for them.
    let own = vec![VERSION.to_owned(), LOAD.to_owned(), DROPPED.to_owned()];
    let mut asked: VecDeque<Vec<String>> = options.subscribe.chunks(FILTERS_A_PACKET).map(<[String]>::to_vec).collect();
    asked.push_back(own);
    let (mut connected, mut until) = (false, tokio::time::Instant::now() + PATIENCE);
    loop {
        // What it tells of itself is extra: without it, or cut off for asking, the rest is known.
        let is_known = connected && asked.len() <= 1;
        let event = match tokio::time::timeout_at(until, events.poll()).await {
            Ok(Err(_)) | Err(_) if is_known => return Ok(()),
            Ok(event) => event.map_err(|e| e.to_string())?,
            Err(_) => return Err("it does not answer".to_owned()),
        };
        match event {
            Event::Incoming(Packet::ConnAck(connack)) if connack.code != ConnectReturnCode::Success => {
                return Err(format!("it refused the connection: {:?}", connack.code));
            }
            Event::Incoming(Packet::ConnAck(_)) => {
                connected = true;
                for filters in &asked {
                    let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
                    client.try_subscribe_many(wanted).map_err(|e| e.to_string())?;
                }
            }
            Event::Incoming(Packet::SubAck(suback)) => {
                let filters = asked.pop_front().unwrap_or_default();
                let codes = filters.into_iter().zip(&suback.return_codes);
                let refused =
                    codes.filter(|(filter, code)| **code == SubscribeReasonCode::Failure && !filter.starts_with('$'));
                probe.refused.extend(refused.map(|(filter, _)| filter));
                until = tokio::time::Instant::now() + if asked.is_empty() { RETAINED } else { PATIENCE };
            }
            Event::Incoming(Packet::Publish(publish)) => {
                let text = String::from_utf8_lossy(&publish.payload).trim().to_owned();
                match publish.topic.as_str() {
                    VERSION => probe.version = Some(text),
                    LOAD => probe.messages_a_minute = text.parse().ok(),
                    DROPPED => probe.dropped = text.parse().ok(),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
