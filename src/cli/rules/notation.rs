//! Readings of a meter in few words: `"0+10x29 _x3 600x30"`.

use crate::quantity::{Decimal, Span, Time, Zone};

/// More readings than a year of minutes are a slip.
const READINGS_MAX: usize = 600_000;

/// Readings a step apart from `start`, as far as they are not missing, and the time of the last, missing or not. An error
/// names the word.
///
/// * `5` one reading; `5x3` four of it; `0+10x3` is `0 10 20 30`, `30-10x2` is `30 20 10`.
/// * `_` is a reading that is missing, `_x3` three.
/// * `reset` is a register that shows 0.
/// * `@2026-03-29T03:00` goes on at that time, local or with an offset.
pub(crate) fn readings(text: &str, (start, step): (Time, Span), zone: &Zone) -> Result<Readings, String> {
    let mut readings = Vec::new();
    let (mut at, mut last) = (start, start);
    for word in text.split_whitespace() {
        if let Some(time) = word.strip_prefix('@') {
            at = time_of(time, zone)?;
            continue;
        }
        let values = values(word).ok_or_else(|| format!("`{word}` is no reading; write 5, 5x3, 0+10x3, _ or _x3"))?;
        for value in values {
            readings.extend(value.map(|value| (at, value)));
            last = at;
            at = at.plus(step);
        }
        if readings.len() > READINGS_MAX {
            return Err(format!("more than {READINGS_MAX} readings"));
        }
    }
    Ok((readings, last))
}

/// Readings of a meter, and the time of the last, missing or not.
pub(crate) type Readings = (Vec<(Time, Decimal)>, Time);

/// `2026-03-29T03:00` or `2026-03-29 03:00`, with or without seconds, in local time, or RFC 3339. Of an hour that there is
/// twice it is the first. An error says what is wrong.
pub(crate) fn time_of(text: &str, zone: &Zone) -> Result<Time, String> {
    const FORMS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    if let Some(time) = Time::parse_rfc3339(text) {
        return Ok(time);
    }
    let local = |form| Some((form, zone.parse_local(form, text)?));
    match FORMS.into_iter().find_map(local) {
        None => Err(format!("`{text}` is no time; write 2026-03-29T03:00")),
        Some((form, time)) if zone.text(form, time) != text => {
            let there = zone.text(form, time);
            Err(format!("there is no `{text}`: the clock goes on to {there}; write it in full, with an offset"))
        }
        Some((_, time)) => Ok(time),
    }
}

/// `None` stands for a missing reading.
fn values(word: &str) -> Option<Vec<Option<Decimal>>> {
    if word == "reset" {
        return Some(vec![Some(Decimal::ZERO)]);
    }
    let (what, times) = match word.split_once('x') {
        Some((what, times)) => (what, Some(times.parse::<usize>().ok().filter(|times| *times <= READINGS_MAX)?)),
        None => (word, None),
    };
    if what == "_" {
        return Some(vec![None; times.unwrap_or(1)]);
    }
    let (first, step) = progression(what, times.is_some())?;
    let mut value = first;
    let mut values = vec![Some(first)];
    for _ in 0..times.unwrap_or(0) {
        value = value.plus(step)?;
        values.push(Some(value));
    }
    Some(values)
}

/// The first value and the step to the next. A sign that begins the number is its own.
fn progression(text: &str, repeats: bool) -> Option<(Decimal, Decimal)> {
    let behind = |(at, c): (usize, char)| (at > 0 && matches!(c, '+' | '-')).then_some(at);
    let split = text.char_indices().find_map(behind).filter(|_| repeats);
    match split {
        Some(at) => Some((Decimal::parse(&text[..at])?, Decimal::parse(&text[at..])?)),
        None => Some((Decimal::parse(text)?, Decimal::ZERO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let start = Time(0);
        let found = readings(text, (start, Span::minutes(1)), &Zone::UTC).map(|(readings, _)| {
            let shown = |(at, value): &(Time, Decimal)| format!("{}:{value}", at.0 / 60_000);
            readings.iter().map(shown).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found.unwrap_or_else(|error| error), expected, "{text}");
    }

    #[test]
    fn few_words_expand() {
        check("5 5x2 7", "0:5 1:5 2:5 3:5 4:7");
        check("0+10x3 30-10x2", "0:0 1:10 2:20 3:30 4:30 5:20 6:10");
        check("1.5+0.25x2 _ 3 _x2 4", "0:1.5 1:1.75 2:2 4:3 7:4");
        check("-5+5x1 reset 1e3", "0:-5 1:0 2:0 3:1000");
        check("1 @1970-01-01T01:00 2 @1970-01-01T01:30:00Z 3", "0:1 60:2 90:3");
        check("5 nonsense", "`nonsense` is no reading; write 5, 5x3, 0+10x3, _ or _x3");
        check("1x9999999", "`1x9999999` is no reading; write 5, 5x3, 0+10x3, _ or _x3");
        check("@noon", "`noon` is no time; write 2026-03-29T03:00");
    }

    #[test]
    fn local_times_know_the_change_of_the_clock() {
        let zone = Zone::parse("Europe/Paris").unwrap();
        let text = |text: &str| time_of(text, &zone).map_or_else(|error| error, |time| time.to_string());
        assert_eq!(text("2026-03-29T01:59"), "2026-03-29T00:59:00Z");
        assert_eq!(text("2026-03-29T01:59:30"), "2026-03-29T00:59:30Z");
        assert_eq!(text("2026-03-29 03:00"), "2026-03-29T01:00:00Z");
        assert_eq!(text("2026-10-25T02:30"), "2026-10-25T00:30:00Z");
        assert_eq!(text("2026-10-25T02:30:00+01:00"), "2026-10-25T01:30:00Z");
        let skipped =
            "there is no `2026-03-29T02:30`: the clock goes on to 2026-03-29T03:30; write it in full, with an offset";
        assert_eq!(text("2026-03-29T02:30"), skipped);
    }
}
