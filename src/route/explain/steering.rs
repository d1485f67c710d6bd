//! Which rule, arm and mirror a request would meet that comes now, in words.

use http::HeaderMap;

use super::Question;
use crate::config::Arm;
use crate::route::steer::{self, Occasion};
use crate::state::Table;
use crate::state::model::Shape;

/// The route that would serve it, and why that one. Where chance decides, it is the arm with the largest share.
pub fn steering(table: &Table, asked: usize, question: &Question) -> (usize, Vec<String>) {
    let name = |index: usize| &*table.routes[index].config.name;
    let mut headers = HeaderMap::new();
    for (name, value) in &question.headers {
        headers.append(name, value.clone());
    }
    let occasion = Occasion {
        lineage: question.lineage.as_ref(),
        headers: &headers,
        prompt_tokens: question.prompt_tokens,
        shape: question.shape.unwrap_or(Shape::Stream),
        brings: question.needs,
        session: None,
        at: table.live.clock.unix_now(),
    };
    let mut lines = Vec::new();
    let rules = &table.routes[asked].config.steering.rules;
    let mut course = steer::course(table, asked, &occasion, &mut table.live.dice());
    let there = course.rule.map_or(asked, |rule| rules[rule].to);
    match course.rule {
        Some(rule) => {
            let (when, to) = (&rules[rule].when, name(there));
            lines.push(format!("rule {} of {} ({when}) sends it to {to}", rule + 1, name(asked)));
        }
        None if rules.is_empty() => {}
        None => lines.push(format!("no rule of {} holds for it", name(asked))),
    }
    if let Some(split) = &table.routes[there].config.steering.split {
        let share = |arm: &Arm| format!("{} {} to {}", arm.name, arm.share, name(arm.to));
        let arms: Vec<String> = split.arms.iter().map(share).collect();
        let largest = split.arms.iter().max_by_key(|arm| arm.share);
        let shown = if steer::sticks(split, &occasion) {
            let taken = course.arm.as_ref().map_or("", |taken| &taken.arm);
            format!("it gets {taken}")
        } else {
            course.route = largest.map_or(there, |arm| arm.to);
            format!("shown for {}", largest.map_or("", |arm| &arm.name))
        };
        lines.push(format!("split of {} by {}: {}; {shown}", name(there), split.by, arms.join(", ")));
    }
    if let Some(mirror) = &table.routes[course.route].config.steering.mirror {
        lines.push(format!(
            "mirror: {} of it to {} as well, at most {} at the same moment",
            mirror.share,
            name(mirror.to),
            mirror.max_in_flight
        ));
    }
    (course.route, lines)
}
