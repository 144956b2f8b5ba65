//! The polling task.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnAck, ConnectReturnCode, Event, EventLoop, MqttOptions, Outgoing, Packet, PubAck, Publish, QoS,
    SubAck, SubscribeFilter, SubscribeReasonCode,
};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::mqtt::acks::Acks;
use crate::mqtt::connection::{connection, expiries, look, print};
use crate::mqtt::subscribing::{DROPPED, Subscribing};
use crate::mqtt::{Delivery, Health, News, Options, Orders, Server, Wanted};
use crate::tls::Seen;

/// What is kept of a payload that is too long.
const CUT_TO: usize = 1_024;
/// Reading stops while this many messages wait for the desk, whatever their QoS; well below the 65,535 packet ids of MQTT.
const UNCOMMITTED_MAX: u64 = 20_000;
/// The same by bytes, for long messages.
const UNCOMMITTED_BYTES_MAX: usize = 64 << 20;
/// A connection shorter than this, so often in a row, is no accident.
const SHORT_CONNECTION: Duration = Duration::from_secs(5);
const SHORT_CONNECTIONS_MAX: u32 = 4;
/// Filters in one SUBSCRIBE.
const FILTERS_A_PACKET: usize = 100;
/// Requests of a changed configuration, at most.
const REWIRED_MAX: usize = 20_000;
const BACK_OFF_FIRST: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// A certificate that ends soon is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3_600);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// One session, for as long as the process lives.
pub struct Session {
    options: Options,
    orders: Orders,
    /// Nobody will want anything else any more.
    is_steady: bool,
    stale: Vec<String>,
    client: AsyncClient,
    events: EventLoop,
    acks: Acks,
    sequence: u64,
    subscribing: Subscribing,
    /// Stale filters of this connection that are not confirmed as dropped.
    unsubscribing: usize,
    flapping: Flapping,
    /// Whether to ask for the broker's own counts; some brokers cut whoever does.
    curious: bool,
    health: Arc<Health>,
    /// The broker's certificate.
    seen: Seen,
    /// A print of the secrets and certificates that are in use.
    secrets: u64,
}

/// Connections that end right after they began: mostly another client with the same id.
#[derive(Debug, Default)]
struct Flapping {
    since: Option<Instant>,
    short: u32,
}

/// Of a session that outlives its connections, acknowledged by hand.
fn lasting(options: &Options, client_id: String, seen: &Seen) -> io::Result<MqttOptions> {
    let mut mqtt = connection(options, client_id, seen)?;
    mqtt.set_clean_session(false);
    mqtt.set_manual_acks(true);
    Ok(mqtt)
}

impl Session {
    /// Prepares a session. What is wanted of the broker may change while it runs. An error: a
    /// secret or a certificate cannot be read.
    pub fn new(
        mut options: Options,
        client_id: String,
        mut orders: Orders,
        health: Arc<Health>,
    ) -> io::Result<Session> {
        let Wanted { subscribe, stale } = orders.wanted.borrow_and_update().clone();
        options.subscribe = subscribe;
        let (seen, secrets) = (Seen::default(), print(&options));
        let mqtt = lasting(&options, client_id, &seen)?;
        // What another configuration asks for besides comes on top.
        let packets =
            REWIRED_MAX + (options.subscribe.len() + stale.len()).div_ceil(FILTERS_A_PACKET) + stale.len() + 1;
        let (client, mut events) = AsyncClient::new(mqtt, packets + 10);
        events.network_options.set_tcp_nodelay(true);
        let (acks, subscribing, flapping) = (Acks::default(), Subscribing::default(), Flapping::default());
        let (sequence, unsubscribing, curious) = (0, 0, true);
        Ok(Session {
            options,
            orders,
            is_steady: false,
            stale,
            client,
            events,
            acks,
            sequence,
            subscribing,
            unsubscribing,
            flapping,
            curious,
            health,
            seen,
            secrets,
        })
    }

