//! What neither Cohere nor Ollama has a word for, by OpenAI's names. For requests of other dialects.

use crate::dialect::hub::{Ask, Losses, Tier};

/// Reports what no place is left for, wherever in the request it stands.
pub fn report(ask: &Ask<'_>, losses: &mut Losses) {
    losses.drop_all_extras(ask);
    if ask.n.is_some_and(|n| n > 1) {
        losses.drop("n");
    }
    if ask.parallel_tools == Some(false) {
        losses.drop("parallel_tool_calls");
    }
    losses.drop_if(ask.logit_bias.as_ref(), "logit_bias");
    losses.drop_if(ask.user.as_ref(), "user");
    losses.drop_if(ask.cache_key.as_ref(), "prompt_cache_key");
    match ask.tier {
        // What one gets anyway.
        None | Some(Tier::Auto | Tier::Standard) => {}
        Some(Tier::Flex | Tier::Priority | Tier::Scale) => losses.drop("service_tier"),
    }
    let mut parts = ask.turns.iter().flat_map(|turn| &turn.parts);
    let marked = parts.any(|part| part.cache.is_some()) || ask.tools.iter().any(|tool| tool.cache.is_some());
    if marked || ask.cache.is_some() {
        losses.drop("cache_control");
    }
    if ask.turns.iter().any(|turn| turn.name.is_some()) {
        losses.drop("name");
    }
}
