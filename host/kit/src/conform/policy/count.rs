//! Policies that count: the number at which they first say no may not depend on how often they
//! were asked about one attachment, on what never landed, or on what is gone.

use super::Subject;
use crate::conform::{Checked, Stop, fault, idle};
use crate::sim::Sim;

/// Pods that are asked about before a policy is taken for one that does not count.
const MANY: usize = 300;

pub(super) fn repeats(subject: &Subject<'_>) -> Checked {
    compare(subject, "three times over", &|sim, pod| {
        let request = subject.request(pod, 0);
        for _ in 0..2 {
            if let Some(why) = subject.no(sim, &request, true)? {
                return fault(format!(
                    "{} was admitted, asked about again, and refused: {why}",
                    request.attachment.id
                ));
            }
        }
        Ok(())
    })
}

pub(super) fn crashes(subject: &Subject<'_>) -> Checked {
    compare(subject, "with two more that never landed for each", &|sim, pod| {
        for life in 7..9 {
            subject.no(sim, &subject.request(pod, life), false)?;
        }
        Ok(())
    })
}

pub(super) fn returns(subject: &Subject<'_>) -> Checked {
    compare(subject, "each of which had gone and come again", &|sim, pod| {
        for life in 0..2 {
            sim.release(&subject.request(pod, life).attachment.id)?;
            let again = subject.request(pod, life + 1);
            if let Some(why) = subject.no(sim, &again, true)? {
                return fault(format!(
                    "a pod was admitted, released, and refused when it came again: {why}"
                ));
            }
        }
        // As it was, for the pods to come.
        sim.release(&subject.request(pod, 2).attachment.id)?;
        subject.no(sim, &subject.request(pod, 0), true).map(drop)
    })
}

/// Something that happens after a pod was admitted, and may not change the count.
type Noise<'a> = &'a dyn Fn(&Sim, usize) -> Result<(), Stop>;

fn compare(subject: &Subject<'_>, how: &str, noise: Noise<'_>) -> Checked {
    let welcome = welcome(subject)?;
    if welcome.is_empty() {
        return idle("it admits no pod");
    }
    let plain = first_refused(subject, &welcome, &|_, _| Ok(()))?;
    let disturbed = first_refused(subject, &welcome, noise)?;
    match (plain, disturbed) {
        (None, None) => Ok(format!("{} pods, none refused", welcome.len())),
        (plain, disturbed) if plain == disturbed => {
            let at = plain.unwrap_or_default();
            frees(subject, &welcome, at)?;
            Ok(format!("{at} pods are admitted, however it is asked"))
        }
        (plain, disturbed) => {
            fault(format!("it admits {} attachments, but {} {how}", shown(plain), shown(disturbed)))
        }
    }
}

fn shown(count: Option<usize>) -> String {
    count.map_or("any number of".to_owned(), |count| count.to_string())
}

/// Pods that are admitted where nobody else is.
fn welcome(subject: &Subject<'_>) -> Result<Vec<usize>, Stop> {
    let mut welcome = Vec::new();
    for pod in 0..MANY {
        if subject.no(&subject.sim(), &subject.request(pod, 0), false)?.is_none() {
            welcome.push(pod);
        }
    }
    Ok(welcome)
}

/// How many are admitted before the first refusal; none where all are.
fn first_refused(
    subject: &Subject<'_>,
    welcome: &[usize],
    noise: Noise<'_>,
) -> Result<Option<usize>, Stop> {
    let sim = subject.sim();
    for (count, pod) in welcome.iter().enumerate() {
        if subject.no(&sim, &subject.request(*pod, 0), true)?.is_some() {
            return Ok(Some(count));
        }
        noise(&sim, *pod)?;
    }
    Ok(None)
}

/// Where the count is full, and one goes, one may come.
fn frees(subject: &Subject<'_>, welcome: &[usize], at: usize) -> Result<(), Stop> {
    let sim = subject.sim();
    for pod in welcome.iter().take(at) {
        subject.no(&sim, &subject.request(*pod, 0), true)?;
    }
    let Some(next) = welcome.get(at) else { return Ok(()) };
    // One that was refused did not land, and so is not counted.
    for _ in 0..3 {
        subject.no(&sim, &subject.request(*next, 0), true)?;
    }
    for pod in welcome.iter().take(at) {
        sim.release(&subject.request(*pod, 0).attachment.id)?;
    }
    match subject.no(&sim, &subject.request(*next, 0), true)? {
        None => Ok(()),
        Some(why) => {
            fault(format!("all of {at} attachments are gone, and the next is refused: {why}"))
        }
    }
}
