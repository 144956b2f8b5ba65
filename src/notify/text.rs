//! Alarms in words.

use crate::alert::{Alarm, Input, News, Outlook, Phase};
use crate::notify::Letter;
use crate::store::Notice;

/// Alarms in one text.
const SHOWN: usize = 100;

/// One line for all of a letter.
pub(crate) fn title(letter: &Letter) -> String {
    match letter.notices.as_slice() {
        [one] => line(one),
        many => {
            let going = many.iter().filter(|notice| notice.alarm.state == Phase::Active).count();
            let group: Vec<String> = letter.group.iter().map(|(label, value)| format!("{label} {value}")).collect();
            let group = if group.is_empty() { "alarms".to_owned() } else { group.join(", ") };
            format!("{group}: {going} on, {} ended", many.len() - going)
        }
    }
}

/// All of a letter, a paragraph an alarm.
pub(crate) fn text(letter: &Letter) -> String {
    let mut paragraphs: Vec<String> = letter.notices.iter().take(SHOWN).map(paragraph).collect();
    let more = letter.notices.len().saturating_sub(SHOWN);
    if more > 0 {
        paragraphs.push(format!("and {more} more: emissiond alarms list"));
    }
    paragraphs.join("\n\n")
}

fn paragraph(notice: &Notice) -> String {
    let alarm = &notice.alarm;
    let mut lines = vec![line(notice)];
    lines.extend(alarm.outlook.as_ref().map(outlook));
    let until = alarm.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
    let provisional = if alarm.provisional { ", provisional" } else { "" };
    lines.push(format!("priority {}, since {}{until}{provisional}", alarm.priority.name(), alarm.since));
    if !alarm.inputs.is_empty() {
        let input = |input: &Input| format!("{} {}", input.entity, shown(input.kg, "kg"));
        lines.push(format!("most of it: {}", alarm.inputs.iter().map(input).collect::<Vec<_>>().join(", ")));
    }
    if alarm.excess_kg > 0.0 {
        lines.push(format!("above the limit so far: {}", shown(alarm.excess_kg, "kg")));
    }
    if !alarm.response.is_empty() && alarm.state == Phase::Active {
        lines.push(format!("to do: {}", alarm.response));
    }
    lines.push(format!("id {}", alarm.id));
    lines.join("\n")
}

/// One alarm in a line.
pub(crate) fn line(notice: &Notice) -> String {
    let alarm = &notice.alarm;
    let Alarm { entity, rule, unit, .. } = alarm;
    let level = alarm.level.name();
    let at = || format!("{} against {}", shown(alarm.value, unit), shown(alarm.limit, unit));
    let is_at = |word: &str| match &alarm.detail {
        Some(detail) => format!("{entity}: {rule}: {detail}"),
        None => format!("{entity}: {rule} is {word}{level}: {}", at()),
    };
    // Of what is about data, the peak says nothing.
    let peak = match alarm.kind.as_str() {
        "limit" | "budget" | "pathway" => format!("; at most {}", shown(alarm.peak, unit)),
        _ => String::new(),
    };
    let comes_and_goes = if alarm.chattering { "; it comes and goes, its end is told when it is quiet" } else { "" };
    match notice.news {
        News::Raised | News::Changed | News::Reopened => {
            format!("{}{comes_and_goes}", is_at(""))
        }
        News::Reminded => is_at("still "),
        News::Returned => format!("{entity}: {rule} is back to normal{peak}"),
        News::Withdrawn => format!("{entity}: {rule} is withdrawn: late data changed the result"),
    }
}

fn outlook(outlook: &Outlook) -> String {
    let kg = |kg: f64| shown(kg, "kg");
    let mut text = format!(
        "{} used, {} planned so far, {} expected",
        kg(outlook.used_kg),
        kg(outlook.planned_kg),
        kg(outlook.expected_kg)
    );
    if let Some(out) = &outlook.runs_out {
        let [from, to] = &outlook.runs_out_range;
        let day = |at: &str| at.get(..10).unwrap_or(at).to_owned();
        let end = |at: &Option<String>| at.as_deref().map_or_else(|| "not in the period".to_owned(), day);
        text.push_str(&format!("; used up on {} ({} to {})", day(out), end(from), end(to)));
    }
    if let Some(needed) = outlook.needed_pct {
        text.push_str(&format!("; {needed:+.1} % to hold it"));
    }
    text
}

/// Tonnes where there are many kilograms; no more digits than anybody reads.
pub fn shown(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "kg" | "kg/h" if value.abs() >= 10_000.0 => (value / 1_000.0, unit.replacen("kg", "t", 1)),
        _ => (value, unit.to_owned()),
    };
    let text = if value.abs() >= 1_000.0 { format!("{value:.1}") } else { format!("{value:.3}") };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample;

    #[test]
    fn an_alarm_is_told_in_words() {
        let raised = Alarm { state: Phase::Active, until: None, ..sample() };
        let letter = |alarm: Alarm, news| {
            let notice = Notice { number: 1, made: String::new(), news, alarm };
            Letter { group: Default::default(), notices: vec![notice] }
        };
        assert_eq!(
            title(&letter(raised.clone(), News::Raised)),
            "facility/f: gas is over: 861.2 kg/h against 820 kg/h"
        );
        assert_eq!(title(&letter(sample(), News::Returned)), "facility/f: gas is back to normal; at most 880.4 kg/h");
        let outlook = Outlook {
            used_kg: 2_562_000.0,
            planned_kg: 2_016_000.0,
            expected_kg: 5_060_123.4,
            runs_out: Some("2026-03-24T10:00:00Z".to_owned()),
            runs_out_range: [Some("2026-03-22T00:00:00Z".to_owned()), None],
            needed_pct: Some(-17.04),
        };
        let told = text(&letter(Alarm { outlook: Some(outlook), ..raised }, News::Changed));
        let expected = "facility/f: gas is over: 861.2 kg/h against 820 kg/h\n\
            2562 t used, 2016 t planned so far, 5060.1 t expected; used up on 2026-03-24 (2026-03-22 to not in the period); \
            -17.0 % to hold it\n\
            priority high, since 2026-01-01T00:05:00Z\n\
            above the limit so far: 20.6 kg\n\
            to do: Cut boiler 2\n\
            id gas/facility/f/2026-01-01T00:05:00Z";
        assert_eq!(told, expected);
    }
}
