//! The `telemetry:` section.

use super::Scene;
use crate::config::blueprint::Telemetry;
use crate::config::settle;

pub fn check(scene: &Scene<'_>) -> Telemetry {
    let said = &scene.file.telemetry;
    Telemetry { max_series: settle::max_series(&said.metrics) }
}

#[cfg(test)]
mod tests {
    use crate::config::load;
    use crate::config::testing::Given;

    #[test]
    fn so_many_series_as_is_said_or_two_thousand() {
        let loaded = |telemetry: &str| {
            let text = format!(
                "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n\
                 telemetry: {telemetry}\n"
            );
            load(&text, &Given::default()).map(|loaded| loaded.blueprint.telemetry.max_series)
        };
        assert_eq!(loaded("{}"), Ok(2_000));
        assert_eq!(loaded("{metrics: {max_series: 1}}"), Ok(1));
        assert_eq!(loaded("{metrics: {max_series: 1000000}}"), Ok(1_000_000));
        for wrong in ["0", "1000001", "many"] {
            let problems = loaded(&format!("{{metrics: {{max_series: {wrong}}}}}")).expect_err(wrong);
            assert_eq!(problems[0].path, "telemetry.metrics.max_series", "{wrong}");
        }
    }
}
