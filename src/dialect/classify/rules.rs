//! What vendors say when they fail, and what they mean by it.

use crate::vocab::Fault;

/// What vendors write, lower case, and what they mean by it.
pub(super) struct Rule {
    pub fault: Fault,
    /// Only with these statuses; empty: with any.
    pub statuses: &'static [u16],
    /// One of these is the error's code, type, status or reason.
    pub tags: &'static [&'static str],
    /// Or one of these is in its message. With a status whose messages quote the request (400, 404, 413, 422) no text
    /// may put a key or a model away: see [`refusals`](super::refusals).
    pub texts: &'static [&'static str],
}

/// First match wins.
pub(super) const RULES: &[Rule] = &[
    Rule {
        fault: Fault::Overloaded,
        statuses: &[],
        tags: &[
            "server_is_overloaded",
            "slow_down",
            "overloaded_error",
            "overloaded",
            "engine_overloaded",
            "engine_overloaded_error",
            "unavailable",
            "service_unavailable",
            "modelnotreadyexception",
            "serviceunavailableexception",
        ],
        texts: &[],
    },
    // The vendor's capacity, not the credential's limit (Azure, Groq, OpenRouter).
    Rule {
        fault: Fault::Overloaded,
        statuses: &[429],
        tags: &[],
        texts: &["high demand", "overloaded", "at capacity", "over capacity", "rate-limited upstream"],
    },
    Rule {
        fault: Fault::QuotaExhausted,
        statuses: &[],
        tags: &[
            "insufficient_quota",
            "insufficient_balance",
            "insufficient_credits",
            "billing_hard_limit_reached",
            "billing_not_active",
            "billing_error",
            "enforced_spend_limit_reached",
            "quota_exhausted",
            "usage_limit_reached",
            "usage_not_included",
            // Alibaba Cloud's, Moonshot's and Volcengine's.
            "arrearage",
            "exceeded_current_quota_error",
            "accountoverdueerror",
        ],
        texts: &[],
    },
    Rule {
        fault: Fault::QuotaExhausted,
        statuses: &[403, 429],
        tags: &[],
        texts: &[
            "credit balance is too low",
            "insufficient balance",
            "insufficient credits",
            "used all available credits",
            "monthly spending limit",
            "key limit exceeded",
            "doesn't have any credits",
            "account balance is insufficient",
            // Cohere's trial keys.
            "api calls / month",
        ],
    },
    Rule {
        fault: Fault::QuotaExhausted,
        statuses: &[400],
        tags: &["servicequotaexceededexception"],
        texts: &[],
    },
    Rule { fault: Fault::Throttled, statuses: &[], tags: &["throttlingexception"], texts: &[] },
    // The model itself failed, whatever the status says (Amazon's is 424).
    Rule {
        fault: Fault::ServerError,
        statuses: &[],
        tags: &["modelerrorexception", "modelstreamerrorexception", "modeltimeoutexception"],
        texts: &[],
    },
    Rule {
        fault: Fault::AuthRefused,
        statuses: &[],
        tags: &[
            "invalid_api_key",
            "authentication_error",
            "api_key_invalid",
            "unauthenticated",
            "organization_restricted",
        ],
        texts: &[],
    },
    Rule {
        fault: Fault::AuthRefused,
        statuses: &[400],
        tags: &["api_key_expired", "api_key_service_blocked"],
        texts: &[],
    },
    Rule {
        fault: Fault::ModelMissing,
        statuses: &[],
        tags: &[
            "model_not_found",
            "deploymentnotfound",
            "invalid_model",
            "unsupported_country_region_territory",
            "unsupported_model",
            // Groq's, Together's and Hugging Face's.
            "model_decommissioned",
            "model_permission_blocked_project",
            "model_permission_blocked_org",
            "model_not_available",
            "model_not_supported",
            // Volcengine's and Alibaba Cloud's: a model that is paused, or whose free share is used up.
            "modelnotopen",
            "invalidendpointormodel.notfound",
            "setlimitexceeded",
            "allocationquota.freetieronly",
        ],
        texts: &[],
    },
    Rule {
        fault: Fault::ContentPolicy,
        statuses: &[400, 403, 422, 451],
        tags: &[
            "content_filter",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "moderation",
        ],
        texts: &[
            "content management policy",
            "rejected by the safety system",
            // xAI's, with the key's name behind it.
            "content violates usage guidelines",
        ],
    },
    Rule {
        fault: Fault::ContextOverflow,
        statuses: &[],
        tags: &["context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"],
        texts: &[],
    },
    Rule {
        fault: Fault::ContextOverflow,
        statuses: &[400, 413, 422],
        tags: &[],
        texts: &[
            "maximum context length",
            "exceeds the available context size",
            "exceeds the context window",
            "exceed context limit",
            "prompt is too long",
            "input is too long",
            // Cohere's and Ollama's words.
            "too many tokens",
            "exceeds the context length",
            "exceeds context length",
            "exceeds the maximum number of tokens",
        ],
    },
    // What another organisation's model encrypted.
    Rule { fault: Fault::ForeignReasoning, statuses: &[], tags: &["invalid_encrypted_content"], texts: &[] },
    // The model wrote a tool call that its own vendor refuses; the next try usually does better.
    Rule { fault: Fault::Busy, statuses: &[], tags: &["tool_use_failed"], texts: &[] },
    // Leave for a model is given to a key and an account, and to each model apart.
    Rule {
        fault: Fault::ModelMissing,
        statuses: &[403],
        tags: &["no_access", "model.accessdenied", "accessdenied.unpurchased"],
        texts: &[
            "access to model",
            "access to the model",
            "access to this model",
            // Amazon's and Google's, of roles.
            "not authorized to perform: bedrock",
            "denied on resource",
        ],
    },
    // What is wrong with the key or the account, whatever is asked.
    Rule {
        fault: Fault::AuthRefused,
        statuses: &[403],
        tags: &[
            "api_key_service_blocked",
            "api_key_http_referrer_blocked",
            "api_key_ip_address_blocked",
            "billing_disabled",
            "consumer_invalid",
            "consumer_suspended",
            "service_disabled",
            "user_project_denied",
            "expiredtokenexception",
            "incompletesignatureexception",
            "invalidsignatureexception",
            "missingauthenticationtokenexception",
            "unrecognizedclientexception",
        ],
        texts: &[
            "invalid api key",
            "incorrect api key",
            "key is invalid",
            "key not valid",
            "key expired",
            "key has been disabled",
            "key is disabled",
            "account has been disabled",
            "account is disabled",
            "organization has been disabled",
            "organization has been restricted",
            "organization is disabled",
            "project has been denied",
            "has not been used in project",
            "access token",
            "oauth token",
            "security token",
            "correct credentials",
            "authentication",
            "billing",
            "deactivated",
            "leaked",
            "overdue",
            "revoked",
            "suspended",
        ],
    },
    // A cached content or file that is not this project's: the caller's reference, not the credential.
    Rule {
        fault: Fault::BadRequest,
        statuses: &[403],
        tags: &[],
        texts: &["not found (or permission denied)"],
    },
];

/// MiniMax's `base_resp.status_code` (its error reference).
pub(super) const MINIMAX: &[(u16, Fault)] = &[
    (1002, Fault::Throttled),
    (1004, Fault::AuthRefused),
    (1008, Fault::QuotaExhausted),
    (1026, Fault::ContentPolicy),
    (1027, Fault::ContentPolicy),
    (1039, Fault::Throttled),
    (2013, Fault::BadRequest),
    (2049, Fault::AuthRefused),
    (2056, Fault::QuotaExhausted),
];
