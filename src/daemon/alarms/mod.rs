//! Alarms in the daemon: the watch over the rules, and the notifiers.

mod health;
mod holds;
mod inputs;
mod live;
mod silence;
mod standings;
mod watcher;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alert::{Alarm, Followed, Hold, News, Phase, Rule, Update, World};
use crate::clock;
use crate::config::Plan;
use crate::daemon::StartError;
use crate::daemon::alarms::health::Surroundings;
use crate::daemon::alarms::standings::Standings;
use crate::daemon::alarms::watcher::Watcher;
use crate::daemon::stages::{Stage, Stages};
use crate::http::{Ask, BrokerView, DatabaseView, Look, NotifierView, RuleView};
use crate::influx;
use crate::notify::{Pulse, Queue, Record, Records};
use crate::quantity::Time;
use crate::store::{AlarmStore, Reader};
use crate::tls::Expiry;

/// The watch and the notifiers at work.
pub(crate) struct Watching {
    /// Their tasks.
    pub tasks: Vec<JoinHandle<()>>,
    /// How each rule stands.
    pub rules: Look<Vec<RuleView>>,
    /// How each notifier gets through.
    pub notifiers: Look<Vec<NotifierView>>,
}

/// What is looked at from outside.
pub(crate) struct Looks {
    /// The broker session.
    pub broker: Look<BrokerView>,
    /// The database writer, if there is one.
    pub database: Option<Look<DatabaseView>>,
    /// Until when certificates are valid.
    pub certificates: Look<Vec<Expiry>>,
}

/// Starts the watch and the notifiers. What the rules before left open is closed.
pub(crate) fn start(
    plan: &Plan,
    (ask, stages): (&Ask, &Stages),
    reader: Reader,
    Looks { broker, database, certificates }: Looks,
) -> Result<Watching, StartError> {
    let state = &plan.daemon.state_dir;
    let mut store = AlarmStore::rescue(state)?;
    let now = clock::now();
    let mut telling = store.telling(now)?;
    let mut world = World { calm: plan.calm, now, hold: &|_| None, starts: Default::default() };
    let updates = telling.tell(retired(store.active()?, plan, now), Vec::new(), &mut world);
    store.keep(&updates, &telling, None, now)?;
    updates.iter().for_each(log);
    let (pulse, told) = watch::channel(Pulse::default());
    let (records, standings) = (Records::default(), Standings::new(&plan.alarms, &plan.rules.topology));
    let known: Vec<&str> =
        plan.notifiers.iter().map(|options| options.id.as_str()).chain([influx::ALARM_READER]).collect();
    store.forget_others(&known)?;
    let mut tasks = Vec::new();
    for options in &plan.notifiers {
        let mut welcome = store.welcome(&options.id)?;
        if let Some(nothing) = welcome.take_if(|welcome| welcome.going.is_empty()) {
            store.begin(&options.id, &nothing)?;
        }
        let queue = Queue::new(options, &plan.mqtt, &plan.alarms, (state, clock::now), (&records, welcome))?;
        tasks.push(tokio::spawn(queue.run(told.clone())));
    }
    if !plan.alarms.is_empty() || !plan.notifiers.is_empty() {
        let surroundings = Surroundings { broker, database, records: records.clone(), certificates };
        let watcher = Watcher::new(plan, Arc::clone(ask), (reader, store), pulse, (surroundings, standings.clone()))?;
        tasks.push(tokio::spawn(stages.clone().look_after(Stage::Alarms, watcher.run())));
    } else {
        stages.rest(Stage::Alarms);
    }
    Ok(Watching { tasks, rules: standings.look(), notifiers: Arc::new(move || notifiers(&records)) })
}

fn notifiers(records: &Records) -> Vec<NotifierView> {
    let view = |(id, Record { told, failed, trouble })| NotifierView { id, told, failed, trouble };
    records.all().into_iter().map(view).collect()
}

/// What nobody watches any more is over: its rule is gone, or another.
fn retired(active: Vec<Alarm>, plan: &Plan, now: Time) -> Vec<Followed> {
    let topology = &plan.rules.topology;
    let of = |rule: &Rule| -> Vec<(String, String)> {
        rule.watched.iter().map(|watched| (rule.id.to_string(), watched.text(topology))).collect()
    };
    let watched: HashSet<(String, String)> = plan.alarms.iter().flat_map(of).collect();
    let prints: HashSet<(String, String)> =
        plan.alarms.iter().map(|rule| (rule.id.to_string(), rule.print())).collect();
    let is_kept = |alarm: &Alarm| {
        watched.contains(&alarm.line()) && prints.contains(&(alarm.rule.clone(), alarm.rule_print.clone()))
    };
    let gone = active.into_iter().filter(|alarm| !is_kept(alarm));
    let over = |alarm: Alarm| {
        let (sequence, until) = (alarm.sequence + 1, Some(now.to_string()));
        (Alarm { state: Phase::Returned, sequence, until, ..alarm }, Some(News::Returned))
    };
    gone.map(over).collect()
}

/// Why nobody is told.
fn said(held: &str) -> String {
    if held.is_empty() { String::new() } else { format!(", and nobody is told: {held}") }
}

/// With fields by which a journal can be searched.
fn log(update: &Update) {
    let alarm = &update.alarm;
    let (rule, entity, level, priority) = (&alarm.rule, &alarm.entity, alarm.level.name(), alarm.priority.name());
    let (facility, cluster) = (alarm.facility.as_deref().unwrap_or(""), alarm.cluster.as_deref().unwrap_or(""));
    let (value, limit, unit, key) = (alarm.value, alarm.limit, &alarm.unit, alarm.key());
    let held = alarm.held.as_ref().map(Hold::text).unwrap_or_default();
    match update.news {
        Some(News::Raised | News::Changed | News::Reopened | News::Reminded) => {
            // A journal has a priority of its own.
            let (alarm_level, alarm_priority) = (level, priority);
            tracing::warn!(
                rule,
                entity,
                facility,
                cluster,
                alarm_level,
                alarm_priority,
                value,
                limit,
                unit,
                key,
                held,
                "alarm: {rule} of {entity} is {level}{}",
                said(&held)
            );
        }
        Some(News::Returned) => {
            let text = said(&held);
            let peak = alarm.peak;
            tracing::info!(
                rule,
                entity,
                facility,
                cluster,
                key,
                peak,
                unit,
                held,
                "alarm has ended: {rule} of {entity}{text}"
            );
        }
        Some(News::Withdrawn) => {
            let text = "late data changed the result";
            tracing::info!(
                rule,
                entity,
                facility,
                cluster,
                key,
                held,
                "alarm is withdrawn: {rule} of {entity}: {text}"
            );
        }
        None => {}
    }
}
