//! Real-time scope 1 and scope 2 emissions of an industrial cluster: the map of the code.
//!
//! > Received messages are journalled as they came. Everything else - usage, activity, emissions, entries - is a pure,
//! > deterministic function of the journal and the plan.
//!
//! ```text
//! bytes -> Message -> Reading -> Usage -> Activity -> Emission -> Entry
//!          mqtt       decode     meter    window      emission    ledger
//! ```
//!
//! Rooms named for a thing of the trade are pure: no files, no network, no clock, no logging; the time is a parameter and
//! refused data is a value. Rooms named for a technology touch the world. Imports run one way, downwards in neither list;
//! the test `architecture` holds both rules.
//!
//! The trade:
//! * [`quantity`]: exact numbers, units, time, windows of the calendar, ids.
//! * [`cluster`]: networks, clusters, facilities and meters as declared.
//! * [`decode`]: a received message to readings, or to the reason why there are none.
//! * [`meter`]: the set of a meter's readings to usage, whatever their order of arrival.
//! * [`window`]: usage to activity, minute by minute, in clock quarters.
//! * [`factor`]: emission factors and warming potentials, with validity and source.
//! * [`emission`]: activity times factor, by gas, scope and basis; rounded once.
//! * [`ledger`]: entries of facilities, clusters and networks, each the sum of finer ones.
//! * [`pipeline`]: the chain; an event in, effects out. Start reading at [`pipeline::Pipeline`].
//! * [`alert`]: rules about entries; sums in, the turns of an alarm out.
//! * [`format`](mod@format): entries as JSON, CSV and line protocol.
//!
//! The world:
//! * [`store`]: the journal and the ledger on disk, in SQLite, each record with a checksum.
//! * [`tls`]: who is trusted, who we are, and until when certificates are valid.
//! * [`mqtt`]: the session with the broker; acknowledges what is on disk.
//! * [`influx`]: the database writer, a cursor over what changed; and its comparison with the ledger.
//! * [`notify`]: tells of alarms, at least once.
//! * [`http`]: status, entries, meters, metrics, health; decisions about readings that are set aside.
//!
//! Around them:
//! * [`config`]: files to a checked [`config::Plan`]; all problems at once.
//! * [`daemon`]: start, [the desk](daemon::Desk), stop, systemd.
//! * [`simulate`]: meters that do not exist.
//! * [`cli`]: one file a command.
//! * [`clock`]: the only reader of the system clock.
//! * [`secret`]: tokens in files.

pub mod alert;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod emission;
pub mod factor;
pub mod format;
pub mod http;
pub mod influx;
pub mod ledger;
pub mod meter;
pub mod mqtt;
pub mod notify;
pub mod pipeline;
pub mod quantity;
pub mod secret;
pub mod simulate;
pub mod store;
pub mod tls;
pub mod window;
