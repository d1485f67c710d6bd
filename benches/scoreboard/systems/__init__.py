"""The systems under test, a file each: how it is started with its documented defaults (D) and tuned (T)."""

from .envoy import Envoy
from .haproxy import HAProxy
from .litellm import LiteLLM
from .mainstay import Mainstay
from .nginx import Nginx

ALL = {system.name: system for system in (Mainstay, Nginx, HAProxy, Envoy, LiteLLM)}
