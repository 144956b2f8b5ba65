//! Publishing at QoS 1 at a bounded rate, and waiting until the broker has it all.

use std::time::Duration;

use rumqttc::{AsyncClient, ClientError, ConnectionError, Event, MqttOptions, Packet, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::mqtt::Server;
use crate::simulate::Outgoing;

const INFLIGHT: u16 = 100;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// Why messages are not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The client has ended.
    #[error("the broker is gone: {0}")]
    Client(#[from] ClientError),
    /// The broker cannot be reached, or went away.
    #[error("no broker at {0}: {1}")]
    Unreachable(String, String),
    /// The broker does not acknowledge.
    #[error("the broker did not acknowledge {0} message(s) within a minute")]
    Unacknowledged(u64),
    /// Encrypted connections are for the daemon.
    #[error("simulate publishes to mqtt:// only")]
    Tls,
}

/// A connection that publishes.
pub struct Publisher {
    client: AsyncClient,
    acknowledged: watch::Receiver<u64>,
    task: JoinHandle<()>,
    published: u64,
    started: Instant,
    rate: f64,
}

impl Publisher {
    /// Connects; `rate` is the most messages a second.
    pub async fn connect(server: &Server, rate: f64) -> Result<Publisher, PublishError> {
        if server.tls {
            return Err(PublishError::Tls);
        }
        let id = format!("emissiond-simulate-{:08x}", fastrand::u32(..));
        let mut options = MqttOptions::new(id, server.host.clone(), server.port);
        options.set_inflight(INFLIGHT);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 100);
        events.network_options.set_tcp_nodelay(true);
        let address = format!("{}:{}", server.host, server.port);
        let refused = |e: ConnectionError| PublishError::Unreachable(address.clone(), e.to_string());
        events.poll().await.map_err(refused)?;
        let (count, acknowledged) = watch::channel(0);
        let task = tokio::spawn(async move {
            // A lost connection ends the simulation: it shows as a client error at the next publish.
            while let Ok(event) = events.poll().await {
                if matches!(event, Event::Incoming(Packet::PubAck(_))) {
                    count.send_modify(|n| *n += 1);
                }
            }
        });
        Ok(Publisher { client, acknowledged, task, published: 0, started: Instant::now(), rate })
    }

    /// Publishes one message, not faster than the rate allows.
    pub async fn publish(&mut self, message: &Outgoing) -> Result<(), PublishError> {
        let earliest = self.started + Duration::from_secs_f64(self.published as f64 / self.rate);
        tokio::time::sleep_until(earliest).await;
        self.client.publish(&message.topic, QoS::AtLeastOnce, false, message.payload.clone()).await?;
        self.published += 1;
        Ok(())
    }

    /// Waits until the broker has acknowledged everything.
    pub async fn finish(mut self) -> Result<u64, PublishError> {
        let all = self.published;
        // Whether it came to pass is read off the count itself.
        let _ = timeout(FLUSH_TIMEOUT, self.acknowledged.wait_for(|n| *n >= all)).await;
        self.task.abort();
        let acknowledged = *self.acknowledged.borrow();
        if acknowledged >= all { Ok(all) } else { Err(PublishError::Unacknowledged(all - acknowledged)) }
    }
}