    /// Runs until `tell` says that the desk is gone. `committed` carries the sequence number up to which messages are
    /// on disk.
    pub async fn run(mut self, mut committed: watch::Receiver<u64>, mut tell: impl FnMut(News) -> bool) {
        let mut back_off = BACK_OFF_FIRST;
        let mut looking = tokio::time::interval(LOOK_EVERY);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut rewired = false;
            let event = if self.events.network.is_none() {
                self.reread();
                // Connecting is not cancelled: a large queued session may delay the CONNACK.
                self.events.poll().await.map(Some)
            } else if self.must_wait(*committed.borrow()) {
                if committed.changed().await.is_err() {
                    return;
                }
                Ok(None)
            } else {
                tokio::select! {
                    biased;
                    changed = committed.changed() => match changed {
                        Ok(()) => Ok(None),
                        Err(_) => return,
                    },
                    Some((topic, payload)) = self.orders.publish.recv() => {
                        self.send(topic, payload);
                        Ok(None)
                    }
                    changed = self.orders.wanted.changed(), if !self.is_steady => {
                        self.is_steady = changed.is_err();
                        rewired = changed.is_ok();
                        Ok(None)
                    }
                    _ = looking.tick() => {
                        self.look_again();
                        Ok(None)
                    }
                    event = self.events.poll() => event.map(Some),
                }
            };
            let sequence = *committed.borrow_and_update();
            let news = match event {
                Ok(None) if rewired => self.rewire().map(|()| None),
                Ok(None) => Ok(None),
                Ok(Some(event)) => self.handle(event, &mut back_off),
                Err(error) => Err(error.to_string()),
            };
            let outcome = match news {
                Ok(Some(news)) => {
                    if !tell(news) {
                        return;
                    }
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(trouble) => Err(trouble),
            };
            // Every turn, so that no commit is overlooked; without one there is nothing to do.
            let outcome = match outcome {
                Ok(()) => self.acknowledge(sequence).await,
                lost => lost,
            };
            if let Err(trouble) = outcome {
                self.lost(&trouble);
                // Half to full, so that a fleet of gateways does not come back in step.
                tokio::time::sleep(back_off.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        }
    }

    /// The desk is behind: the broker keeps the rest.
    fn must_wait(&self, committed: u64) -> bool {
        self.sequence - committed >= UNCOMMITTED_MAX || self.acks.bytes() >= UNCOMMITTED_BYTES_MAX
    }

    fn delivery(&mut self, publish: Publish) -> Delivery {
        self.sequence += 1;
        let packet = (publish.qos != QoS::AtMostOnce).then_some(publish.pkid);
        self.acks.received(self.sequence, packet, publish.payload.len().min(self.options.max_packet));
        self.health.unacked(self.acks.unacked());
        let oversize = publish.payload.len() > self.options.max_packet;
        let keep = if oversize { CUT_TO } else { publish.payload.len() };
        Delivery {
            sequence: self.sequence,
            topic: publish.topic,
            payload: publish.payload.get(..keep).unwrap_or_default().to_vec(),
            retain: publish.retain,
            dup: publish.dup,
            oversize,
        }
    }

    async fn acknowledge(&mut self, sequence: u64) -> Result<(), String> {
        let packets = self.acks.release(sequence);
        if packets.is_empty() {
            return Ok(());
        }
        self.health.unacked(self.acks.unacked());
        let Some(network) = self.events.network.as_mut() else {
            return Ok(());
        };
        let write = async {
            for packet in packets {
                network.write(Packet::PubAck(PubAck::new(packet))).await?;
            }
            network.flush().await
        };
        match tokio::time::timeout(FLUSH_TIMEOUT, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the broker takes no acknowledgements".to_owned()),
        }
    }

    fn handle(&mut self, event: Event, back_off: &mut Duration) -> Result<Option<News>, String> {
        match event {
            Event::Incoming(Packet::Publish(publish)) if publish.topic == DROPPED && publish.qos == QoS::AtMostOnce => {
                let count = std::str::from_utf8(&publish.payload).ok().and_then(|text| text.trim().parse().ok());
                self.health.dropped(count);
                Ok(count.map(News::Dropped))
            }
            Event::Incoming(Packet::Publish(publish)) => Ok(Some(News::Delivery(self.delivery(publish)))),
            Event::Incoming(Packet::ConnAck(connack)) => {
                *back_off = BACK_OFF_FIRST;
                self.connected(connack).map(Some)
            }
            Event::Outgoing(Outgoing::Subscribe(packet)) => {
                let filters = self.subscribing.asked.pop_front().unwrap_or_default();
                self.subscribing.sent.insert(packet, filters);
                Ok(None)
            }
            Event::Incoming(Packet::SubAck(suback)) => {
                self.subscribed(&suback);
                Ok(None)
            }
            Event::Incoming(Packet::UnsubAck(_)) => {
                self.unsubscribing = self.unsubscribing.saturating_sub(1);
                let done = self.unsubscribing == 0 && !std::mem::take(&mut self.stale).is_empty();
                Ok(done.then_some(News::Unsubscribed))
            }
            Event::Incoming(Packet::PingResp) => {
                // A connection that lasts is nobody else's.
                self.health.contested(false);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Subscribes on every connection: harmless where the session is kept, needed where it is not.
    fn connected(&mut self, connack: ConnAck) -> Result<News, String> {
        if connack.code != ConnectReturnCode::Success {
            return Err(format!("the broker refused the connection: {:?}", connack.code));
        }
        self.acks.connected();
        self.subscribing = Subscribing::default();
        self.flapping.since = Some(Instant::now());
        self.health.connected();
        self.health.certificates(expiries(&self.options, &self.seen));
        let (session_present, server) = (connack.session_present, &self.options.server);
        tracing::info!(session_present, host = server.host, port = server.port, "connected to the broker");
        for filter in &self.stale {
            self.client.try_unsubscribe(filter).map_err(|e| e.to_string())?;
        }
        self.unsubscribing = self.stale.len();
        let filters = Arc::clone(&self.options.subscribe);
        self.subscribe(&filters)?;
        if self.curious {
            self.client.try_subscribe(DROPPED, QoS::AtMostOnce).map_err(|e| e.to_string())?;
            self.subscribing.asked.push_back(vec![DROPPED.to_owned()]);
        }
        Ok(News::Connected { session_present })
    }

    /// Asks once; whoever does not hear it is asked again.
    fn send(&mut self, topic: String, payload: Vec<u8>) {
        if let Err(error) = self.client.try_publish(&topic, QoS::AtMostOnce, false, payload) {
            tracing::debug!(topic, %error, "not published");
        }
    }

    /// Another configuration is in force: it may want other topics.
    fn rewire(&mut self) -> Result<(), String> {
        let Wanted { subscribe, stale } = self.orders.wanted.borrow_and_update().clone();
        let before: HashSet<&String> = self.options.subscribe.iter().collect();
        let added: Vec<String> = subscribe.iter().filter(|filter| !before.contains(filter)).cloned().collect();
        let stale: Vec<String> = stale.into_iter().filter(|filter| !self.stale.contains(filter)).collect();
        for filter in &stale {
            self.client.try_unsubscribe(filter).map_err(|e| e.to_string())?;
        }
        self.unsubscribing += stale.len();
        self.stale.extend(stale);
        self.options.subscribe = subscribe;
        self.subscribe(&added)?;
        if self.subscribing.is_done() {
            self.health.subscribed();
        }
        self.look_again();
        if print(&self.options) != self.secrets {
            return Err("its secrets or certificates are others now: connecting anew".to_owned());
        }
        Ok(())
    }

    /// Before a connection: secrets and certificates may be others than for the last one.
    fn reread(&mut self) {
        let secrets = print(&self.options);
        if secrets == self.secrets {
            return;
        }
        match lasting(&self.options, self.events.mqtt_options.client_id(), &self.seen) {
            Ok(mqtt) => (self.events.mqtt_options, self.secrets) = (mqtt, secrets),
            Err(error) => tracing::error!(%error, "what was read before stays in use"),
        }
    }

    /// Certificates are renewed while connections live on: whether one that ends soon was, is looked at beside the session, so
    /// that nothing that is wrong with the new one holds up readings.
    fn look_again(&self) {
        if !self.seen.ends_soon() {
            return;
        }
        let (options, seen, health) = (self.options.clone(), self.seen.clone(), Arc::clone(&self.health));
        tokio::spawn(async move {
            if let Err(error) = look(&options, &seen).await {
                tracing::warn!(%error, "the certificate that the broker shows now is not accepted");
            }
            health.certificates(expiries(&options, &seen));
        });
    }

    fn subscribe(&mut self, filters: &[String]) -> Result<(), String> {
        for filters in filters.chunks(FILTERS_A_PACKET) {
            let wanted = filters.iter().map(|f| SubscribeFilter::new(f.clone(), QoS::AtLeastOnce));
            self.client.try_subscribe_many(wanted).map_err(|e| e.to_string())?;
            self.subscribing.asked.push_back(filters.to_vec());
        }
        Ok(())
    }

    fn subscribed(&mut self, suback: &SubAck) {
        let filters = self.subscribing.sent.remove(&suback.pkid).unwrap_or_default();
        for (filter, code) in filters.into_iter().zip(&suback.return_codes) {
            if *code == SubscribeReasonCode::Failure && filter != DROPPED {
                tracing::error!(filter, "the broker refused the subscription; check its access rules");
                self.subscribing.refused.push(filter);
            }
        }
        self.health.refused(self.subscribing.refused.clone());
        if self.subscribing.is_done() {
            self.health.subscribed();
        }
    }

    /// Packets that were read but not handed out belong to the old connection; the broker sends them again.
    fn lost(&mut self, trouble: &str) {
        let before = self.health.view();
        let contested = self.flapping.ended();
        let suspected = self.subscribing.lacks_counts() && self.flapping.short >= SHORT_CONNECTIONS_MAX / 2;
        if suspected || self.subscribing.lacks_counts_only() {
            self.curious = false;
            self.health.dropped(None);
        }
        self.health.contested(self.flapping.short >= SHORT_CONNECTIONS_MAX);
        if contested {
            tracing::error!(
                "connections keep ending as soon as they begin: does another client use the same `mqtt.client_id`?"
            );
        }
        self.events.clean();
        self.events.state.events.clear();
        // Subscriptions are made anew on the next connection.
        self.events.pending.clear();
        self.acks.connected();
        self.health.unacked(0);
        self.health.disconnected(trouble.to_owned());
        let Server { host, port, .. } = &self.options.server;
        if before.connected {
            tracing::warn!(host, port, error = trouble, "the connection to the broker is lost; trying again");
        } else if before.trouble.as_deref() != Some(trouble) {
            tracing::warn!(host, port, error = trouble, "there is no session with the broker; trying again");
        }
    }
}

impl Flapping {
    /// A connection ended. True: it is time to say that something is wrong.
    fn ended(&mut self) -> bool {
        let short = self.since.take().map(|since| since.elapsed() < SHORT_CONNECTION);
        self.short = match short {
            Some(true) => self.short + 1,
            Some(false) => 0,
            // It never began, so this tells nothing.
            None => return false,
        };
        self.short > 0 && self.short.is_multiple_of(SHORT_CONNECTIONS_MAX)
    }
}
